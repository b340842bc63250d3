// SPDX-License-Identifier: Apache-2.0
/// @file
/// A time after which long work is asked to stop.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace omnibal::cli {

class deadline {
 public:
  /// Without a value there is no limit.
  explicit deadline(std::optional<double> seconds) {
    if (!seconds) return;
    // Longer than a century is no limit, and more than clocks can count.
    const std::chrono::duration<double> span(std::min(*seconds, 3.2e9));
    timer_ = std::jthread([this, span](const std::stop_token& done) {
      std::unique_lock lock(mutex_);
      if (!wake_.wait_for(lock, done, span, [] { return false; }) && !done.stop_requested())
        passed_.request_stop();
    });
  }

  /// Asked to stop when the time has passed.
  [[nodiscard]] std::stop_token token() const { return passed_.get_token(); }

 private:
  std::stop_source passed_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread timer_;  // Last: it uses the others until it is joined.
};

}  // namespace omnibal::cli
