// SPDX-License-Identifier: Apache-2.0
/// @file
/// How the program ends: its exit statuses, and the errors that lead to them.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

#include <omnibal/core/error.hpp>

#include "checkpoint.hpp"
#include "errors.hpp"

namespace omnibal::trainer {

enum exit_status { done = 0, failed = 1, bad_input = 2, infeasible = 3 };

/// Ends the program with its reason in one line.
class program_error : public std::runtime_error {
 public:
  program_error(exit_status status, const std::string& reason)
      : std::runtime_error(reason), status_(status) {}
  [[nodiscard]] exit_status status() const noexcept { return status_; }

 private:
  exit_status status_;
};

/// What ended the program, in words.
[[nodiscard]] inline std::string reason_of(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr)
    return "out of memory: fewer --steps, a smaller --batch or --size need less";
  return error.what();
}

[[nodiscard]] inline exit_status status_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const program_error*>(&error)) return known->status();
  const bool is_input = dynamic_cast<const invalid_input*>(&error) != nullptr ||
                        dynamic_cast<const checkpoint_error*>(&error) != nullptr ||
                        dynamic_cast<const cli::usage_error*>(&error) != nullptr ||
                        dynamic_cast<const cli::unwritable_output*>(&error) != nullptr;
  return is_input ? bad_input : failed;
}

}  // namespace omnibal::trainer
