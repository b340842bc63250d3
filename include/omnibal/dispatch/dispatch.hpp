// SPDX-License-Identifier: Apache-2.0
/// @file
/// Dispatch: assigns packs to training steps, data-parallel ranks and micro-batches so that all
/// ranks of a step take nearly the same time.
///
///     const auto plan = dispatch_packs(packs.size(), cost, {.ranks = 8, .microbatches = 4});
///     for (std::uint64_t step = 0; step < plan.steps(); ++step) train(plan.packs(step, rank));
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// What happens to the remaining packs when ranks · microbatches does not divide their number.
enum class last_step_policy {
  spread,  ///< A short last step: the rest is spread over the ranks; some may get no pack.
  drop,    ///< No short step: the rest (random packs) is listed as dropped.
  pad,     ///< The last step is filled up with repeated packs, marked in the mask.
};

/// Options of dispatch_packs.
struct dispatch_options {
  std::uint32_t ranks = 1;         ///< data-parallel ranks, at least 1
  std::uint32_t microbatches = 1;  ///< packs per rank in a full step, at least 1
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< each epoch gives a new random assignment
  last_step_policy last_step = last_step_policy::spread;
  /// The number of steps in a window, at least 1. Packs of a window are sorted by cost before they
  /// are cut into steps; a window of 1 does not sort. With one pack per rank and step only a larger
  /// window can balance ranks, but steps are then not random draws: draw_deviation in metrics.hpp
  /// measures how far they are from it.
  std::uint32_t window = 1;
  /// The stratum of each pack, or empty. Every full step gets its share of each stratum, for
  /// example of each source of samples, so that similar packs are spread over steps. Each pack is
  /// still equally likely to be in any step.
  std::span<const std::uint32_t> strata = {};
  /// The first step gets the most expensive packs, so that a lack of memory shows in the first
  /// step. The other packs are assigned at random.
  bool largest_first = false;
};

/// Assigns packs 0 … costs.size() − 1 to steps, then balances the ranks of each step by the costs
/// of the packs (non-negative, in any unit).
///
/// Steps are random draws, new in each epoch and stratified when options.strata is given;
/// options.window and options.largest_first are exceptions. The packs of a step depend only on the
/// costs, the seed, the epoch and the product ranks · microbatches: with another number of ranks
/// but the same product, steps are the same. In a full step every rank has exactly `microbatches`
/// packs; in a short one their numbers differ by at most one. Which rank gets the most expensive
/// pack of a step is random too. The packs of a rank are in random order; order_microbatches
/// changes it.
///
/// Within a step: longest processing time first with a fixed number of packs per rank (Graham,
/// "Bounds on multiprocessing timing anomalies", 1969), then exchanges between the slowest rank and
/// others. In metrics.hpp, cost_ratio measures the plan and cost_ratio_bound is a proven lower
/// bound for these steps.
///
/// Throws invalid_input for zero ranks, micro-batches or window, strata of another number than
/// packs, more than 2³² − 1 packs, a last step to be filled up to more than 2³² − 1 packs, and
/// costs that are negative or too large to be added up for a rank. O(packs · log(packs in a
/// window)) plus, for each step, O(ranks) iterations of at most O(ranks · microbatches²).
template <std::integral Cost>
[[nodiscard]] dispatch_plan dispatch_packs(std::span<const Cost> costs,
                                           const dispatch_options& options);

/// The same for packs 0 … packs − 1, where cost(k) is the cost of pack k.
template <std::invocable<std::size_t> CostFunction>
requires std::integral<std::invoke_result_t<const CostFunction&, std::size_t>>
[[nodiscard]] dispatch_plan dispatch_packs(std::size_t packs, const CostFunction& cost,
                                           const dispatch_options& options);

namespace detail {

void validate(const dispatch_options& options, std::size_t packs);

/// Costs as unsigned integers, checked such that the costs of one rank add up without overflow.
template <typename CostFunction>
[[nodiscard]] std::vector<std::uint64_t> checked_costs(std::size_t packs, const CostFunction& cost,
                                                       std::uint32_t microbatches) {
  const std::uint64_t most = (std::uint64_t{1} << 63) / microbatches;
  std::vector<std::uint64_t> costs(packs);
  for (std::size_t pack = 0; pack < packs; ++pack) {
    const auto given = std::invoke(cost, pack);
    if (std::cmp_less(given, 0)) throw invalid_input("costs", pack, given, "must not be negative");
    if (std::cmp_greater(given, most))
      throw invalid_input(
          "costs", pack, given,
          "must be at most 2^63 / microbatches, " + std::to_string(most) + "; use coarser units");
    costs[pack] = static_cast<std::uint64_t>(given);
  }
  return costs;
}

/// The plan for packs of these costs, checked by checked_costs.
[[nodiscard]] dispatch_plan dispatch_by_costs(std::span<const std::uint64_t> costs,
                                              const dispatch_options& options);

}  // namespace detail

template <std::invocable<std::size_t> CostFunction>
requires std::integral<std::invoke_result_t<const CostFunction&, std::size_t>> dispatch_plan
dispatch_packs(std::size_t packs, const CostFunction& cost, const dispatch_options& options) {
  detail::validate(options, packs);
  const auto costs = detail::checked_costs(packs, cost, options.microbatches);
  return detail::dispatch_by_costs(costs, options);
}

template <std::integral Cost>
dispatch_plan dispatch_packs(std::span<const Cost> costs, const dispatch_options& options) {
  return dispatch_packs(
      costs.size(), [&](std::size_t pack) { return costs[pack]; }, options);
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/dispatch.ipp>
#endif
