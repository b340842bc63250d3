// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
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
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Nanoseconds that the oldest operation has been under way.
[[nodiscard]] inline std::optional<std::int64_t> age(const channel_watch_point& channel) {
  const auto oldest = channel.oldest_unfinished();
  if (!oldest) return std::nullopt;
  return flight_recorder::now() - oldest->issued;
}

/// The channel that has waited longest first: its operation is the reason of the abort.
[[nodiscard]] inline std::string describe_all(const std::vector<channel_watch_point>& channels) {
  const std::int64_t now = flight_recorder::now();
  std::vector<std::pair<std::int64_t, std::string>> lines;  // by the time of the call
  for (const channel_watch_point& channel : channels) {
    const flight_log log = channel.log();
    const auto oldest = channel.oldest_unfinished();
    std::string line = "channel " + log.channel + ", rank " + std::to_string(log.rank) + ": ";
    line += oldest ? describe(*oldest) + " has not ended after " +
                         std::to_string((now - oldest->issued) / 1'000'000) + " ms"
                   : std::string("idle");
    if (!log.failure.empty()) line += "; failed: " + log.failure;
    lines.emplace_back(oldest ? oldest->issued : now, std::move(line));
  }
  std::ranges::sort(lines);
  std::string text;
  for (const auto& [called, line] : lines) text += line + "\n";
  return text;
}

/// What a callback returns, called on a thread of its own; where it throws or does not return in
/// time, `answer` is why.
struct callback_answer {
  bool is_answer = false;
  std::string answer = {};
};
[[nodiscard]] inline callback_answer call_within(std::chrono::milliseconds deadline,
                                                 const std::function<std::string()>& callback) {
  std::packaged_task<callback_answer()> task([callback]() -> callback_answer {
    try {
      return {true, callback()};
    } catch (const std::exception& error) {
      return {false, std::string("no answer: ") + error.what()};
    } catch (...) {
      return {false, "no answer: an exception"};
    }
  });
  std::future<callback_answer> answer = task.get_future();
  std::thread(std::move(task)).detach();
  if (answer.wait_until(deadline_after(deadline)) == std::future_status::ready) return answer.get();
  return {false, "no answer within " + std::to_string(deadline.count()) + " ms"};
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
  require_waiting_time("callback_deadline", options_.callback_deadline);
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
  std::unique_lock lock(mutex_);
  const std::vector<channel_watch_point> channels = channels_;
  lock.unlock();
  write_all(channels);
}

OMNIBAL_INLINE std::string channel_watchdog::report() const {
  const std::scoped_lock lock(mutex_);
  return report_;
}

OMNIBAL_INLINE void channel_watchdog::run() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_until(lock, deadline_after(options_.interval), [&] { return stops_; })) {
    std::erase_if(channels_, [](const channel_watch_point& each) { return each.is_closed(); });
    if (!report_.empty() || !is_late()) continue;
    const std::vector<channel_watch_point> channels = channels_;
    lock.unlock();
    end_all(channels);
    lock.lock();
  }
}

OMNIBAL_INLINE bool channel_watchdog::is_late() const {
  return std::ranges::any_of(channels_, [&](const channel_watch_point& channel) {
    const auto waited = detail::age(channel);
    // In milliseconds: the longest deadline has no nanoseconds.
    return waited && *waited / 1'000'000 >= options_.deadline.count() &&
           channel.log().failure.empty();
  });
}

OMNIBAL_INLINE void channel_watchdog::end_all(const std::vector<channel_watch_point>& channels) {
  const std::string waiting = detail::describe_all(channels);
  add_to_report(waiting);
  write_all(channels);
  if (options_.missing)
    add_to_report("missing: " +
                  detail::call_within(options_.callback_deadline, options_.missing).answer + "\n");
  deliver_report();
  const std::string reason = "the watchdog: " + waiting.substr(0, waiting.find('\n'));
  for (const channel_watch_point& channel : channels) channel.abort(reason);
}

OMNIBAL_INLINE void channel_watchdog::add_to_report(const std::string& text) {
  const std::scoped_lock lock(mutex_);
  report_ += text;
}

OMNIBAL_INLINE void channel_watchdog::deliver_report() const {
  const std::string text = report();
  if (options_.report) {
    const auto delivered =
        detail::call_within(options_.callback_deadline, [text, report = options_.report] {
          report(text);
          return std::string();
        });
    if (delivered.is_answer) return;
    std::fprintf(stderr, "omnibal: the report of the watchdog could not be delivered, %s\n",
                 delivered.answer.c_str());
  }
  std::fputs(text.c_str(), stderr);
}

OMNIBAL_INLINE void channel_watchdog::write_all(
    const std::vector<channel_watch_point>& channels) const {
  if (options_.log_directory.empty()) return;
  for (const channel_watch_point& channel : channels)
    if (!write_flight_log(channel.log(), options_.log_directory))
      std::fprintf(stderr, "omnibal: a flight record cannot be written to %s\n",
                   options_.log_directory.c_str());
}

}  // namespace omnibal::inline v0
