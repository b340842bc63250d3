// SPDX-License-Identifier: Apache-2.0
/// @file
/// How the command ends: its exit statuses, and the exceptions that lead to them. Bad values are
/// omnibal::invalid_input, as in the library.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace omnibal::cli {

enum class exit_status {
  done = 0,
  bad_input = 2,
  infeasible = 3,  ///< A sub-command prints its report, which says why, and returns this.
  unwritable = 4,
  internal_error = 70,  ///< Anything unforeseen.
  out_of_memory = 71,
  interrupted = 130,  ///< By SIGINT; what a search had found is printed and written.
  terminated = 143,   ///< By SIGTERM, likewise.
  hung_up = 129,      ///< By SIGHUP, likewise.
};

/// Bad input that is not the value of a field: an unknown option, say. Exit status bad_input.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An output that could not be written. Exit status unwritable.
class unwritable_output : public std::runtime_error {
 public:
  unwritable_output(std::string_view name, std::string_view reason)
      : std::runtime_error(std::string(name) + ": cannot be written: " + std::string(reason)) {}
};

/// A failed allocation of which it is known what it was for. Exit status out_of_memory.
class out_of_memory : public std::bad_alloc {
 public:
  out_of_memory(std::string_view what, std::uint64_t bytes)
      : message_("out of memory: " + std::string(what) + " needs " + std::to_string(bytes) +
                 " bytes") {}
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

}  // namespace omnibal::cli
