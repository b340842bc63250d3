// SPDX-License-Identifier: Apache-2.0
/// @file
/// Seconds spent, for reports.
#pragma once

#include <chrono>
#include <utility>

namespace omnibal::cli {

/// Measures seconds since its construction, or since the last lap.
class stopwatch {
 public:
  [[nodiscard]] double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace omnibal::cli
