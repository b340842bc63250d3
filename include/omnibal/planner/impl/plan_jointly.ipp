// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/search_makespan.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE rational objective_of(const pipeline_problem& problem, const pipeline_plan& plan,
                                     const any_objective& objective) {
  return objective.value(stage_costs(problem, plan), problem.schedule);
}

OMNIBAL_INLINE std::vector<std::int64_t> scenario_makespans(const pipeline_problem& problem,
                                                            std::span<const scenario> scenarios,
                                                            const pipeline_plan& plan) {
  return detail::makespans_of(problem, detail::interval_times(problem, scenarios), plan);
}

namespace detail {

[[nodiscard]] inline joint_result with_limit(joint_result found, const search_control& control) {
  found.limit = limit_of(found.status, control);
  return found;
}

}  // namespace detail

OMNIBAL_INLINE joint_result plan_jointly(const pipeline_problem& problem,
                                         const any_objective& objective,
                                         const joint_options& options) {
  validate(problem);
  detail::require_microbatches_in_order(problem.schedule);
  detail::require_table(problem.schedule.total_stages(), problem.layers.size());
  if (const infeasibility why = impossible_partition(problem);
      why.reason != infeasibility::cause::none)
    return {.why = why};
  return detail::with_limit(objective.search(problem, options), options.control);
}

OMNIBAL_INLINE joint_result plan_jointly(const pipeline_problem& problem,
                                         std::span<const scenario> scenarios,
                                         const makespan_measure& measure,
                                         const joint_options& options) {
  validate(problem);
  validate(problem, scenarios);
  validate(measure);
  detail::require_microbatches_in_order(problem.schedule);
  detail::require_table(problem.schedule.total_stages(), problem.layers.size());
  if (const infeasibility why = impossible_partition(problem);
      why.reason != infeasibility::cause::none)
    return {.why = why};
  return detail::with_limit(
      detail::search_makespan(on_average(problem, scenarios),
                              detail::interval_times(problem, scenarios), measure, options),
      options.control);
}

}  // namespace omnibal::inline v0
