// SPDX-License-Identifier: Apache-2.0
/// @file
/// How the command ends: its exit statuses, and the exceptions that lead to them. Bad values are
/// omnibal::invalid_input, as in the library.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace omnibal::cli {

enum class exit_status {
  done = 0,
  bad_input = 2,
  infeasible = 3,  ///< A sub-command prints its report, which says why, and returns this.
  unwritable = 4,
  internal_error = 70,  ///< Anything unforeseen, a failed allocation too.
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

}  // namespace omnibal::cli
