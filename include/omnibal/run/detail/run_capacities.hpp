// SPDX-License-Identifier: Apache-2.0
/// @file
/// The capacities of a run whose problem gives none: those that hold every sample or, where micro-
/// batches of their own serve the longest, those that hold all but these.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/packing/result.hpp>
#include <omnibal/run/capacity_search.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/capacity_candidates.hpp>
#include <omnibal/run/detail/plan_search.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

class run_capacities {
 public:
  explicit run_capacities(const run_context& run) : run_(run), search_(run) {}

  /// Whether a quickly found plan fits the memory, at the smallest capacities that hold all samples
  /// or all but the longest.
  [[nodiscard]] bool fits_quickly() const {
    const auto fits = [&](std::span<const vision_language_sample> covered) {
      const loads<2> smallest = capacity_candidates(covered).smallest();
      return search_.planned_quickly(run_.balanced(smallest)).status != search_status::infeasible;
    };
    return fits(run_.problem().samples) ||
           std::ranges::any_of(parts_of_longest,
                               [&](std::size_t part) { return fits(without_longest(part)); });
  }

  /// The capacities that hold every sample, or those that hold all but the longest where they are
  /// faster; the latter are searched for quickly where they may be much smaller, then thoroughly.
  [[nodiscard]] capacity_search_result search() const {
    known_outcomes known;
    capacity_search_result best =
        search_capacity(capacity_question(run_.problem().samples, known), options());
    if (run_.problem().oversize != oversize_policy::own_pack) return best;
    loads<2> smallest = capacity_candidates(run_.problem().samples).smallest();
    std::vector<vision_language_sample> fastest;
    for (const std::size_t part : parts_of_longest) {
      if (run_.options().control.stop_requested()) break;
      const std::vector<vision_language_sample> rest = without_longest(part);
      const loads<2> without = capacity_candidates(rest).smallest();
      if (4 * without[0] > 3 * smallest[0] && 4 * without[1] > 3 * smallest[1]) continue;
      smallest = without;
      capacity_search_options quickly = options();
      quickly.most_tried = 20;
      quickly.most_planned = 2;
      if (const capacity_outcome& outcome = outcome_of_best(best); outcome.fits)
        quickly.known_time = outcome.time_per_sample;
      capacity_search_result other = search_capacity(capacity_question(rest, known), quickly);
      if (!is_faster(other, best)) continue;
      best = std::move(other);
      fastest = rest;
    }
    if (fastest.empty() || run_.options().control.stop_requested()) return best;
    capacity_search_result thorough = search_capacity(capacity_question(fastest, known), options());
    return is_faster(best, thorough) ? best : thorough;
  }

 private:
  /// Of capacities planned before. All searches compare them on the same part of the samples.
  using known_outcomes = std::map<std::pair<capacity_effort, loads<2>>, capacity_outcome>;

  /// The longest samples, one in so many, that capacities need not hold.
  static constexpr std::array<std::size_t, 3> parts_of_longest = {400, 80, 20};

  /// The samples but for the longest, one in `part`, by the resource in which each is furthest
  /// above the mean.
  [[nodiscard]] std::vector<vision_language_sample> without_longest(std::size_t part) const {
    std::array<double, 2> total = {};
    for (const vision_language_sample& sample : run_.problem().samples)
      for (std::size_t r = 0; r < 2; ++r) total[r] += static_cast<double>(sample[r]);
    for (double& one : total) one = std::max(one, 1.0);
    std::vector<vision_language_sample> rest(run_.problem().samples.begin(),
                                             run_.problem().samples.end());
    const auto share = [&](const vision_language_sample& sample) {
      return std::max(static_cast<double>(sample[0]) / total[0],
                      static_cast<double>(sample[1]) / total[1]);
    };
    std::ranges::stable_sort(rest, {}, share);
    rest.resize(rest.size() - std::min(rest.size() - 1, (rest.size() + part - 1) / part));
    return rest;
  }

  [[nodiscard]] capacity_problem capacity_question(std::span<const vision_language_sample> covered,
                                                   known_outcomes& known) const {
    const auto evaluate = [this, &known](const loads<2>& capacity,
                                         std::span<const vision_language_sample> samples,
                                         capacity_effort effort) {
      const auto [at, is_new] = known.try_emplace({effort, capacity});
      if (!is_new) return at->second;
      run_problem part = run_.problem();
      part.samples = samples;
      const run_context run(part, {.operation_limit = run_.options().operation_limit,
                                   .control = {.stop = run_.options().control.stop}});
      const plan_search planner(run);
      return at->second = outcome_of(run, effort == capacity_effort::all_plans
                                              ? planner.planned_thoroughly(capacity)
                                              : planner.planned_quickly(run.balanced(capacity)));
    };
    const auto bound = [this](std::span<const vision_language_sample> samples) {
      run_problem part = run_.problem();
      part.samples = samples;
      return run_context(part, {}).bound_per_sample();
    };
    return {.samples = run_.problem().samples,
            .covered = covered,
            .evaluate = evaluate,
            .bound = bound,
            .global_batch = run_.problem().global_batch,
            .batch_tolerance = run_.problem().batch_tolerance};
  }

  [[nodiscard]] capacity_search_options options() const {
    return {.seed = run_.problem().seed, .control = run_.options().control};
  }

  [[nodiscard]] static capacity_outcome outcome_of(const run_context& run,
                                                   const run_strategy& strategy) {
    const std::size_t samples = run.problem().samples.size();
    const auto count = static_cast<double>(std::max<std::size_t>(1, samples));
    const packing_result& packing = strategy.data.packing;
    return {.fits = strategy.status != search_status::infeasible,
            .time_per_sample = strategy.epoch_seconds() / count,
            .samples_per_step = run.expected_samples_per_step(strategy.data),
            .packs_over_bound = packing.bound == 0 ? 1.0
                                                   : static_cast<double>(packing.objective) /
                                                         static_cast<double>(packing.bound),
            .packs = packing.packs.size()};
  }

  [[nodiscard]] static const capacity_outcome& outcome_of_best(
      const capacity_search_result& search) {
    return std::ranges::find(search.candidates, search.best, &capacity_candidate::capacity)
        ->outcome;
  }

  [[nodiscard]] bool is_faster(const capacity_search_result& one,
                               const capacity_search_result& other) const {
    const auto rank = [&](const capacity_search_result& search) {
      const capacity_outcome& best = outcome_of_best(search);
      const bool meets = run_.meets_batch(best.samples_per_step);
      return std::tuple(!best.fits, !meets, best.time_per_sample);
    };
    return rank(one) < rank(other);
  }

  const run_context& run_;
  plan_search search_;
};

}  // namespace omnibal::inline v0::detail
