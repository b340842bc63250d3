// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/search_by_recurrence.hpp>
#include <omnibal/planner/detail/variance.hpp>
#include <omnibal/planner/objectives/variance.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational variance::value(const std::vector<stage_cost>& stages,
                                        const schedule_shape& schedule) {
  return reduced(scaled_forward_variance(schedule, stages), 1, "variance");
}

OMNIBAL_INLINE rational variance::bound(const pipeline_problem&) { return {0}; }

OMNIBAL_INLINE joint_result variance::search(const pipeline_problem& problem,
                                             const joint_options& options) {
  return detail::search_by_recurrence(
      problem, variance{}, options,
      [](const pipeline_problem&, detail::stage_search& stages) {
        return detail::plan_for_variance(stages.table());
      },
      0, detail::tie_rule::none);
}

}  // namespace omnibal::inline v0::objectives
