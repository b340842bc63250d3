// SPDX-License-Identifier: Apache-2.0
/// @file
/// A time after which long work is asked to stop. A signal asks for it sooner.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include "commands/commands.hpp"
#include "commands/interruption.hpp"

namespace omnibal::cli {

class deadline {
 public:
  /// Without a value there is no limit.
  explicit deadline(const command_context& context, std::optional<double> seconds = std::nullopt) {
    if (context.interrupted != nullptr) {
      signals_.emplace(*context.interrupted);
      on_signal_.emplace(signals_->token(), forward_stop{passed_});
    }
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
  struct forward_stop {
    std::stop_source& to;
    void operator()() const { to.request_stop(); }
  };

  std::stop_source passed_;
  std::optional<interruption::listener> signals_;
  std::optional<std::stop_callback<forward_stop>> on_signal_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread timer_;  // Last: it uses the others until it is joined.
};

}  // namespace omnibal::cli
