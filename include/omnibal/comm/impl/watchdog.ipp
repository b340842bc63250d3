// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/comm/watchdog.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Nanoseconds that the oldest operation has been under way.
[[nodiscard]] inline std::optional<std::int64_t> age(const channel_watch_point& channel) {
  const auto oldest = channel.oldest_unfinished();
  if (!oldest) return std::nullopt;
  return flight_recorder::now() - oldest->issued;
}

}  // namespace detail

OMNIBAL_INLINE bool write_flight_log(const flight_log& log, const std::string& directory) {
  std::string name = log.channel;
  std::ranges::replace(name, '/', '_');
  std::ofstream file(directory + "/" + name + "." + std::to_string(log.rank) + ".json");
  file << to_json(log);
  file.close();
  return !file.fail();
}

OMNIBAL_INLINE channel_watchdog::channel_watchdog(watchdog_options options)
    : options_(std::move(options)) {
  if (options_.deadline.count() <= 0)
    throw invalid_input("deadline", options_.deadline.count(), "must be positive");
  if (options_.interval.count() <= 0)
    throw invalid_input("interval", options_.interval.count(), "must be positive");
  thread_ = std::thread([this] { run(); });
}

OMNIBAL_INLINE void channel_watchdog::watch(channel_watch_point channel) {
  const std::scoped_lock lock(mutex_);
  channels_.push_back(std::move(channel));
}

OMNIBAL_INLINE channel_watchdog::~channel_watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

OMNIBAL_INLINE void channel_watchdog::write_logs() const {
  const std::scoped_lock lock(mutex_);
  write_all();
}

OMNIBAL_INLINE std::string channel_watchdog::report() const {
  const std::scoped_lock lock(mutex_);
  return report_;
}

OMNIBAL_INLINE void channel_watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, options_.interval, [&] { return stops_; })) {
    std::erase_if(channels_, [](const channel_watch_point& each) { return each.is_closed(); });
    if (report_.empty() && is_late()) end_all();
  }
}

OMNIBAL_INLINE bool channel_watchdog::is_late() const {
  const std::int64_t limit = std::chrono::nanoseconds(options_.deadline).count();
  return std::ranges::any_of(channels_, [&](const channel_watch_point& channel) {
    const auto waited = detail::age(channel);
    return waited && *waited > limit && channel.log().failure.empty();
  });
}

OMNIBAL_INLINE void channel_watchdog::end_all() {
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

OMNIBAL_INLINE std::string channel_watchdog::describe_all() const {
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

OMNIBAL_INLINE void channel_watchdog::write_all() const {
  if (options_.log_directory.empty()) return;
  for (const channel_watch_point& channel : channels_)
    if (!write_flight_log(channel.log(), options_.log_directory))
      std::fprintf(stderr, "omnibal: a flight record cannot be written to %s\n",
                   options_.log_directory.c_str());
}

}  // namespace omnibal::inline v0
