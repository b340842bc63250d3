// SPDX-License-Identifier: Apache-2.0
/// @file
/// When items of a plan happened, and how long a rank computed in them.
#pragma once

#include <chrono>
#include <cstdint>

#include <time.h>

namespace omnibal::trainer {

/// When an item of a plan began and ended: nanoseconds of the steady clock. A message begins when
/// it is issued.
struct item_times {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  /// Nanoseconds that the thread of the rank computed in between: less than the duration where
  /// other programs, or ranks that share the core, had their turn.
  std::int64_t computed = 0;

  [[nodiscard]] std::int64_t duration() const noexcept { return end - begin; }
};

[[nodiscard]] inline std::int64_t steady_nanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What the calling thread has computed so far.
[[nodiscard]] inline std::int64_t thread_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace omnibal::trainer
