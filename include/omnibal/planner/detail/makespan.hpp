// SPDX-License-Identifier: Apache-2.0
/// @file
/// The plan of least simulated makespan, or of least mean, worst or CVaR of makespans over
/// scenarios, for schedules with one stage per device.
///
/// A makespan is a longest path, so it does not decrease when a stage's times grow. Recomputation
/// only adds to backwards, and no stage shares its memory. Hence the least recomputation that fits
/// is optimal for every stage, and only cuts are searched (branch_and_bound.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/branch_and_bound.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// Starting partitions: the optima of objectives that approximate the makespan.
[[nodiscard]] inline std::vector<std::vector<std::size_t>> promising_cuts(
    const pipeline_problem& problem, stage_search& search) {
  const std::int64_t bottleneck = search.least_bottleneck(stage_weight::time);
  if (bottleneck == stage_search::infeasible) return {};
  return {plan_for_closed_form(search, bottleneck, problem.schedule.microbatches).cuts,
          plan_for_bottleneck(search, bottleneck, stage_weight::time).cuts,
          plan_for_period(problem, search, bottleneck).cuts};
}

[[nodiscard]] inline cut_plan plan_for_makespan(const pipeline_problem& problem,
                                                const step_times& times,
                                                const makespan_measure& measure,
                                                stage_search& search,
                                                const joint_options& options) {
  const auto starts = promising_cuts(problem, search);
  if (starts.empty()) return {};
  return cut_search(problem, times, measure, search.table(), options).solve(starts);
}

}  // namespace omnibal::inline v0::detail
