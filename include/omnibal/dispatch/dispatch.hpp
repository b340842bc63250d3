// SPDX-License-Identifier: Apache-2.0
/// @file
/// Deals packs to steps, ranks and micro-batches so that within a step nobody waits.
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

/// What is done with the packs left over when ranks · microbatches does not divide their number.
enum class last_step_policy {
  spread,  ///< A short last step: the rest is spread over the ranks; some may get nothing.
  drop,    ///< No last step; the rest (random packs) is listed as dropped.
  pad,     ///< The last step is filled with repeated packs, marked in the mask.
};

/// Options of dispatch_packs.
struct dispatch_options {
  std::uint32_t ranks = 1;         ///< data-parallel ranks, at least 1
  std::uint32_t microbatches = 1;  ///< packs per rank in a full step, at least 1
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< each epoch deals afresh
  last_step_policy last_step = last_step_policy::spread;
  /// Steps whose packs are sorted by cost before they are cut into steps, at least 1, which sorts
  /// nothing. With one pack a rank nothing else can even the ranks of a step, but steps are no
  /// random draw any more: metrics.hpp has draw_deviation to say by how much.
  std::uint32_t window = 1;
  /// The stratum of each pack, or nothing. Every full step gets its share of each stratum, so that
  /// what goes together, the number of samples in a pack and their source say, does not come in
  /// clusters. Each pack is still as likely to be in one step as in another.
  std::span<const std::uint32_t> strata = {};
  /// The first step holds the dearest packs, so that it shows at once whether memory suffices. The
  /// other steps share what is left at random.
  bool largest_first = false;
};

/// Deals packs 0 … costs.size() − 1 to steps, then evens the ranks of each step by the packs' costs
/// (non-negative, in any unit).
///
/// Steps are a random draw, afresh each epoch, stratified where options.strata is given;
/// options.window and options.largest_first make exceptions. Which packs a step holds depends on
/// the packs' costs, the seed, the epoch and the product ranks · microbatches alone: other ranks
/// with the same product run the same steps. In a full step every rank has exactly `microbatches`
/// packs; in a short one the numbers of packs differ by at most one. Which rank gets the dearest
/// pack of a step is drawn too. A rank keeps its packs in the random order in which they were
/// dealt; order_microbatches makes any other order of it.
///
/// Within a step: longest processing time first with a fixed number of packs a rank (Graham,
/// "Bounds on multiprocessing timing anomalies", 1969), then exchanges between the dearest rank and
/// others. metrics.hpp has cost_ratio to measure the plan and cost_ratio_bound for what no plan of
/// these steps can beat.
///
/// Throws invalid_input for zero ranks, micro-batches or window, more than 2³² − 1 packs, a step to
/// be filled up to more than 2³² − 1, and costs that are negative or too large to be added up for a
/// rank. O(packs · log(packs in a window)), and O(ranks · microbatches²) exchanges looked at in a
/// step, for some ranks times.
template <std::integral Cost>
[[nodiscard]] dispatch_plan dispatch_packs(std::span<const Cost> costs,
                                           const dispatch_options& options);

/// The same for packs 0 … packs − 1 with the cost of pack k given by cost(k).
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

/// Costs as unsigned integers of which a rank's share can be added up.
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

/// Which packs make which step, by (seed, epoch), costs, strata and the number of packs in a step.
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

  /// The packs of the steps, one step after the other; repeated ones at the end.
  [[nodiscard]] std::span<const std::uint32_t> order() const noexcept { return order_; }
  /// The packs in no step, ascending.
  [[nodiscard]] const std::vector<std::uint32_t>& dropped() const noexcept { return dropped_; }

 private:
  // Random ones, whichever packs come first.
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

  // Of equally dear packs those that were drawn first; all others keep their order.
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
    const std::size_t kept = order_.size() - order_.size() % per_step_;
    dropped_.assign(order_.begin() + static_cast<std::ptrdiff_t>(kept), order_.end());
    std::ranges::sort(dropped_);
    order_.resize(kept);
  }

  // Stratified sampling: of as many packs in a row as there are full steps, sorted by stratum, each
  // step gets one, whichever chance says. The rest of the packs stays the random draw that it is.
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

  // Only full steps lie in windows: the rest of the packs is a random draw as it is.
  void assign_windows(const dispatch_options& options) {
    const std::uint64_t steps = order_.size() / per_step_;
    for (std::uint64_t first = options.largest_first ? 1 : 0; first < steps;
         first += options.window)
      assign_window(first, std::min<std::uint64_t>(options.window, steps - first));
  }

  // Sorts the packs of some steps, so that those of a step cost alike, and shuffles the steps and
  // the packs of each.
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
  const detail::step_assignment deal(costs, options);
  const std::span<const std::uint32_t> order = deal.order();
  dispatch_plan plan{.ranks = options.ranks, .dropped = deal.dropped()};
  const bool padded = order.size() > packs;
  const std::uint64_t per_step = std::uint64_t{options.ranks} * options.microbatches;
  detail::step_balancer balancer(costs, options.ranks);
  // A stream of its own, so that steps stay the same for any number of ranks.
  random_stream random = stream_for(options.seed, random_purpose::dispatch_ranks, options.epoch);
  std::vector<std::uint32_t> turns(options.ranks);
  std::iota(turns.begin(), turns.end(), 0U);
  for (std::uint64_t first = 0; first < order.size(); first += per_step) {
    const auto step = order.subspan(first, std::min<std::uint64_t>(per_step, order.size() - first));
    balancer.deal(step);
    // The balancer serves its first ranks first.
    shuffle_randomly(turns, random);
    for (const std::uint32_t turn : turns) {
      for (const auto& held : balancer.held(turn)) {
        plan.groups.push_back(step[held.place]);
        if (padded) plan.mask.push_back(first + held.place < packs ? 1 : 0);
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
