// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rebalancing at run time: when ranks have loaded their samples and know their costs, finds the
/// moves between ranks that bring the cost of the slowest rank near the mean with the fewest bytes
/// sent, and the whole trade-off between cost and bytes.
///
///     const auto result = rebalance({.ranks = 8, .samples = samples});
///     for (const sample_move& move : result.plan().moves) send(move.sample, move.from, move.to);
///
/// The result depends only on the problem and the options, so ranks that have gathered the same
/// table of costs compute the same plan independently.
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
  /// By how much the cost of the slowest rank in the chosen plan may exceed the least cost found,
  /// to send fewer bytes; in millionths of the mean cost of a rank.
  std::uint32_t tolerance = 5000;
  search_control control = {};
};

/// A Pareto-optimal plan: no other plan found has at most its cost and at most its bytes.
struct rebalance_point {
  std::int64_t cost = 0;                ///< of the slowest rank after the moves
  std::int64_t bytes = 0;               ///< of all samples moved
  std::vector<sample_move> moves = {};  ///< by ascending sample

  friend bool operator==(const rebalance_point&, const rebalance_point&) = default;
};

/// The result of rebalance.
struct rebalance_result {
  /// optimal: the frontier is proven Pareto-optimal, or the objective and the bytes of the chosen
  /// plan equal their bounds; feasible: better plans are not proven impossible; stopped: a limit
  /// ended the search.
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;
  /// From the plan that sends no bytes to the one of least cost: costs descending, bytes ascending.
  std::vector<rebalance_point> frontier = {};
  /// The point with the fewest bytes whose cost lies within the tolerance of the least.
  std::size_t chosen = 0;
  /// The least cost of the slowest rank found, frontier.back().cost.
  std::int64_t objective = 0;
  /// A proven lower bound on the cost of the slowest rank in any plan.
  std::int64_t bound = 0;
  /// A proven lower bound on the bytes of any plan whose cost is within the tolerance of the
  /// objective.
  std::int64_t bytes_bound = 0;

  [[nodiscard]] const rebalance_point& plan() const noexcept { return frontier[chosen]; }
};

/// Plans moves between ranks. For up to four ranks with up to sixteen samples in total, the
/// frontier is exact (detail/exact.hpp; O(3^samples) at worst: milliseconds, or a tenth of a second
/// when one rank owns all samples). Otherwise it comes from a local search
/// (detail/exchange_search.hpp; for each of seven targets O(ranks² · s²) with s samples per rank),
/// with proven bounds on cost and bytes (bound.hpp). The least cost is never more than that of the
/// differencing method (differencing.hpp), unless a stop is requested.
///
/// Throws invalid_input for zero ranks, 2³² − 1 samples or more, a rank beyond the last, negative
/// costs or bytes, and costs or bytes whose sum over all samples is 2⁶³ or more.
[[nodiscard]] rebalance_result rebalance(const rebalance_problem& problem,
                                         const rebalance_options& options = {});

/// Σ over resources of weight · load: the cost of a sample for balancing all resources jointly.
/// With a single non-zero weight only that resource is balanced, for example when only the inputs
/// of a vision encoder are moved. Throws invalid_input naming loads or weights and the resource
/// when one is negative, and for a sum of 2⁶³ or more.
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
