// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/planner/objective.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE rational objective_of(const std::vector<stage_cost>& stages,
                                     const schedule_shape& schedule, plan_objective objective) {
  switch (objective) {
    case plan_objective::bottleneck: return {bottleneck(schedule, stages)};
    case plan_objective::blocking_bottleneck: return {blocking_bottleneck(stages)};
    case plan_objective::closed_form: return {closed_form(stages, schedule.microbatches)};
    case plan_objective::period: return steady_period(stages);
    case plan_objective::makespan: return {makespan(schedule, stages)};
    case plan_objective::variance:
      return reduced(scaled_forward_variance(schedule, stages), 1, "variance");
  }
  return {};
}

}  // namespace omnibal::inline v0
