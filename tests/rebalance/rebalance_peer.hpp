// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rebalancing of steps drawn from a table, beside the peer: Karmarkar and Karp's differencing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#include "../../bench/rebalance/karmarkar_karp.hpp"
#include "../../bench/rebalance/loaded_steps.hpp"
#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

inline std::int64_t bytes_moved(const rebalance_problem& problem,
                                const std::vector<std::uint32_t>& ranks) {
  std::int64_t bytes = 0;
  for (std::size_t s = 0; s < ranks.size(); ++s)
    if (ranks[s] != problem.samples[s].rank) bytes += problem.samples[s].bytes;
  return bytes;
}

inline std::int64_t sum_of_costs(const rebalance_problem& problem) {
  std::int64_t sum = 0;
  for (const owned_sample& sample : problem.samples) sum += sample.cost;
  return sum;
}

/// Costs no more than the peer in any of 200 steps and moves half the bytes in all.
inline void check_against_peer(const length_table& table, std::uint32_t ranks) {
  constexpr int steps = 200;
  random_stream random(10, ranks);
  std::int64_t sent = 0;
  std::int64_t sent_by_peer = 0;
  for (int step = 0; step < steps; ++step) {
    const rebalance_problem problem = loaded_step(table, ranks, 4, random);
    std::vector<std::int64_t> costs;
    for (const owned_sample& sample : problem.samples) costs.push_back(sample.cost);
    // The peer numbers its parts as it likes: part k goes to rank k.
    const auto parts = karmarkar_karp(costs, ranks);
    const rebalance_result result = rebalance(problem);
    const double mean = static_cast<double>(sum_of_costs(problem)) / ranks;
    const double ratio = static_cast<double>(result.plan().cost) / mean;
    REQUIRE(ratio <= static_cast<double>(largest_cost(problem, parts)) / mean + 0.005);
    sent += result.plan().bytes;
    sent_by_peer += bytes_moved(problem, parts);
  }
  CHECK(2 * sent <= sent_by_peer);
}

}  // namespace omnibal::test
