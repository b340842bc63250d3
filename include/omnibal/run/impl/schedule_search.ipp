// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/run/detail/epoch_bound.hpp>
#include <omnibal/run/detail/kept_samples.hpp>
#include <omnibal/run/detail/part_outcome.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/detail/run_planner.hpp>
#include <omnibal/run/problem.hpp>
#include <omnibal/run/schedule_search.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Those of fewer virtual stages first, whose searches take less time.
[[nodiscard]] inline std::vector<schedule_candidate> schedules_to_try(
    const schedule_problem& problem) {
  std::vector<schedule_candidate> list;
  for (const any_schedule& schedule : problem.allowed) {
    const schedule_capabilities& can = schedule.capabilities();
    const bool any_number = can.most_virtual_stages > can.least_virtual_stages;
    const std::size_t least =
        any_number ? std::max<std::size_t>(2, can.least_virtual_stages) : can.least_virtual_stages;
    const std::size_t layers =
        problem.run.chain.size() / std::max<std::size_t>(1, problem.run.stages);
    const std::size_t most =
        any_number ? std::min({can.most_virtual_stages, problem.most_virtual_stages, layers})
                   : least;
    for (std::size_t v = least; v <= std::max(least, most); ++v)
      list.push_back({.schedule = schedule, .virtual_stages = v});
  }
  std::ranges::stable_sort(list, {}, &schedule_candidate::virtual_stages);
  return list;
}

inline void plan_schedule(schedule_candidate& candidate, run_problem run,
                          const run_options& options, const part_effort& effort) {
  run.schedule = candidate.schedule;
  run.virtual_stages = candidate.virtual_stages;
  part_outcome outcome;
  try {
    validate(schedule_shape{.kind = run.schedule,
                            .stages = run.stages,
                            .virtual_stages = run.virtual_stages,
                            .microbatches = run.stages});
    outcome = plan_part(run, options, effort);
  } catch (const invalid_input& error) {
    outcome.passed_over = error.what();
  }
  take(candidate, outcome);
}

/// First those that fit, by rising time, then the others, by rising bytes_short.
inline void sort_schedules(std::vector<schedule_candidate>& candidates) {
  std::ranges::stable_sort(candidates, {}, [](const schedule_candidate& one) {
    return std::tuple(!one.fits, one.time_per_sample, one.bytes_short);
  });
}

/// Plans those whose first plans come close to the best as a run ends, since improvement gains more
/// under some schedules than under others. Precondition: they are sorted.
inline void plan_best_thoroughly(std::vector<schedule_candidate>& candidates,
                                 const run_problem& part, const run_options& options, bool whole) {
  constexpr double close = 1.05;
  const double best = candidates.front().time_per_sample;
  for (schedule_candidate& one : candidates) {
    if (!one.fits || one.time_per_sample > close * best || options.control.stop_requested()) return;
    plan_schedule(one, part, {options.operation_limit, {.stop = options.control.stop}},
                  {.whole = whole, .thoroughly = true});
  }
}

}  // namespace detail

OMNIBAL_INLINE schedule_search_result rank_schedules(const schedule_problem& problem,
                                                     const schedule_search_options& options) {
  if (problem.allowed.empty())
    throw invalid_input("allowed", "nothing", "needs at least one schedule");
  validate(problem.run);
  run_problem part = problem.run;
  const std::vector<vision_language_sample> samples =
      detail::part_of_samples(problem.run, options.sample_limit);
  part.samples = samples;
  part.current.reset();
  const bool whole = samples.size() < options.sample_limit;
  const search_control& control = options.plans.control;
  schedule_search_result result{.candidates = detail::schedules_to_try(problem)};
  std::vector<schedule_candidate>& candidates = result.candidates;
  bool fits = false;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    if (detail::ends_early(options, fits, k)) {
      result.limit = search_limit::stop;
      candidates[k].bytes_short = detail::part_outcome::unknown;
      candidates[k].passed_over = "was not tried: the limit was reached";
      continue;
    }
    const std::string phase = "schedules, " + std::string(candidates[k].schedule.name());
    control.report_progress(phase, k, candidates.size());
    detail::plan_schedule(candidates[k], part, detail::options_of_part(options, fits),
                          {.whole = whole});
    fits = fits || candidates[k].fits;
  }
  if (options.give_up.stop_requested()) result.limit = search_limit::stop;
  detail::sort_schedules(candidates);
  detail::plan_best_thoroughly(candidates, part, options.plans, whole);
  detail::sort_schedules(candidates);
  detail::rate(result);
  return result;
}

OMNIBAL_INLINE void extend_bound(run_result& plan, const run_problem& problem,
                                 std::span<const schedule_candidate> tried) {
  const auto one = std::ranges::find_if(tried, [](const schedule_candidate& candidate) {
    return candidate.schedule.capabilities().splits_backward;
  });
  if (one == tried.end() || plan.planned.status == search_status::infeasible) return;
  const detail::kept_samples kept =
      detail::samples_in(problem.samples, plan.planned.data.packing.packs);
  run_problem split = problem;
  split.samples = kept.samples;
  split.schedule = one->schedule;
  const detail::epoch_bound bound =
      detail::run_context(split, {}).bound(detail::run_planner::least_steps(plan));
  plan.bound = bound.time;
  plan.bound_fill_and_drain = bound.fill_and_drain;
}

}  // namespace omnibal::inline v0
