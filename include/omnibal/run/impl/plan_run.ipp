// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/detail/run_planner.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE evaluated_run evaluate_run(const run_problem& problem,
                                          const grouping<std::uint32_t>& packs,
                                          const dispatch_plan& dispatch, const loads<2>& capacity,
                                          const pipeline_plan& plan,
                                          const search_control& control) {
  validate(problem);
  return detail::run_planner(problem, control).evaluate(packs, dispatch, capacity, plan);
}

OMNIBAL_INLINE pipeline_problem planning_problem(const run_problem& problem,
                                                 const run_strategy& strategy) {
  return detail::run_planner(problem, {}).problem_for(strategy);
}

OMNIBAL_INLINE run_plan plan_run(const run_problem& problem, const search_control& control) {
  validate(problem);
  const schedule_shape schedule{.kind = problem.schedule,
                                .stages = problem.stages,
                                .virtual_stages = problem.virtual_stages,
                                .microbatches = problem.stages};
  validate(schedule);
  if (problem.chain.size() < schedule.total_stages()) {
    run_plan result;
    result.planned.why = {.reason = infeasibility::cause::fewer_layers_than_stages};
    return result;
  }
  return detail::run_planner(problem, control).plan();
}

}  // namespace omnibal::inline v0
