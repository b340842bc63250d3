// SPDX-License-Identifier: Apache-2.0
/// @file
/// Dispatch: assigns packs to training steps, data-parallel ranks and micro-batches so that all
/// ranks of a step take nearly the same time.
///
///     const auto plan = dispatch_packs(packs.size(), cost, {.ranks = 8, .microbatches = 4});
///     for (std::uint64_t step = 0; step < plan.steps(); ++step) train(plan.packs(step, rank));
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/dispatch/detail/step_balancer.hpp>
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

inline void validate(const dispatch_options& options, std::size_t packs) {
  if (packs > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of packs", packs, "must be at most 2^32 - 1");
  if (options.ranks == 0) throw invalid_input("ranks", 0, "must be at least 1");
  if (options.microbatches == 0) throw invalid_input("microbatches", 0, "must be at least 1");
  if (options.window == 0)
    throw invalid_input("window", 0, "must be at least 1, which is a random draw");
  if (!options.strata.empty() && options.strata.size() != packs)
    throw invalid_input("number of strata", options.strata.size(),
                        "must be 0 or the number of packs, " + std::to_string(packs));
}

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

/// The assignment of packs to steps by seed, epoch, costs, strata and the number of packs per step.
class step_assignment {
 public:
  step_assignment(std::span<const std::uint64_t> costs, const dispatch_options& options)
      : costs_(costs),
        per_step_(std::uint64_t{options.ranks} * options.microbatches),
        random_(stream_for(options.seed, random_purpose::dispatch_epoch, options.epoch)),
        order_(costs.size()) {
    std::iota(order_.begin(), order_.end(), 0U);
    shuffle_randomly(order_, random_);
    const std::vector<std::uint32_t> repeated = packs_to_repeat(options.last_step);
    if (options.largest_first) move_most_expensive_to_first_step();
    if (!options.strata.empty()) assign_strata(options);
    if (options.last_step == last_step_policy::drop) drop_rest();
    if (options.window > 1) assign_windows(options);
    order_.insert(order_.end(), repeated.begin(), repeated.end());
  }

  /// The packs of all steps, one step after the other; repeated ones at the end.
  [[nodiscard]] std::span<const std::uint32_t> order() const noexcept { return order_; }
  /// The packs in no step, ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& dropped() const noexcept { return dropped_; }

 private:
  // The first packs of the random order.
  [[nodiscard]] std::vector<std::uint32_t> packs_to_repeat(last_step_policy policy) const {
    const std::uint64_t rest = order_.size() % per_step_;
    if (policy != last_step_policy::pad || rest == 0) return {};
    if (per_step_ > std::numeric_limits<std::uint32_t>::max())
      throw invalid_input("ranks * microbatches", per_step_,
                          "must be at most 2^32 - 1 for the last step to be filled up");
    std::vector<std::uint32_t> repeated(per_step_ - rest);
    for (std::size_t k = 0; k < repeated.size(); ++k) repeated[k] = order_[k % order_.size()];
    return repeated;
  }

  // Of equally expensive packs those that were drawn first; all others keep their order.
  void move_most_expensive_to_first_step() {
    const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(per_step_, order_.size()));
    std::vector<std::uint32_t> places(order_.size());
    std::iota(places.begin(), places.end(), 0U);
    const auto split = places.begin() + static_cast<std::ptrdiff_t>(first);
    std::ranges::nth_element(places, split, [&](std::uint32_t a, std::uint32_t b) {
      const auto [left, right] = std::pair(costs_[order_[a]], costs_[order_[b]]);
      return left != right ? left > right : a < b;
    });
    std::sort(places.begin(), split);
    std::sort(split, places.end());
    for (std::uint32_t& place : places) place = order_[place];
    order_ = std::move(places);
  }

  void drop_rest() {
    const std::size_t full = order_.size() - order_.size() % per_step_;
    dropped_.assign(order_.begin() + static_cast<std::ptrdiff_t>(full), order_.end());
    std::ranges::sort(dropped_);
    order_.resize(full);
  }

  // Stratified sampling: packs sorted by stratum are cut into runs of one pack per full step, and
  // the packs of a run are assigned to the steps at random. Packs in no full step stay a random
  // draw.
  void assign_strata(const dispatch_options& options) {
    const std::uint64_t first = options.largest_first ? per_step_ : 0;
    const std::uint64_t full = order_.size() - order_.size() % per_step_;
    if (full <= first) return;
    const std::uint64_t steps = (full - first) / per_step_;
    const auto packs = std::span(order_).subspan(first, full - first);
    std::ranges::stable_sort(packs, {}, [&](std::uint32_t pack) { return options.strata[pack]; });
    const std::vector<std::uint32_t> sorted(packs.begin(), packs.end());
    std::vector<std::uint32_t> turns(steps);
    std::iota(turns.begin(), turns.end(), 0U);
    for (std::uint64_t row = 0; row < per_step_; ++row) {
      shuffle_randomly(turns, random_);
      for (std::uint64_t k = 0; k < steps; ++k)
        packs[turns[k] * per_step_ + row] = sorted[row * steps + k];
    }
    for (std::uint64_t k = 0; k < steps; ++k)
      shuffle_randomly(packs.subspan(k * per_step_, per_step_), random_);
  }

  // Windows consist of full steps only; packs in no full step stay a random draw.
  void assign_windows(const dispatch_options& options) {
    const std::uint64_t steps = order_.size() / per_step_;
    for (std::uint64_t first = options.largest_first ? 1 : 0; first < steps;
         first += options.window)
      assign_window(first, std::min<std::uint64_t>(options.window, steps - first));
  }

  // Sorts the packs of a window, so that the packs of a step have similar costs, then shuffles the
  // steps and the packs of each step.
  void assign_window(std::uint64_t first, std::uint64_t steps) {
    const auto packs = std::span(order_).subspan(first * per_step_, steps * per_step_);
    std::ranges::stable_sort(packs, std::ranges::greater{},
                             [&](std::uint32_t pack) { return costs_[pack]; });
    const std::vector<std::uint32_t> sorted(packs.begin(), packs.end());
    std::vector<std::uint32_t> turns(steps);
    std::iota(turns.begin(), turns.end(), 0U);
    shuffle_randomly(turns, random_);
    for (std::size_t k = 0; k < steps; ++k) {
      const auto step = packs.subspan(k * per_step_, per_step_);
      std::ranges::copy(std::span(sorted).subspan(turns[k] * per_step_, per_step_), step.begin());
      shuffle_randomly(step, random_);
    }
  }

  std::span<const std::uint64_t> costs_;
  std::uint64_t per_step_;
  random_stream random_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> dropped_;
};

}  // namespace detail

template <std::invocable<std::size_t> CostFunction>
requires std::integral<std::invoke_result_t<const CostFunction&, std::size_t>> dispatch_plan
dispatch_packs(std::size_t packs, const CostFunction& cost, const dispatch_options& options) {
  detail::validate(options, packs);
  const auto costs = detail::checked_costs(packs, cost, options.microbatches);
  const detail::step_assignment steps(costs, options);
  const std::span<const std::uint32_t> order = steps.order();
  dispatch_plan plan{.ranks = options.ranks, .dropped = steps.dropped()};
  const bool padded = order.size() > packs;
  const std::uint64_t per_step = std::uint64_t{options.ranks} * options.microbatches;
  detail::step_balancer balancer(costs, options.ranks);
  // A separate stream, so that steps are the same for any number of ranks.
  random_stream random = stream_for(options.seed, random_purpose::dispatch_ranks, options.epoch);
  std::vector<std::uint32_t> turns(options.ranks);
  std::iota(turns.begin(), turns.end(), 0U);
  for (std::uint64_t first = 0; first < order.size(); first += per_step) {
    const auto step = order.subspan(first, std::min<std::uint64_t>(per_step, order.size() - first));
    balancer.assign(step);
    // The balancer prefers its first ranks.
    shuffle_randomly(turns, random);
    for (const std::uint32_t turn : turns) {
      for (const auto& pack : balancer.assigned(turn)) {
        plan.groups.push_back(step[pack.place]);
        if (padded) plan.mask.push_back(first + pack.place < packs ? 1 : 0);
      }
      plan.groups.close_group();
    }
  }
  return plan;
}

template <std::integral Cost>
dispatch_plan dispatch_packs(std::span<const Cost> costs, const dispatch_options& options) {
  return dispatch_packs(
      costs.size(), [&](std::size_t pack) { return costs[pack]; }, options);
}

}  // namespace omnibal::inline v0
