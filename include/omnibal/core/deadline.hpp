// SPDX-License-Identifier: Apache-2.0
/// @file
/// Deadlines from waiting times of any size. Adding std::chrono::milliseconds::max(), "wait for
/// ever", to the time overflows, and the deadline has then passed before the wait begins.
#pragma once

#include <chrono>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// Throws invalid_input naming `field` for a negative waiting time.
inline void require_waiting_time(std::string_view field, std::chrono::milliseconds wait) {
  if (wait < std::chrono::milliseconds::zero())
    throw invalid_input(field, wait.count(), "milliseconds must not be negative");
}

/// The time `wait` after `now`, or the last time that there is when it would be later.
[[nodiscard]] inline std::chrono::steady_clock::time_point deadline_after(
    std::chrono::milliseconds wait,
    std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now()) noexcept {
  using time_point = std::chrono::steady_clock::time_point;
  const auto left = std::chrono::floor<std::chrono::milliseconds>(time_point::max() - now);
  return wait < left ? now + wait : time_point::max();
}

}  // namespace omnibal::inline v0
