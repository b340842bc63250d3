// SPDX-License-Identifier: Apache-2.0
/// @file
/// The plan of least simulated makespan, or of least mean, worst or CVaR of makespans over
/// scenarios, for any schedule.
///
/// A makespan is a longest path, so it does not decrease when a stage's times grow, and
/// recomputation only adds to backwards. Where no stage shares its memory, the least recomputation
/// that fits is optimal for every stage and only cuts are searched (branch_and_bound.hpp);
/// elsewhere modes are assigned to whole partitions (interleaved_search.hpp).
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/branch_and_bound.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/search_by_recurrence.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// Starting partitions: the optima of objectives that approximate the makespan.
[[nodiscard]] inline std::vector<std::vector<std::size_t>> promising_cuts(
    const pipeline_problem& problem, stage_search& search) {
  auto closed_form = plan_for_closed_form(search, problem.schedule.microbatches);
  if (closed_form.cuts.empty()) return {};
  return {std::move(closed_form.cuts), plan_for_bottleneck(search, stage_weight::time).cuts,
          plan_for_period(problem, search).cuts};
}

/// `problem` has the mean times of all scenarios.
[[nodiscard]] inline joint_plan search_makespan(const pipeline_problem& problem,
                                                const interval_times& times,
                                                const makespan_measure& measure,
                                                const joint_options& options) {
  if (weighs_devices(problem.schedule))
    return plan_interleaved_makespan(problem, times, measure, options);
  stage_search search(problem, options.recompute);
  const auto starts = promising_cuts(problem, search);
  if (starts.empty()) return {.why = search.explain()};
  const cut_plan best = cut_search(problem, times, measure, search.table(), options).solve(starts);
  if (best.cuts.empty()) return {.status = best.status, .why = search.explain()};
  const wide_integer denominator = measure.denominator(times.scenarios());
  joint_plan found{.status = best.status,
                   .objective = reduced(best.value, denominator, "makespan"),
                   .bound = reduced(best.bound, denominator, "makespan"),
                   .plan = search.table().plan_of(best.cuts)};
  if (!search.table().proven())
    weaken(found, search_makespan(without_memory_limit(problem), times, measure, options).bound);
  return found;
}

}  // namespace omnibal::inline v0::detail
