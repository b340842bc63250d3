// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random programs of threads in which one rank does something wrong. Every other rank must get an
/// error, and one of them must name the rank at fault; nothing may hang. A run has 60 faults, or as
/// many as the environment variable OMNIBAL_FAULTS says. comm/mpi has the same over MPI.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "catch.hpp"
#include "comm/fault_checks.hpp"

namespace {

using fault_checks::deadline;
using fault_checks::fault;
using fault_checks::outcome;
using fault_checks::scenario;
using omnibal::reduction;
using omnibal::thread_channel;
using omnibal::view_of;

std::vector<thread_channel> open_channels(omnibal::thread_communicator& ranks, bool rendezvous) {
  std::vector<thread_channel> all;
  for (const char* name : fault_checks::channel_names)
    all.push_back(omnibal::open_thread_channel(ranks, {.rendezvous = rendezvous, .name = name}));
  return all;
}

/// Not at the deadline alone.
bool is_seen_at_once(fault wrong) { return wrong != fault::is_late && wrong != fault::other_plan; }

std::vector<outcome> run(const scenario& given) {
  std::vector<outcome> outcomes(given.ranks);
  std::atomic<std::size_t> ended = 0;
  const auto all_others_ended = [&] {
    while (ended + 1 < given.ranks) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  try {
    omnibal::run_as_ranks(given.ranks, [&](omnibal::thread_communicator& ranks) {
      auto all = open_channels(ranks, given.rendezvous);
      fault_checks::faulty_program program(given, all, is_seen_at_once(given.wrong),
                                           all_others_ended);
      outcomes[ranks.rank()] = program.run();
      ++ended;
    });
  } catch (const std::domain_error&) {
  }
  return outcomes;
}

/// The process ends when a scenario hangs: its threads cannot be ended otherwise.
std::vector<outcome> run_watched(const scenario& given) {
  auto running = std::async(std::launch::async, [&] { return run(given); });
  if (running.wait_for(fault_checks::watchdog) != std::future_status::ready) {
    std::fprintf(stderr, "fault %llu hangs\n", static_cast<unsigned long long>(given.seed));
    std::_Exit(1);
  }
  return running.get();
}

}  // namespace

TEST_CASE("whatever one rank does wrong, every other one gets an error and none hangs") {
  std::chrono::milliseconds slowest{0};
  for (std::uint64_t seed = 0; seed < fault_checks::number_of_faults(); ++seed) {
    const scenario given = fault_checks::random_scenario(seed);
    std::vector<std::string> errors;
    for (const outcome& each : run_watched(given)) {
      if (errors.size() != given.rank) slowest = std::max(slowest, each.waited);
      errors.push_back(each.error);
    }
    INFO("fault " << seed << ", kind " << seed % fault_checks::random_faults << ", rank "
                  << given.rank);
    CHECK(fault_checks::complaint(given, errors, is_seen_at_once(given.wrong)) == "");
  }
  std::printf("slowest report: %lld ms after the call, with deadlines of %lld ms\n",
              static_cast<long long>(slowest.count()), static_cast<long long>(deadline.count()));
}

TEST_CASE("a rank whose error comes from another one says whom it waited for itself") {
  // Rank 0 waits for rank 1, which waits for rank 2, which comes only once both have failed.
  for (const bool rendezvous : {false, true}) {
    std::vector<std::string> errors(3);
    std::atomic<bool> waits = false;
    std::atomic<int> failed = 0;
    omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
      auto channel = omnibal::open_thread_channel(ranks, {.rendezvous = rendezvous});
      std::vector<float> values(4);
      try {
        if (ranks.rank() == 1) {
          auto receive = channel.receive(view_of(values), 2);
          waits = true;
          receive.wait(fault_checks::patience);
        }
        while (!waits) std::this_thread::yield();
        if (ranks.rank() == 0) channel.receive(view_of(values), 1).wait(deadline);
        while (failed != 2) std::this_thread::yield();
      } catch (const omnibal::communication_error& error) {
        errors[ranks.rank()] = error.what();
        ++failed;
      }
    });
    CHECK(errors[0] ==
          "rank 0, receive of 16 bytes of f32 from rank 1 #0: rank 1 did not come "
          "within 200 ms");
    CHECK(errors[1] ==
          "rank 1, receive of 16 bytes of f32 from rank 2 #0: rank 0: rank 1 did not "
          "come within 200 ms; rank 1 waits for rank 2");
  }
}

TEST_CASE("the watchdog ends three busy channels together and says what each waited for") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("omnibal_flights_" + std::to_string(::getpid()));
  std::filesystem::create_directory(directory);
  std::vector<std::string> errors(3);
  std::string report;
  std::atomic<bool> is_ended = false;
  omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
    // Outlives the channels: after an error on one, the others still have their messages.
    std::vector<float> values(4);
    // Tickets have long deadlines: only the watchdog of rank 0 ends this. It sees operations once
    // all that it has to report are under way.
    std::atomic<bool> are_under_way = false;
    auto all = open_channels(ranks, true);
    omnibal::channel_watchdog watchdog(
        {.deadline = ranks.rank() == 0 ? deadline : std::chrono::minutes(1),
         .interval = std::chrono::milliseconds(10),
         .log_directory = directory.string(),
         .missing = [] { return std::string("rank 2"); },
         .report = [](const std::string&) {}});
    for (const thread_channel& channel : all) {
      auto point = channel.watch_point();
      point.oldest_unfinished = [&, oldest = point.oldest_unfinished] {
        return are_under_way ? oldest() : std::nullopt;
      };
      watchdog.watch(point);
    }
    try {
      auto first = all[0].all_reduce(view_of(values), reduction::sum);
      first.wait();
      std::vector<thread_channel::ticket> waiting;
      if (ranks.rank() != 2)
        for (thread_channel& channel : all)
          waiting.push_back(channel.all_reduce(view_of(values), reduction::sum));
      are_under_way = true;
      for (auto& ticket : waiting) ticket.wait();
      // Rank 2 computes, and finds out at its next call.
      while (!is_ended) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      all[1].all_reduce(view_of(values), reduction::sum).wait();
    } catch (const omnibal::communication_error& error) {
      errors[ranks.rank()] = error.what();
      is_ended = true;
    }
    if (ranks.rank() == 0) report = watchdog.report();
    watchdog.write_logs();
  });
  for (const std::string& error : errors)
    CHECK_THAT(error, Catch::Matchers::ContainsSubstring("the watchdog: channel"));
  for (const char* name : {"data", "pipeline", "tensor"})
    CHECK_THAT(report, Catch::Matchers::ContainsSubstring("channel " + std::string(name) +
                                                          ", rank 0: all_reduce #"));
  CHECK_THAT(report, Catch::Matchers::ContainsSubstring("missing: rank 2"));
  CHECK(std::filesystem::exists(directory / "data.0.json"));
  std::filesystem::remove_all(directory);
}

TEST_CASE("the first difference is the first operation in which records differ") {
  using omnibal::channel_operation;
  using omnibal::element_type;
  const auto log_of = [](std::size_t rank) {
    omnibal::flight_log log{.rank = rank, .size = 3};
    for (std::uint64_t i = 0; i < 5; ++i)
      log.entries.push_back({.sequence = i,
                             .operation = channel_operation::all_reduce,
                             .type = element_type::f32,
                             .count = 10 + i,
                             .bytes = 40 + 4 * i,
                             .order = i});
    return log;
  };
  std::vector<omnibal::flight_log> logs = {log_of(0), log_of(1), log_of(2)};
  CHECK_FALSE(omnibal::first_difference(logs));
  logs[1].entries[3].count = 99;
  logs[2].entries.pop_back();
  auto found = omnibal::first_difference(logs);
  REQUIRE(found);
  CHECK(found->sequence == 3);
  CHECK(
      found->explanation ==
      "rank 0 called all_reduce #3 of 13 f32, 52 bytes, rank 1 called all_reduce #3 of 99 f32, 52 "
      "bytes");
  logs[1] = log_of(1);
  found = omnibal::first_difference(logs);
  REQUIRE(found);
  CHECK(found->explanation ==
        "rank 0 called all_reduce #4 of 14 f32, 56 bytes; rank 2 did not call it, its last is "
        "all_reduce #3 of 13 f32, 52 bytes");
  // A receive without its send, and records that begin later because the ring is full.
  logs[2] = log_of(2);
  logs[0].entries.push_back({.sequence = 5, .operation = channel_operation::receive, .peer = 2});
  found = omnibal::first_difference(logs);
  REQUIRE(found);
  CHECK_THAT(found->explanation, Catch::Matchers::ContainsSubstring("rank 2 did not call it"));
  logs[0] = log_of(0);
  logs[0].entries.erase(logs[0].entries.begin(), logs[0].entries.begin() + 2);
  CHECK_FALSE(omnibal::first_difference(logs));
}

TEST_CASE("a record is JSON whatever its texts") {
  const omnibal::flight_log log{.channel = "a \"quoted\"\n name",
                                .rank = 1,
                                .size = 2,
                                .entries = {{.operation = omnibal::channel_operation::send,
                                             .type = omnibal::element_type::bf16,
                                             .count = 3,
                                             .bytes = 6,
                                             .peer = 0},
                                            {.operation = omnibal::channel_operation::all_reduce,
                                             .how = omnibal::reduction::largest}}};
  CHECK(
      omnibal::to_json(log) ==
      "{\"version\":1,\"channel\":\"a \\\"quoted\\\"\\u000a name\",\"rank\":1,\"size\":2,"
      "\"failure\":\"\",\"operations\":[\n"
      "{\"sequence\":0,\"operation\":\"send\",\"type\":\"bf16\",\"count\":3,\"bytes\":6,\"peer\":0,"
      "\"order\":0,\"issued_ns\":0,\"started_ns\":0,\"ended_ns\":0},\n"
      "{\"sequence\":0,\"operation\":\"all_reduce\",\"type\":\"byte\",\"count\":0,\"bytes\":0,"
      "\"reduction\":\"largest\",\"order\":0,\"issued_ns\":0,\"started_ns\":0,\"ended_ns\":0}\n]}"
      "\n");
}
