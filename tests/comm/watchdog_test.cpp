// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include <omnibal/comm/missing_ranks.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "catch.hpp"

namespace {

using omnibal::channel_watch_point;
using omnibal::channel_watchdog;
using omnibal::flight_entry;
using omnibal::flight_log;
using omnibal::flight_recorder;
using std::chrono::milliseconds;

/// A channel with an operation that is late, and what was done to it.
struct late_channel {
  std::atomic<int> aborts = 0;
  std::mutex mutex;
  std::string reason;

  /// The operation began this long ago.
  channel_watch_point watch_point(const std::string& name = "data",
                                  std::chrono::seconds age = std::chrono::seconds(0)) {
    const flight_entry late{
        .sequence = 7,
        .operation = omnibal::channel_operation::receive,
        .type = omnibal::element_type::f32,
        .count = 3,
        .bytes = 12,
        .peer = 2,
        .issued = flight_recorder::now() - std::chrono::nanoseconds(age).count()};
    return {.log = [name] { return flight_log{.channel = name, .rank = 1, .size = 4}; },
            .oldest_unfinished = [late] { return std::optional(late); },
            .abort =
                [this](std::string_view why) {
                  const std::scoped_lock lock(mutex);
                  reason = why;
                  ++aborts;
                },
            .is_closed = [] { return false; }};
  }

  bool is_aborted() {
    for (int i = 0; i < 6000 && aborts == 0; ++i) std::this_thread::sleep_for(milliseconds(5));
    return aborts > 0;
  }
};

/// What is printed on standard error until read() is called.
class standard_error {
 public:
  standard_error() : file_(std::tmpfile()), before_(dup(STDERR_FILENO)) {
    dup2(fileno(file_), STDERR_FILENO);
  }
  standard_error(standard_error&&) = delete;
  standard_error& operator=(standard_error&&) = delete;
  ~standard_error() { std::fclose(file_); }

  std::string read() {
    std::fflush(stderr);
    dup2(before_, STDERR_FILENO);
    close(before_);
    std::rewind(file_);
    std::string text(10'000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file_));
    return text;
  }

 private:
  std::FILE* file_;
  int before_;
};

/// Options whose deadline is short. Callbacks have time: their threads may begin late.
omnibal::watchdog_options hasty() {
  return {.deadline = milliseconds(30),
          .interval = milliseconds(5),
          .report = [](const std::string&) {},
          .callback_deadline = std::chrono::seconds(30)};
}

TEST_CASE("a report names number, operation, elements, bytes, peer and age") {
  late_channel channel;
  standard_error printed;
  channel_watchdog watchdog(hasty());
  watchdog.watch(channel.watch_point());
  const bool is_aborted = channel.is_aborted();
  CHECK(printed.read() == "");
  REQUIRE(is_aborted);
  CHECK_THAT(watchdog.report(),
             Catch::Matchers::StartsWith("channel data, rank 1: receive #7 of 3 f32, 12 bytes, "
                                         "from rank 2 has not ended after "));
}

TEST_CASE("a callback that throws loses neither the report nor the abort") {
  late_channel channel;
  auto options = hasty();
  options.missing = []() -> std::string { throw std::runtime_error("the network is down"); };
  options.report = [](const std::string&) { throw 42; };
  standard_error printed;
  channel_watchdog watchdog(options);
  watchdog.watch(channel.watch_point());
  const bool is_aborted = channel.is_aborted();
  CHECK_THAT(printed.read(),
             Catch::Matchers::ContainsSubstring("could not be delivered, no answer: an exception\n"
                                                "channel data, rank 1: receive #7"));
  REQUIRE(is_aborted);
  CHECK_THAT(watchdog.report(),
             Catch::Matchers::StartsWith("channel data, rank 1: receive #7") &&
                 Catch::Matchers::EndsWith("missing: no answer: the network is down\n"));
}

TEST_CASE("a callback that does not return delays the abort by its deadline alone") {
  struct gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_open = false;
    void wait() {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return is_open; });
    }
  };
  static gate never;  // outlives the threads that wait
  late_channel channel;
  auto options = hasty();
  options.callback_deadline = milliseconds(100);
  options.missing = [] {
    never.wait();
    return std::string();
  };
  options.report = [](const std::string&) { never.wait(); };
  {
    channel_watchdog watchdog(options);
    watchdog.watch(channel.watch_point());
    REQUIRE(channel.is_aborted());
    CHECK_THAT(watchdog.report(), Catch::Matchers::EndsWith("missing: no answer within 100 ms\n"));
  }
  const std::scoped_lock lock(never.mutex);
  never.is_open = true;
  never.changed.notify_all();
}

TEST_CASE("callbacks may call the watchdog") {
  late_channel first;
  late_channel second;
  channel_watchdog* itself = nullptr;
  std::atomic<bool> is_set = false;
  std::string seen;
  auto options = hasty();
  options.missing = [&] {
    while (!is_set) std::this_thread::yield();
    itself->watch(second.watch_point("other"));
    return itself->report();
  };
  options.report = [&](const std::string& text) { seen = text; };
  channel_watchdog watchdog(options);
  itself = &watchdog;
  is_set = true;
  watchdog.watch(first.watch_point());
  REQUIRE(first.is_aborted());
  CHECK_THAT(seen, Catch::Matchers::ContainsSubstring("missing: channel data, rank 1"));
}

TEST_CASE("all channels are aborted with the oldest operation as the reason") {
  late_channel first;
  late_channel second;
  // Only once both are watched there is an operation.
  std::atomic<bool> has_begun = false;
  const auto begun = [&](channel_watch_point point) {
    point.oldest_unfinished = [&, late = point.oldest_unfinished()] {
      return has_begun ? late : std::nullopt;
    };
    return point;
  };
  channel_watchdog watchdog(hasty());
  watchdog.watch(begun(second.watch_point("second", std::chrono::seconds(1))));
  watchdog.watch(begun(first.watch_point("first", std::chrono::seconds(2))));
  has_begun = true;
  REQUIRE((first.is_aborted() && second.is_aborted()));
  CHECK_THAT(first.reason, Catch::Matchers::StartsWith("the watchdog: channel first, rank 1"));
  CHECK(second.reason == first.reason);
}

TEST_CASE("the longest deadline does not end at once, and others below it are refused") {
  late_channel channel;
  {
    auto options = hasty();
    options.deadline = milliseconds::max();
    channel_watchdog watchdog(options);
    watchdog.watch(channel.watch_point());
    std::this_thread::sleep_for(milliseconds(60));
  }
  CHECK(channel.aborts == 0);
  for (auto member : {&omnibal::watchdog_options::deadline, &omnibal::watchdog_options::interval,
                      &omnibal::watchdog_options::callback_deadline}) {
    auto options = hasty();
    options.*member = milliseconds(-1);
    CHECK_THROWS_AS(channel_watchdog(options), omnibal::invalid_input);
  }
}

TEST_CASE("ranks that are late say over control where they differ") {
  std::vector<std::string> said(3);
  omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& control) {
    flight_log log{.channel = "data", .rank = control.rank(), .size = 3};
    log.entries.push_back({.operation = omnibal::channel_operation::all_reduce, .count = 4});
    if (control.rank() != 1)
      log.entries.push_back(
          {.sequence = 1, .operation = omnibal::channel_operation::broadcast, .order = 1});
    said[control.rank()] = omnibal::missing_ranks(control, std::vector{log});
  });
  for (const std::string& text : said)
    CHECK_THAT(text, Catch::Matchers::StartsWith("channel data: rank 0 called broadcast #1") &&
                         Catch::Matchers::ContainsSubstring("rank 1 did not call it"));
}

TEST_CASE("a rank that does not answer is named by control") {
  std::string said;
  omnibal::run_as_ranks(2,
                        [&](omnibal::thread_communicator& control) {
                          if (control.rank() == 0)
                            said =
                                omnibal::missing_ranks(control, std::vector{flight_log{.size = 2}});
                          else
                            std::this_thread::sleep_for(milliseconds(200));
                        },
                        {.deadline = milliseconds(50)});
  CHECK_THAT(said, Catch::Matchers::StartsWith("not all ranks answer: ") &&
                       Catch::Matchers::ContainsSubstring("rank 1"));
}

TEST_CASE("records survive their way over control") {
  flight_log log{.channel = "a b", .rank = 2, .size = 5, .failure = "\"why\""};
  log.entries.push_back({.sequence = 9, .bytes = 1, .peer = 3, .order = 2, .issued = 4});
  log.entries.push_back({});
  const auto back = omnibal::detail::unpack_flights(
      omnibal::detail::pack_flights(std::vector{log, flight_log{}}));
  REQUIRE(back.size() == 2);
  CHECK(omnibal::to_json(back[0]) == omnibal::to_json(log));
  CHECK(omnibal::to_json(back[1]) == omnibal::to_json(flight_log{}));
}

}  // namespace
