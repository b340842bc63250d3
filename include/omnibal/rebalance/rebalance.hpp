// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rebalancing at run time: ranks have loaded their samples and now know what they cost. The moves
/// that bring the dearest rank down towards the mean, with the fewest bytes sent, and what each
/// byte buys.
///
/// Plans are functions of the problem alone, so ranks that know the same table (from an all-gather
/// of costs, say) make the same plan, each on its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0 {

/// Options of rebalance.
struct rebalance_options {
  /// How much dearer than the least found the dearest rank of the chosen plan may be for the sake
  /// of fewer bytes, in millionths of the mean cost of a rank.
  std::uint32_t tolerance = 5000;
  search_control control = {};
};

/// A plan that no other plan found beats in both cost and bytes.
struct rebalance_point {
  std::int64_t cost = 0;                ///< of the dearest rank after the moves
  std::int64_t bytes = 0;               ///< of all samples moved
  std::vector<sample_move> moves = {};  ///< by ascending sample

  friend bool operator==(const rebalance_point&, const rebalance_point&) = default;
};

struct rebalance_result {
  /// optimal: for each cost, no plan at all sends fewer bytes than the frontier says, or the
  /// objective and the chosen plan's bytes meet their bounds; feasible: the bounds leave room;
  /// stopped: the caller asked for an early end.
  search_status status = search_status::feasible;
  /// From the plan that sends no bytes to the one of least cost: costs descending, bytes ascending.
  std::vector<rebalance_point> frontier = {};
  /// The point with the fewest bytes whose cost lies within the tolerance of the least.
  std::size_t chosen = 0;
  /// The least cost of the dearest rank found, frontier.back().cost.
  std::int64_t objective = 0;
  /// In no plan does the dearest rank cost less.
  std::int64_t bound = 0;
  /// No plan whose cost lies within the tolerance of the least found sends fewer bytes.
  std::int64_t bytes_bound = 0;

  [[nodiscard]] const rebalance_point& plan() const noexcept { return frontier[chosen]; }
};

/// Plans moves between ranks. Up to four ranks with up to sixteen samples in all, the frontier is
/// exact (rebalance_exact.hpp: O(3^samples) at worst: milliseconds, or a tenth of a second where
/// one rank holds all); beyond, it comes from a search (rebalance_search.hpp: O(ranks² · samples a
/// rank²) for even shares, for seven targets) and bounds say how far it could be beaten
/// (rebalance_bound.hpp). The least cost is never more than that of the differencing method
/// (differencing.hpp), unless a stop is asked for.
///
/// Throws invalid_input for zero ranks, 2³² − 1 samples or more, a rank that is not there, negative
/// costs or bytes, and costs or bytes whose sum over all samples is 2⁶³ or more.
[[nodiscard]] rebalance_result rebalance(const rebalance_problem& problem,
                                         const rebalance_options& options = {});

/// Σ over resources of weight · load: the cost of a sample where resources are balanced jointly.
/// Weights that are zero but for one balance that resource alone, as when only the inputs of a
/// vision encoder are moved. Throws invalid_input naming loads or weights and the resource where
/// one is negative, and for a sum of 2⁶³ or more.
template <std::size_t Resources, std::integral Integer>
[[nodiscard]] std::int64_t weighted_cost(const std::array<Integer, Resources>& loads,
                                         const std::array<std::int64_t, Resources>& weights);

template <std::size_t Resources, std::integral Integer>
std::int64_t weighted_cost(const std::array<Integer, Resources>& loads,
                           const std::array<std::int64_t, Resources>& weights) {
  wide_integer cost = 0;
  for (std::size_t r = 0; r < Resources; ++r) {
    if (std::cmp_less(loads[r], 0))
      throw invalid_input("loads", r, loads[r], "must not be negative");
    if (weights[r] < 0) throw invalid_input("weights", r, weights[r], "must not be negative");
    cost += wide_integer{loads[r]} * weights[r];
    if (cost > std::numeric_limits<std::int64_t>::max())
      throw invalid_input("weights", r, weights[r], "makes a cost of 2^63 or more");
  }
  return static_cast<std::int64_t>(cost);
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/rebalance.ipp>
#endif
