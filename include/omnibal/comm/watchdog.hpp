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

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct watchdog_options {
  /// How long an operation may take from its call to its end. Longer than the longest computation
  /// between two calls into a channel, since host channels advance during calls only.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// How often channels are looked at.
  std::chrono::milliseconds interval = std::chrono::milliseconds(100);
  /// Where flight records are written, as <channel>.<rank>.json; empty for nowhere.
  std::string log_directory = {};
  /// Says which ranks are missing, for example asked over a communicator; called by the watchdog.
  std::function<std::string()> missing = {};
  /// Gets the report, of several lines; by default it is printed on standard error.
  std::function<void(const std::string&)> report = {};
};

/// Writes the record of a channel as directory/<channel>.<rank>.json. Returns whether it could.
inline bool write_flight_log(const flight_log& log, const std::string& directory) {
  std::string name = log.channel;
  std::ranges::replace(name, '/', '_');
  std::ofstream file(directory + "/" + name + "." + std::to_string(log.rank) + ".json");
  file << to_json(log);
  file.close();
  return !file.fail();
}

/// Looks at channels from a thread of its own until it is destroyed, at the cost of one lock
/// per channel and interval.
class channel_watchdog {
 public:
  explicit channel_watchdog(watchdog_options options) : options_(std::move(options)) {
    if (options_.deadline.count() <= 0)
      throw invalid_input("deadline", options_.deadline.count(), "must be positive");
    if (options_.interval.count() <= 0)
      throw invalid_input("interval", options_.interval.count(), "must be positive");
    thread_ = std::thread([this] { run(); });
  }
  channel_watchdog(channel_watchdog&&) = delete;
  channel_watchdog& operator=(channel_watchdog&&) = delete;
  ~channel_watchdog() {
    {
      const std::scoped_lock lock(mutex_);
      stops_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  /// From now on the channel is watched; it may be moved, and destroyed before the watchdog.
  template <tensor_channel Channel>
  void watch(const Channel& channel) {
    const std::scoped_lock lock(mutex_);
    channels_.push_back(channel.watch_point());
  }

  /// Writes the records of all channels now.
  void write_logs() const {
    const std::scoped_lock lock(mutex_);
    write_all();
  }

  /// The report, once an operation has not ended in time; empty until then.
  [[nodiscard]] std::string report() const {
    const std::scoped_lock lock(mutex_);
    return report_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, options_.interval, [&] { return stops_; })) {
      std::erase_if(channels_, [](const channel_watch_point& each) { return each.is_closed(); });
      if (report_.empty() && is_late()) end_all();
    }
  }

  [[nodiscard]] static std::optional<std::int64_t> age(const channel_watch_point& channel) {
    const auto oldest = channel.oldest_unfinished();
    if (!oldest) return std::nullopt;
    return flight_recorder::now() - oldest->issued;
  }

  [[nodiscard]] bool is_late() const {
    const std::int64_t limit = std::chrono::nanoseconds(options_.deadline).count();
    return std::ranges::any_of(channels_, [&](const channel_watch_point& channel) {
      const auto waited = age(channel);
      return waited && *waited > limit && channel.log().failure.empty();
    });
  }

  void end_all() {
    report_ = describe_all();
    if (options_.missing) report_ += "missing: " + options_.missing() + "\n";
    write_all();
    if (options_.report)
      options_.report(report_);
    else
      std::fputs(report_.c_str(), stderr);
    const std::string reason =
        "the watchdog: " + report_.substr(0, std::min(report_.find('\n'), report_.size()));
    for (const channel_watch_point& channel : channels_) channel.abort(reason);
  }

  /// The channel that has waited longest first: its operation is the reason of the abort.
  [[nodiscard]] std::string describe_all() const {
    std::vector<std::pair<std::int64_t, std::string>> lines;
    for (const channel_watch_point& channel : channels_) {
      const flight_log log = channel.log();
      const auto oldest = channel.oldest_unfinished();
      const std::int64_t waited = oldest ? flight_recorder::now() - oldest->issued : 0;
      lines.emplace_back(-waited, "channel " + log.channel + ", rank " + std::to_string(log.rank) +
                                      ": " +
                                      (oldest ? describe(*oldest) + " has not ended after " +
                                                    std::to_string(waited / 1'000'000) + " ms"
                                              : std::string("idle")) +
                                      (log.failure.empty() ? "" : "; failed: " + log.failure));
    }
    std::ranges::sort(lines);
    std::string text;
    for (const auto& [waited, line] : lines) text += line + "\n";
    return text;
  }

  void write_all() const {
    if (options_.log_directory.empty()) return;
    for (const channel_watch_point& channel : channels_)
      if (!write_flight_log(channel.log(), options_.log_directory))
        std::fprintf(stderr, "omnibal: a flight record cannot be written to %s\n",
                     options_.log_directory.c_str());
  }

  watchdog_options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<channel_watch_point> channels_;
  std::string report_;
  bool stops_ = false;
  std::thread thread_;
};

}  // namespace omnibal::inline v0
