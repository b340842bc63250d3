// SPDX-License-Identifier: Apache-2.0
/// @file
/// SIGINT, SIGTERM and SIGHUP, for the whole process: a search stops as at a time limit, and what
/// it has is printed and written; any other work ends at once. No temporary file is left.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <stop_token>
#include <thread>

#include "errors.hpp"

namespace omnibal::cli {

/// There may be one at a time. Where the system grants no thread, signals end the process.
class interruption {
 public:
  interruption();
  interruption(const interruption&) = delete;
  interruption& operator=(const interruption&) = delete;
  ~interruption();

  /// While one exists, the first signal is a request to stop and the second ends the process.
  class listener {
   public:
    explicit listener(interruption& all) noexcept : all_(all) { ++all_.listeners_; }
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener() { --all_.listeners_; }
    [[nodiscard]] std::stop_token token() const { return all_.stop_.get_token(); }

   private:
    interruption& all_;
  };

  /// The status for the signal that came, if any did.
  [[nodiscard]] std::optional<exit_status> status() const noexcept;

 private:
  void wait_for_signals();

  std::array<int, 2> pipe_ = {-1, -1};  ///< From the handler, which may do little, to the thread.
  std::stop_source stop_;
  std::atomic<int> listeners_ = 0;
  std::atomic<int> signal_ = 0;
  std::thread thread_;
};

}  // namespace omnibal::cli
