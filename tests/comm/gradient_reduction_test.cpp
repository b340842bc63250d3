// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <omnibal/comm/gradient_reduction.hpp>
#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "catch.hpp"
#include "comm/reduction_checks.hpp"

TEST_CASE("reductions, sharded steps and exchanges over threads are those of one process") {
  for (const std::size_t size : {1U, 2U, 3U, 5U, 8U})
    REQUIRE_NOTHROW(omnibal::run_as_ranks(size, [](omnibal::thread_communicator& ranks) {
      auto channel = omnibal::open_thread_channel(ranks, {.rendezvous = ranks.size() != 3});
      reduction_checks::check_reductions(ranks, channel, 6);
    }));
}

TEST_CASE(
    "gradient buckets that an exception destroys end their channel on all ranks, and no other") {
  for (const bool rendezvous : {false, true})
    for (const std::size_t ready : {1U, 2U, 3U, 4U})
      REQUIRE_NOTHROW(omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
        auto channel = omnibal::open_thread_channel(ranks, {.rendezvous = rendezvous});
        auto other = omnibal::open_thread_channel(ranks, {.rendezvous = rendezvous});
        reduction_checks::check_destroyed_buckets(channel, other, ready);
      }));
}

TEST_CASE("shards are whole blocks, in order, and differ by one block and the rest at most") {
  for (const std::size_t elements : {0U, 1U, 1023U, 1024U, 1025U, 9000U, 1000000U})
    for (std::size_t ranks = 1; ranks <= 9; ++ranks) {
      std::size_t next = 0;
      std::size_t least = std::numeric_limits<std::size_t>::max();
      std::size_t most = 0;
      for (std::size_t r = 0; r < ranks; ++r) {
        const omnibal::shard own = omnibal::shard_of(elements, ranks, r);
        CHECK(own.first == next);
        CHECK((own.first % omnibal::shard_block == 0 || own.first == elements));
        next += own.count;
        least = std::min(least, own.count);
        most = std::max(most, own.count);
      }
      CHECK(next == elements);
      CHECK(most - least < 2 * omnibal::shard_block);
    }
  CHECK_THROWS_AS(omnibal::shard_of(10, 2, 2), omnibal::invalid_input);
}

TEST_CASE("optimizer state is cut again for another number of ranks") {
  const std::size_t elements = 12345;
  std::vector<int> state(elements);
  std::iota(state.begin(), state.end(), 0);
  for (std::size_t old_ranks = 1; old_ranks <= 6; ++old_ranks)
    for (std::size_t ranks = 1; ranks <= 6; ++ranks)
      for (std::size_t r = 0; r < ranks; ++r) {
        std::vector<int> own;
        for (const auto& piece : omnibal::recut_shard(elements, old_ranks, ranks, r)) {
          const auto old = omnibal::shard_of(elements, old_ranks, piece.old_rank);
          REQUIRE(piece.offset + piece.count <= old.count);
          const auto first = state.begin() + static_cast<std::ptrdiff_t>(old.first + piece.offset);
          own.insert(own.end(), first, first + static_cast<std::ptrdiff_t>(piece.count));
        }
        const auto wanted = omnibal::shard_of(elements, ranks, r);
        std::vector<int> expected(wanted.count);
        std::iota(expected.begin(), expected.end(), static_cast<int>(wanted.first));
        CHECK(own == expected);
      }
}

TEST_CASE("a gradient that is not finite stops the step on all ranks before parameters change") {
  std::vector<int> stopped(3, 0);
  omnibal::run_as_ranks(3, [&](omnibal::thread_communicator& ranks) {
    auto channel = omnibal::open_thread_channel(ranks);
    std::vector<float> parameters(4000, 1.0F);
    std::vector<float> gradients(4000, 1.0F);
    if (ranks.rank() == 1) gradients[3999] = std::numeric_limits<float>::quiet_NaN();
    try {
      omnibal::sharded_step(channel, std::span(parameters), std::span<const float>(gradients),
                            {.largest_norm = 1.0}, [](auto, auto) {});
    } catch (const omnibal::invalid_input&) {
      stopped[ranks.rank()] = parameters == std::vector<float>(4000, 1.0F) ? 1 : 0;
    }
  });
  CHECK(stopped == std::vector<int>(3, 1));
}

TEST_CASE("a weight below zero or without a number is refused") {
  omnibal::run_as_ranks(1, [](omnibal::thread_communicator& ranks) {
    for (const double weight : {-1.0, std::numeric_limits<double>::quiet_NaN()})
      CHECK_THROWS_AS(omnibal::sum_over_ranks(ranks, {1.0, weight}), omnibal::invalid_input);
  });
}
