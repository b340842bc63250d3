// SPDX-License-Identifier: Apache-2.0
/// @file
/// Progress on standard error, where that is a terminal or the user asked for it.
#pragma once

#include <chrono>

#include <omnibal/core/search_control.hpp>

#include "commands/commands.hpp"

namespace omnibal::cli {

/// Shows the progress of long work: on a terminal in one line that is erased at the end, elsewhere
/// one line per report.
class progress_line {
 public:
  explicit progress_line(const command_context& context);
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  ~progress_line();

  /// The control to pass to the work; must not outlive this object.
  [[nodiscard]] search_control control();

 private:
  void show(const progress& now);

  bool on_terminal_;
  bool wanted_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace omnibal::cli
