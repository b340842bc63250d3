// SPDX-License-Identifier: Apache-2.0
/// @file
/// A watchdog over all channels of a process: when an operation of one of them does not end in
/// time, it says what every channel waits for, writes their flight records, and aborts them all
/// together, since the ranks that one channel waits for may wait in another.
///
///     channel_watchdog watchdog(
///         {.deadline = std::chrono::minutes(2), .log_directory = "flights"});
///     watchdog.watch(data_parallel);
///     watchdog.watch(pipeline);
///
/// Also a step that never waits on a ticket, or waits with a long deadline, ends this way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct watchdog_options {
  /// How long an operation may take from its call to its end. Longer than the longest computation
  /// between two calls into a channel, since host channels advance during calls only.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// How often channels are looked at.
  std::chrono::milliseconds interval = std::chrono::milliseconds(100);
  /// Where flight records are written, as <channel>.<rank>.json; empty for nowhere.
  std::string log_directory = {};
  /// Says which ranks are missing, for example missing_ranks() over a communicator.
  std::function<std::string()> missing = {};
  /// Gets the report, of several lines; by default it is printed on standard error, as it is where
  /// this throws or does not return.
  std::function<void(const std::string&)> report = {};
  /// How long each of the two may take. They are called on a thread of their own, and what they
  /// refer to outlives the watchdog: after this time the watchdog goes on without them.
  std::chrono::milliseconds callback_deadline = std::chrono::seconds(10);
};

/// Writes the record of a channel as directory/<channel>.<rank>.json. Returns whether it could.
bool write_flight_log(const flight_log& log, const std::string& directory);

/// Looks at channels from a thread of its own until it is destroyed, at the cost of one lock per
/// channel and interval, and for a channel over NCCL of one look at the event of its oldest
/// operation. Tickets need not be waited for.
///
/// On expiry the report has a line per channel, of its oldest operation that has not ended: number,
/// operation, elements, bytes, peer and age. Channels over NCCL are then ended by other threads, so
/// a rank that waits in a call of the CUDA runtime goes on; a rank of a host channel finds out at
/// its next call.
class channel_watchdog {
 public:
  /// Throws invalid_input for a deadline or an interval that is not positive, and for a
  /// callback_deadline below 0.
  explicit channel_watchdog(watchdog_options options);
  channel_watchdog(channel_watchdog&&) = delete;
  channel_watchdog& operator=(channel_watchdog&&) = delete;
  ~channel_watchdog();

  /// From now on the channel is watched; it may be moved, and destroyed before the watchdog.
  template <tensor_channel Channel>
  void watch(const Channel& channel) {
    watch(channel.watch_point());
  }
  /// The same, of the watch point of a channel.
  void watch(channel_watch_point channel);

  /// Writes the records of all channels now.
  void write_logs() const;

  /// The report, once an operation has not ended in time; empty until then. Complete when the
  /// channels are aborted.
  [[nodiscard]] std::string report() const;

 private:
  void run();

  [[nodiscard]] bool is_late() const;

  /// Without the lock, but for adding to the report: callbacks may call the watchdog.
  void end_all(const std::vector<channel_watch_point>& channels);

  void add_to_report(const std::string& text);

  void deliver_report() const;

  void write_all(const std::vector<channel_watch_point>& channels) const;

  watchdog_options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<channel_watch_point> channels_;
  std::string report_;
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/watchdog.ipp>
#endif
