// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random programs over three channels in which one rank does something wrong. Every other rank
/// must get an error, and one of them must name the rank at fault; nothing may hang. A run has 60
/// faults, or as many as the environment variable OMNIBAL_FAULTS says.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "catch.hpp"

namespace {

using omnibal::reduction;
using omnibal::thread_channel;
using omnibal::view_of;
using clock_type = std::chrono::steady_clock;

constexpr auto deadline = std::chrono::milliseconds(200);
constexpr std::size_t steps = 8;

enum class fault {
  none,
  throws,
  leaves,
  is_late,
  other_operation,
  sends_more,
  sends_fewer,
  other_plan,
  aborts
};
constexpr std::size_t fault_kinds = 9;

struct scenario {
  std::uint64_t seed = 0;
  std::size_t ranks = 2;
  bool rendezvous = false;
  fault wrong = fault::none;
  std::size_t rank = 0;  // at fault
  std::size_t step = 0;  // even
};

scenario random_scenario(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  scenario made{.seed = seed,
                .ranks = 2 + random() % 3,
                .rendezvous = random() % 2 == 0,
                .wrong = static_cast<fault>(seed % fault_kinds)};
  made.rank = random() % made.ranks;
  made.step = 2 * (random() % (steps / 2));
  return made;
}

using channels = std::vector<thread_channel>;

/// One operation of the program: two steps in a row are on the same channel, with different sizes.
void carry_out(const scenario& given, channels& all, std::size_t step, int change) {
  thread_channel& channel = all[step / 2 % all.size()];
  const std::size_t count = 6 + 4 * step;
  const auto changed = static_cast<std::size_t>(static_cast<int>(count) + change);
  const std::uint64_t kind = (given.seed + step) % 3;
  std::vector<float> values(changed, 1.0F);
  if (kind == 0) return channel.all_reduce(view_of(values), reduction::sum).wait();
  if (kind == 1) return channel.broadcast(view_of(values), step % given.ranks).wait();
  std::vector<float> received(count);
  const std::size_t size = channel.size();
  omnibal::in_group(channel, [&] {
    channel.send(view_of(values), (channel.rank() + 1) % size);
    channel.receive(view_of(received), (channel.rank() + size - 1) % size);
  }).wait();
}

void run_program(const scenario& given, std::size_t rank, channels& all) {
  for (std::size_t step = 0; step < steps; ++step) {
    const bool is_wrong = rank == given.rank && step == given.step;
    if (!is_wrong || given.wrong == fault::none) {
      carry_out(given, all, step, 0);
      continue;
    }
    switch (given.wrong) {
      case fault::throws: throw std::domain_error("the loss is not a number");
      case fault::leaves: return;
      case fault::is_late: std::this_thread::sleep_for(3 * deadline); break;
      case fault::other_operation: {
        const std::vector<double> own(1);
        const std::vector<std::size_t> counts(given.ranks, 1);
        std::vector<double> gathered(given.ranks);
        all[step / 2 % all.size()].all_gather(view_of(own), view_of(gathered), counts).wait();
        break;
      }
      case fault::sends_more: carry_out(given, all, step, 1); break;
      case fault::sends_fewer: carry_out(given, all, step, -1); break;
      case fault::other_plan:
        carry_out(given, all, step + 1, 0);
        carry_out(given, all, step, 0);
        ++step;
        break;
      case fault::aborts: all[step / 2 % all.size()].abort("a spike of the loss"); break;
      case fault::none: break;
    }
    if (given.wrong == fault::is_late) carry_out(given, all, step, 0);
  }
  // Every channel is used once more, so that a fault in any of them is seen by all.
  for (std::size_t step = 0; step < 2 * all.size(); step += 2) carry_out(given, all, step, 0);
}

struct outcome {
  std::vector<std::string> errors;
  std::chrono::milliseconds slowest{0};
};

outcome run(const scenario& given) {
  outcome result{std::vector<std::string>(given.ranks)};
  const auto begin = clock_type::now();
  try {
    omnibal::run_as_ranks(given.ranks, [&](omnibal::thread_communicator& ranks) {
      try {
        channels all;
        for (const char* name : {"data", "pipeline", "tensor"})
          all.push_back(omnibal::open_thread_channel(
              ranks, {.rendezvous = given.rendezvous, .deadline = deadline, .name = name}));
        run_program(given, ranks.rank(), all);
      } catch (const omnibal::communication_error& error) {
        result.errors[ranks.rank()] = error.what();
      }
    });
  } catch (const std::domain_error&) {
  }
  result.slowest = std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - begin);
  return result;
}

/// The process ends when a scenario hangs: its threads cannot be ended otherwise.
outcome run_watched(const scenario& given) {
  auto running = std::async(std::launch::async, [&] { return run(given); });
  if (running.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
    std::fprintf(stderr, "fault %llu hangs\n", static_cast<unsigned long long>(given.seed));
    std::_Exit(1);
  }
  return running.get();
}

/// Whether "rank 2" or "ranks 0, 2" is in a text.
bool names(const std::string& text, std::size_t rank) {
  if (text.find("rank " + std::to_string(rank)) != std::string::npos) return true;
  const std::size_t list = text.find("ranks ");
  if (list == std::string::npos) return false;
  const std::string ranks =
      text.substr(list + 6, text.find_first_not_of("0123456789, ", list + 6) - list - 6);
  return (", " + ranks).find(", " + std::to_string(rank)) != std::string::npos;
}

std::size_t number_of_faults() {
  const char* number = std::getenv("OMNIBAL_FAULTS");
  return number == nullptr ? 60 : std::strtoull(number, nullptr, 10);
}

}  // namespace

TEST_CASE("whatever one rank does wrong, every other one gets an error and none hangs") {
  std::chrono::milliseconds slowest{0};
  for (std::uint64_t seed = 0; seed < number_of_faults(); ++seed) {
    const scenario given = random_scenario(seed);
    const outcome result = run_watched(given);
    INFO("fault " << seed << ", kind " << seed % fault_kinds << ", rank " << given.rank);
    bool is_named = false;
    for (std::size_t r = 0; r < given.ranks; ++r) {
      const std::string& error = result.errors[r];
      INFO(error);
      if (given.wrong == fault::none) CHECK(error.empty());
      if (given.wrong == fault::none || r == given.rank) continue;
      CHECK(error.find("rank " + std::to_string(r) + ", ") == 0);
      CHECK(error.find(" #") != std::string::npos);
      // A rank may wait for one that waits for the late one, and reach its deadline first.
      is_named |=
          names(error.substr(error.find(" #")), given.rank) ||
          (given.wrong == fault::is_late && error.find("did not come") != std::string::npos);
    }
    CHECK((is_named || given.wrong == fault::none));
    slowest = std::max(slowest, result.slowest);
  }
  std::printf("slowest fault: %lld ms with deadlines of %lld ms\n",
              static_cast<long long>(slowest.count()), static_cast<long long>(deadline.count()));
}

TEST_CASE("the watchdog ends three busy channels together and says what each waited for") {
  const auto directory =
      std::filesystem::temp_directory_path() / ("omnibal_flights_" + std::to_string(std::rand()));
  std::filesystem::create_directory(directory);
  std::vector<std::string> errors(3);
  std::string report;
  std::atomic<bool> is_ended = false;
  omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
    // Outlives the channels: after an error on one, the others still have their messages.
    std::vector<float> values(4);
    // Tickets have long deadlines: only the watchdog of rank 0 ends this.
    channels all;
    for (const char* name : {"data", "pipeline", "tensor"})
      all.push_back(omnibal::open_thread_channel(ranks, {.rendezvous = true, .name = name}));
    omnibal::channel_watchdog watchdog(
        {.deadline = ranks.rank() == 0 ? deadline : std::chrono::minutes(1),
         .interval = std::chrono::milliseconds(10),
         .log_directory = directory.string(),
         .missing = [] { return std::string("rank 2"); },
         .report = [](const std::string&) {}});
    for (const thread_channel& channel : all) watchdog.watch(channel);
    try {
      auto first = all[0].all_reduce(view_of(values), reduction::sum);
      first.wait();
      std::vector<thread_channel::ticket> waiting;
      if (ranks.rank() != 2)
        for (thread_channel& channel : all)
          waiting.push_back(channel.all_reduce(view_of(values), reduction::sum));
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
                                             .peer = 0}}};
  CHECK(
      omnibal::to_json(log) ==
      "{\"version\":1,\"channel\":\"a \\\"quoted\\\"\\u000a name\",\"rank\":1,\"size\":2,"
      "\"failure\":\"\",\"operations\":[\n"
      "{\"sequence\":0,\"operation\":\"send\",\"type\":\"bf16\",\"count\":3,\"bytes\":6,\"peer\":0,"
      "\"order\":0,\"issued_ns\":0,\"started_ns\":0,\"ended_ns\":0}\n]}\n");
}
