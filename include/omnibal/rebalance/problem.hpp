// SPDX-License-Identifier: Apache-2.0
/// @file
/// The problem of run-time rebalancing, samples that ranks own with their costs and bytes, and the
/// moves of a plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A sample, and the rank that owns it before rebalancing.
struct owned_sample {
  std::uint32_t rank = 0;
  std::int64_t cost = 0;   ///< added to the cost of the rank that processes it, in any unit
  std::int64_t bytes = 0;  ///< sent when another rank processes it

  friend bool operator==(const owned_sample&, const owned_sample&) = default;
};

/// All samples of a step with their owners. Ranks may own no samples.
struct rebalance_problem {
  std::uint32_t ranks = 1;
  std::vector<owned_sample> samples = {};
};

/// Rank `from` sends sample number `sample` to rank `to`.
struct sample_move {
  std::uint32_t sample = 0;
  std::uint32_t from = 0;
  std::uint32_t to = 0;

  friend bool operator==(const sample_move&, const sample_move&) = default;
};

/// Throws invalid_input for zero ranks, 2³² − 1 samples or more, a rank beyond the last, negative
/// costs or bytes, and costs or bytes whose sum over all samples is 2⁶³ or more. O(samples).
void validate(const rebalance_problem& problem);

/// The cost of the slowest rank when rank ranks[s] processes sample s.
/// Precondition: the problem is valid and ranks[s] < problem.ranks. O(samples + ranks).
[[nodiscard]] std::int64_t largest_cost(const rebalance_problem& problem,
                                        std::span<const std::uint32_t> ranks);

/// The cost of the slowest rank before any move. Precondition: the problem is valid.
/// O(samples + ranks).
[[nodiscard]] std::int64_t initial_cost(const rebalance_problem& problem);

/// A cost as a multiple of the mean cost per rank; 1 where all costs are 0. Precondition: the
/// problem is valid. O(samples).
[[nodiscard]] double relative_cost(const rebalance_problem& problem, std::int64_t cost);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/problem.ipp>
#endif
