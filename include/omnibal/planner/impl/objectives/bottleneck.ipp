// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/least_time.hpp>
#include <omnibal/planner/detail/search_by_recurrence.hpp>
#include <omnibal/planner/objectives/bottleneck.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational bottleneck::value(const std::vector<stage_cost>& stages,
                                          const schedule_shape& schedule) {
  return {omnibal::bottleneck(schedule, stages)};
}

OMNIBAL_INLINE rational bottleneck::bound(const pipeline_problem& problem) {
  return {divide_rounding_up(detail::least_whole_time(problem),
                             static_cast<std::int64_t>(problem.schedule.stages))};
}

OMNIBAL_INLINE joint_result bottleneck::search(const pipeline_problem& problem,
                                               const joint_options& options) {
  return detail::search_by_recurrence(
      problem, bottleneck{}, options,
      [](const pipeline_problem&, detail::stage_search& stages) {
        return detail::plan_for_bottleneck(stages, detail::stage_weight::time);
      },
      1, detail::tie_rule::sum_then_makespan);
}

}  // namespace omnibal::inline v0::objectives
