// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const rebalance_problem& problem) {
  if (problem.ranks == 0) throw invalid_input("ranks", 0, "must be at least 1");
  if (problem.samples.size() >= UINT32_MAX)
    throw invalid_input("number of samples", problem.samples.size(), "must be less than 2^32 - 1");
  std::int64_t cost = 0;
  std::int64_t bytes = 0;
  const auto add = [](std::int64_t& sum, std::string_view field, std::size_t s,
                      std::int64_t value) {
    if (value < 0) throw invalid_input(field, s, value, "must not be negative");
    const auto next = try_add(sum, value);
    if (!next) throw invalid_input(field, s, value, "makes the sum over all samples 2^63 or more");
    sum = *next;
  };
  for (std::size_t s = 0; s < problem.samples.size(); ++s) {
    const owned_sample& sample = problem.samples[s];
    if (sample.rank >= problem.ranks)
      throw invalid_input(
          "rank", s, sample.rank,
          "must be less than the number of ranks, " + std::to_string(problem.ranks));
    add(cost, "cost", s, sample.cost);
    add(bytes, "bytes", s, sample.bytes);
  }
}

OMNIBAL_INLINE std::int64_t largest_cost(const rebalance_problem& problem,
                                         std::span<const std::uint32_t> ranks) {
  std::vector<std::int64_t> costs(problem.ranks);
  for (std::size_t s = 0; s < ranks.size(); ++s) costs[ranks[s]] += problem.samples[s].cost;
  return *std::ranges::max_element(costs);
}

OMNIBAL_INLINE std::int64_t initial_cost(const rebalance_problem& problem) {
  std::vector<std::uint32_t> ranks;
  ranks.reserve(problem.samples.size());
  for (const owned_sample& sample : problem.samples) ranks.push_back(sample.rank);
  return largest_cost(problem, ranks);
}

OMNIBAL_INLINE double relative_cost(const rebalance_problem& problem, std::int64_t cost) {
  std::int64_t sum = 0;
  for (const owned_sample& sample : problem.samples) sum += sample.cost;
  return sum == 0 ? 1.0 : static_cast<double>(cost) * problem.ranks / static_cast<double>(sum);
}

}  // namespace omnibal::inline v0
