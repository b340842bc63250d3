// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/run/capacity_search.hpp>
#include <omnibal/run/detail/capacity_candidates.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Above this ratio of capacity to load, wasted capacity is named as the reason, millionths.
inline constexpr std::int64_t wasteful_ratio = 1'100'000;

[[nodiscard]] inline std::string percent_text(double share) {
  const auto tenths = std::llround(share * 1000);
  return std::to_string(tenths / 10) + (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) +
         " %";
}

[[nodiscard]] inline bool misses_batch(const capacity_candidate& candidate,
                                       const capacity_problem& problem) {
  const batch_options batch{.global_batch = problem.global_batch,
                            .batch_tolerance = problem.batch_tolerance};
  return !omnibal::meets_batch(batch, candidate.outcome.samples_per_step);
}

[[nodiscard]] inline std::string verdict(const capacity_candidate& candidate,
                                         const capacity_problem& problem, double best_time) {
  if (!candidate.outcome.fits) return "does not fit the memory";
  if (misses_batch(candidate, problem))
    return "its steps cannot come within " + percent_text(problem.batch_tolerance) +
           " of the global batch";
  if (candidate.outcome.time_per_sample <= best_time &&
      candidate.effort == capacity_effort::all_plans)
    return {};
  std::string reason = "slower";
  if (best_time > 0)
    reason = "takes " + factor_text(candidate.outcome.time_per_sample / best_time) +
             " the time of the best";
  if (candidate.capacity_ratio > wasteful_ratio)
    reason += "; its packs have " + capacity_text(candidate.capacity_ratio) +
              " the capacity that their samples fill";
  return reason;
}

/// Tries capacities, each once.
class capacity_searcher {
 public:
  capacity_searcher(const capacity_problem& problem, const capacity_search_options& options)
      : problem_(problem),
        options_(options),
        part_(sample_part(problem.samples, options.sample_limit, options.seed)),
        candidates_(problem.covered.empty() ? problem.samples : problem.covered) {}

  [[nodiscard]] capacity_search_result search() {
    try_out({candidates_.smallest()});
    try_out(candidates_.proportional());
    if (is_hopeless()) return result();
    try_out(candidates_.grid());
    if (!fits_) try_out(candidates_.large_grid());
    refine();
    plan_thoroughly();
    return result();
  }

 private:
  static constexpr double worth_planning = 1.1;
  static constexpr std::size_t few = 9;  ///< Candidates tried in any case where none fits.

  [[nodiscard]] bool is_hopeless() const {
    return options_.known_time &&
           rank(*ranked().front()) > std::pair(0, worth_planning * *options_.known_time);
  }

  void try_out(const std::vector<loads<2>>& capacities) {
    for (const loads<2>& capacity : capacities) {
      if (tried_.contains(capacity)) continue;
      if (fits_ ? ends(tried_.size() >= options_.most_tried) : tried_.size() >= few && ends(false))
        return;
      options_.control.report_progress("capacities", tried_.size(), options_.most_tried);
      evaluate(capacity, capacity_effort::one_plan);
    }
  }

  /// Whether a limit ends the search, and remembers which.
  [[nodiscard]] bool ends(bool tried_enough) {
    if (tried_enough) limit_ = search_limit::operations;
    if (options_.control.stop_requested()) limit_ = search_limit::stop;
    return limit_ != search_limit::none;
  }

  void evaluate(const loads<2>& capacity, capacity_effort effort) {
    capacity_candidate& candidate = tried_[capacity];
    candidate.capacity = capacity;
    candidate.effort = effort;
    candidate.outcome = problem_.evaluate(capacity, part_, effort);
    fits_ = fits_ || candidate.outcome.fits;
  }

  /// Whether a candidate can be chosen, by its memory and its batch, then its time.
  [[nodiscard]] std::pair<int, double> rank(const capacity_candidate& candidate) const {
    const double endless = std::numeric_limits<double>::infinity();
    const int tier = !candidate.outcome.fits ? 2 : misses_batch(candidate, problem_) ? 1 : 0;
    return std::pair(tier, tier == 2 ? endless : candidate.outcome.time_per_sample);
  }

  [[nodiscard]] std::vector<const capacity_candidate*> ranked() const {
    std::vector<const capacity_candidate*> all;
    for (const auto& [capacity, candidate] : tried_) all.push_back(&candidate);
    std::ranges::stable_sort(
        all, [&](const auto* left, const auto* right) { return rank(*left) < rank(*right); });
    return all;
  }

  /// Tries the neighbours of the best, at smaller steps where none is better.
  void refine() {
    for (const std::int64_t part : {4, 8, 16})
      for (loads<2> best = ranked().front()->capacity;;) {
        try_out(candidates_.around(best, part));
        const loads<2>& better = ranked().front()->capacity;
        if (better == best || !fits_) break;
        best = better;
      }
  }

  void plan_thoroughly() {
    const std::vector<const capacity_candidate*> all = ranked();
    const auto [tier, least] = rank(*all.front());
    std::vector<loads<2>> chosen;
    for (const capacity_candidate* one : all)
      if (chosen.size() < options_.most_planned && rank(*one).first == tier &&
          rank(*one).second <= worth_planning * least)
        chosen.push_back(one->capacity);
    for (std::size_t k = 0; k < chosen.size(); ++k) {
      if (options_.control.stop_requested() && ends(false)) return;
      options_.control.report_progress("best capacities", k, chosen.size());
      evaluate(chosen[k], capacity_effort::all_plans);
    }
  }

  [[nodiscard]] capacity_search_result result() const {
    const std::vector<const capacity_candidate*> all = ranked();
    const auto thorough = [](const capacity_candidate* one) {
      return one->effort == capacity_effort::all_plans;
    };
    const auto first = std::ranges::find_if(all, thorough);
    const capacity_candidate& best = first == all.end() ? *all.front() : **first;
    capacity_search_result search{.status = status_of(best.outcome),
                                  .limit = limit_,
                                  .objective = best.outcome.fits ? best.outcome.time_per_sample : 0,
                                  .bound = problem_.bound ? problem_.bound(part_) : 0,
                                  .best = fits_ ? best.capacity : candidates_.smallest()};
    for (const auto& [capacity, candidate] : tried_) {
      search.candidates.push_back(candidate);
      capacity_candidate& added = search.candidates.back();
      added.capacity_ratio = capacity_ratio(added);
      if (capacity != search.best)
        added.passed_over = verdict(added, problem_, best.outcome.time_per_sample);
    }
    return search;
  }

  [[nodiscard]] search_status status_of(const capacity_outcome& best) const {
    if (limit_ != search_limit::none) return search_status::stopped;
    return best.fits ? search_status::feasible : search_status::infeasible;
  }

  /// The capacity of all packs over the load of their samples, millionths.
  [[nodiscard]] std::int64_t capacity_ratio(const capacity_candidate& candidate) const {
    std::array<wide_integer, 2> load = {};
    for (const loads<2>& sample : part_)
      for (std::size_t r = 0; r < 2; ++r) load[r] += sample[r];
    wide_integer ratios = 0;
    wide_integer resources = 0;
    for (std::size_t r = 0; r < 2; ++r) {
      if (load[r] == 0) continue;
      ratios += static_cast<wide_integer>(candidate.capacity[r]) * candidate.outcome.packs *
                1'000'000 / load[r];
      ++resources;
    }
    constexpr wide_integer most = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(
        std::min<wide_integer>(most, ratios / std::max<wide_integer>(1, resources)));
  }

  const capacity_problem& problem_;
  const capacity_search_options& options_;
  std::vector<loads<2>> part_;
  capacity_candidates candidates_;
  std::map<loads<2>, capacity_candidate> tried_;
  bool fits_ = false;
  search_limit limit_ = search_limit::none;
};

}  // namespace detail

OMNIBAL_INLINE capacity_search_result search_capacity(const capacity_problem& problem,
                                                      const capacity_search_options& options) {
  return detail::capacity_searcher(problem, options).search();
}

}  // namespace omnibal::inline v0
