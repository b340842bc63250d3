// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/core/grouping.hpp>

#include "catch.hpp"

namespace {

using omnibal::grouping;
using omnibal::run_as_ranks;
using omnibal::thread_communicator;

using rank_list = std::vector<std::size_t>;

/// Who disagrees when rank r holds hashes[r]; every rank must say the same.
rank_list disagreeing(const std::vector<std::uint64_t>& hashes) {
  std::vector<rank_list> answers(hashes.size());
  run_as_ranks(hashes.size(), [&](thread_communicator& ranks) {
    answers[ranks.rank()] = omnibal::disagreeing_ranks(ranks, hashes[ranks.rank()]);
  });
  for (const rank_list& answer : answers) REQUIRE(answer == answers[0]);
  return answers[0];
}

}  // namespace

TEST_CASE("the ranks that differ from most are named, of halves those without rank 0") {
  CHECK(disagreeing({5}).empty());
  CHECK(disagreeing({5, 5, 5}).empty());
  CHECK(disagreeing({5, 5, 6}) == rank_list{2});
  CHECK(disagreeing({6, 5, 5}) == rank_list{0});
  CHECK(disagreeing({5, 6}) == rank_list{1});
  CHECK(disagreeing({9, 6, 9, 6, 7}) == rank_list{1, 3, 4});
  CHECK(disagreeing({1, 2, 3}) == rank_list{1, 2});
}

TEST_CASE("a rank with another plan is an error on every rank") {
  for (const std::size_t odd : {0U, 3U}) {
    std::vector<std::string> errors(4);
    run_as_ranks(4, [&](thread_communicator& ranks) {
      grouping<> plan({0, 2, 3}, {7, 8, 9});
      if (ranks.rank() == odd) plan.append(std::vector<std::uint32_t>{});
      try {
        omnibal::require_agreement(ranks, "epoch 3", plan, 17);
      } catch (const omnibal::plan_divergence& error) {
        errors[ranks.rank()] = error.what();
      }
    });
    for (const std::string& error : errors)
      CHECK(error == "epoch 3 differs between ranks: rank " + std::to_string(odd) +
                         " of 4 disagrees with the others");
  }
}

TEST_CASE("the error lists the ranks that differ") {
  const omnibal::plan_divergence error("the plan", {1, 3}, 5);
  CHECK(error.ranks() == rank_list{1, 3});
  CHECK(error.what() ==
        std::string("the plan differs between ranks: ranks 1, 3 of 5 disagree with the others"));
}

TEST_CASE("a plan that one rank broadcasts is the same on all, whatever plan they had before") {
  const grouping<std::uint64_t> plan({0, 3, 3, 4}, {5, 1, std::uint64_t{1} << 40, 2});
  run_as_ranks(5, [&](thread_communicator& ranks) {
    const auto mine = ranks.rank() == 2 ? plan : grouping<std::uint64_t>();
    const auto received = omnibal::broadcast_grouping(ranks, mine, 2);
    omnibal::require_agreement(ranks, "plan", received);
    if (!(received == plan)) throw std::logic_error("the plan changed on its way");
  });
}
