// SPDX-License-Identifier: Apache-2.0
/// @file
/// What run-time rebalancing is given and what it says: samples held by ranks, moves, and the plans
/// that no other plan beats in both largest cost and bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A sample, and the rank that holds it now.
struct owned_sample {
  std::uint32_t rank = 0;
  std::int64_t cost = 0;   ///< what it adds to the time of the rank that works on it, in any unit
  std::int64_t bytes = 0;  ///< what must be sent for another rank to work on it

  friend bool operator==(const owned_sample&, const owned_sample&) = default;
};

/// All samples of a step and where they are. A rank that holds nothing is one that no sample names.
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

/// Throws invalid_input for zero ranks, 2³² − 1 samples or more, a rank that is not there, negative
/// costs or bytes, and costs or bytes whose sum over all samples is 2⁶³ or more. O(samples).
void validate(const rebalance_problem& problem);

/// What the rank that costs most costs, where sample s is worked on by ranks[s].
/// Precondition: the problem is valid and every rank named is there. O(samples + ranks).
[[nodiscard]] std::int64_t largest_cost(const rebalance_problem& problem,
                                        std::span<const std::uint32_t> ranks);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/problem.ipp>
#endif
