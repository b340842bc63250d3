// SPDX-License-Identifier: Apache-2.0
// Flight records of several channels and ranks, compared.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/comm/flight_report.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/core/error.hpp>

#include "../catch.hpp"
#include "collective_checks.hpp"

using namespace omnibal;
using logs = std::vector<flight_log>;

namespace {

flight_log log_of(const std::string& channel, std::size_t rank, std::size_t operations,
                  std::size_t size = 3) {
  flight_log log{.channel = channel, .rank = rank, .size = size};
  for (std::uint64_t i = 0; i < operations; ++i)
    log.entries.push_back({.sequence = i,
                           .operation = channel_operation::all_reduce,
                           .type = element_type::f32,
                           .count = 8,
                           .bytes = 32,
                           .order = i});
  return log;
}

std::string refusal(const logs& given) {
  try {
    (void)compare_flights(given);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

flight_log with_message(std::optional<std::uint64_t> peer) {
  flight_log log = log_of("data", 1, 0);
  log.entries.push_back({.operation = channel_operation::send, .peer = peer});
  return log;
}

}  // namespace

TEST_CASE("Records are compared by channel, whatever their order") {
  logs given = {log_of("tensor", 0, 2, 2), log_of("data", 2, 4), log_of("tensor", 1, 2, 2),
                log_of("data", 0, 4), log_of("data", 1, 4)};
  given[1].entries.pop_back();
  given[4].entries[2].count = 9;
  given[3].failure = "rank 0: late";
  std::vector<std::size_t> order = {0, 1, 2, 3, 4};
  do {
    logs shuffled;
    for (const std::size_t k : order) shuffled.push_back(given[k]);
    const auto reports = compare_flights(shuffled);
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].channel == "data");
    CHECK(reports[0].ranks == 3);
    CHECK(reports[0].absent.empty());
    REQUIRE(reports[0].failures.size() == 1);
    CHECK(reports[0].failures[0].rank == 0);
    CHECK(reports[0].failures[0].reason == "rank 0: late");
    REQUIRE(reports[0].difference);
    CHECK(reports[0].difference->rank == 0);
    CHECK(reports[0].difference->sequence == 2);
    CHECK(reports[0].difference->explanation ==
          "rank 0 called all_reduce #2 of 8 f32, 32 bytes, rank 1 called all_reduce #2 of 9 f32, "
          "32 bytes");
    CHECK(reports[1].channel == "tensor");
    CHECK(reports[1].ranks == 2);
    CHECK(!reports[1].difference);
  } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("Ranks without a record are absent, and the others are compared") {
  const auto reports = compare_flights({log_of("data", 4, 3, 6), log_of("data", 1, 3, 6)});
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].absent == std::vector<std::size_t>{0, 2, 3, 5});
  CHECK(!reports[0].difference);
  CHECK(compare_flights({}).empty());
}

TEST_CASE("Records that cannot be of one run are refused by their number") {
  CHECK(refusal({log_of("data", 0, 1), log_of("pipeline", 0, 1)}).empty());
  CHECK(refusal({log_of("data", 0, 1), log_of("tensor", 0, 1), log_of("data", 0, 1)}) ==
        "logs[2].rank = 0: is in another record of this channel too");
  CHECK(refusal({log_of("data", 0, 1), log_of("data", 1, 1, 4)}) ==
        "logs[1].size = 4: must be that of the other records, 3");
  CHECK(refusal({log_of("data", 3, 1)}) == "logs[0].rank = 3: must be less than the size, 3");
  CHECK(refusal({with_message(0)}).empty());
  for (const auto& [peer, value] : {std::pair<std::optional<std::uint64_t>, std::string>{1, "1"},
                                    {3, "3"},
                                    {std::nullopt, "nothing"}})
    CHECK(refusal({log_of("data", 0, 1), with_message(peer)}) ==
          "logs[1].entries[0].peer = " + value + ": must be another rank");
}

TEST_CASE("Ranks that differ in the reduction alone are told apart") {
  for (const auto operation : {channel_operation::all_reduce, channel_operation::reduce_scatter}) {
    logs given = {log_of("data", 0, 3), log_of("data", 1, 3), log_of("data", 2, 3)};
    for (flight_log& log : given)
      for (flight_entry& entry : log.entries) {
        entry.operation = operation;
        entry.how = reduction::sum;
      }
    CHECK(!compare_flights(given)[0].difference);
    given[2].entries[1].how = reduction::largest;
    const auto difference = compare_flights(given)[0].difference;
    REQUIRE(difference);
    CHECK(difference->sequence == 1);
    const std::string call = std::string(name_of(operation)) + " #1 of 8 f32, ";
    CHECK(difference->explanation ==
          "rank 0 called " + call + "sum, 32 bytes, rank 2 called " + call + "largest, 32 bytes");
    // A record of a version that did not say how.
    given[2].entries[1].how.reset();
    CHECK(!compare_flights(given)[0].difference);
  }
}

TEST_CASE("A channel notes the reduction of its operations") {
  run_as_ranks(2, [](thread_communicator& ranks) {
    auto channel = open_thread_channel(ranks);
    std::vector<float> values(2);
    std::vector<float> own(1);
    const std::vector<std::size_t> counts = {1, 1};
    channel.all_reduce(view_of(values), reduction::largest).wait();
    channel.reduce_scatter(view_of(values), view_of(own), counts, reduction::smallest).wait();
    channel.all_gather(view_of(own), view_of(values), counts).wait();
    const auto entries = channel.log().entries;
    using collective_checks::expect;
    expect(entries[0].how == reduction::largest, "of an all_reduce");
    expect(entries[1].how == reduction::smallest, "of a reduce_scatter");
    expect(!entries[2].how, "an all_gather reduces nothing");
  });
}
