// SPDX-License-Identifier: Apache-2.0
/// @file
/// A run planned on a part of its samples, to rank what a search tries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/run/candidate_ranking.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/plan_search.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

struct part_outcome {
  static constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::max();

  bool fits = false;
  double time_per_sample = 0;          ///< Seconds.
  double bound = 0;                    ///< Proven lower bound on it.
  std::int64_t bytes_short = unknown;  ///< Bytes missing on a device if it does not fit.
  std::int64_t nearest_batch = 0;      ///< If it cannot run the global batch.
  std::string passed_over = {};        ///< Why it cannot be used, if so.
};

[[nodiscard]] inline std::vector<loads<2>> capacities_to_try(const run_problem& run) {
  if (run.capacity) return {*run.capacity};
  return {paper_capacity(run), enlarged({1, 1}, run.samples)};
}

/// How a part is planned.
struct part_effort {
  bool whole = false;       ///< It has all samples of the run: its steps are the run's.
  bool thoroughly = false;  ///< As a run ends, in place of before its improvement.
};

/// Plans the run at its capacity or, if it has none, at the faster of two.
[[nodiscard]] inline part_outcome plan_part(const run_problem& run, const run_options& options,
                                            const part_effort& effort) {
  part_outcome outcome;
  if (run.chain.size() < run.stages * run.virtual_stages) {
    outcome.passed_over = "has more stages than the model has layers";
    return outcome;
  }
  const run_context context(run, options);
  outcome.bound = context.bound_per_sample();
  if (context.broken_constraints().reason != infeasibility::cause::none) {
    outcome.passed_over = "has no partition that keeps the constraints on stages";
    return outcome;
  }
  for (const loads<2>& capacity : capacities_to_try(run)) {
    const plan_search search(context);
    const run_strategy strategy =
        effort.thoroughly ? search.planned_thoroughly(capacity) : search.planned(capacity);
    if (strategy.why.reason == infeasibility::cause::global_batch) {
      outcome.nearest_batch = strategy.why.nearest_batch;
      outcome.passed_over =
          "has no steps of fewer than " + std::to_string(outcome.nearest_batch) + " samples";
      return outcome;
    }
    if (strategy.status == search_status::infeasible) {
      if (strategy.why.reason == infeasibility::cause::memory)
        outcome.bytes_short = std::min(outcome.bytes_short, strategy.why.bytes_short);
      continue;
    }
    if (!context.meets_batch(effort.whole ? strategy.data.mean_samples_per_step
                                          : context.expected_samples_per_step(strategy.data))) {
      outcome.nearest_batch = context.nearest_possible(strategy.data.packing.packs);
      continue;
    }
    const double time = strategy.epoch_seconds() / static_cast<double>(run.samples.size());
    if (outcome.fits && time >= outcome.time_per_sample) continue;
    outcome.fits = true;
    outcome.time_per_sample = time;
  }
  if (outcome.fits)
    outcome.nearest_batch = outcome.bytes_short = 0;
  else if (outcome.nearest_batch > 0)
    outcome.passed_over = "has no steps of the global batch: the nearest have " +
                          std::to_string(outcome.nearest_batch) + " samples";
  else if (outcome.bytes_short == part_outcome::unknown)
    outcome.passed_over = "has no plan yet: the limit was reached";
  else
    outcome.passed_over = "does not fit: " + std::to_string(outcome.bytes_short) + " bytes short";
  return outcome;
}

/// Plans of a part report no progress, and are stopped half-way only if another is known or the
/// search gives up.
template <typename SearchOptions>
[[nodiscard]] run_options options_of_part(const SearchOptions& options, bool another_fits) {
  run_options part = options.plans;
  part.control = {.stop = another_fits ? options.plans.control.stop : options.give_up};
  return part;
}

/// Whether the search ends before the next candidate: where none fits, the first few are tried in
/// any case, which takes a moment each once the search has given up.
template <typename SearchOptions>
[[nodiscard]] bool ends_early(const SearchOptions& options, bool one_fits, std::size_t tried) {
  constexpr std::size_t few = 8;
  if (one_fits) return options.plans.control.stop_requested();
  return tried >= few && options.give_up.stop_requested();
}

/// What a candidate, of a shape or of a schedule, has of the outcome.
template <typename Candidate>
void take(Candidate& candidate, const part_outcome& outcome) {
  candidate.fits = outcome.fits;
  candidate.time_per_sample = outcome.time_per_sample;
  candidate.bound = outcome.bound;
  candidate.bytes_short = outcome.bytes_short;
  candidate.passed_over = outcome.passed_over;
}

/// Sets the status, objective and bound. Precondition: candidates are sorted, the limit is set.
template <typename Candidate>
void rate(candidate_ranking<Candidate>& ranking) {
  if (ranking.limit != search_limit::none) ranking.status = search_status::stopped;
  if (!ranking.has_plan()) return;
  ranking.objective = ranking.candidates.front().time_per_sample;
  ranking.bound = ranking.objective;
  for (const Candidate& one : ranking.candidates)
    if (one.bound > 0) ranking.bound = std::min(ranking.bound, one.bound);
  if (ranking.limit == search_limit::none) ranking.status = search_status::feasible;
}

}  // namespace omnibal::inline v0::detail
