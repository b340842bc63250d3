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
#include <omnibal/planner/objectives/blocking_bottleneck.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational blocking_bottleneck::value(const std::vector<stage_cost>& stages,
                                                   const schedule_shape&) {
  return {omnibal::blocking_bottleneck(stages)};
}

OMNIBAL_INLINE rational blocking_bottleneck::bound(const pipeline_problem& problem) {
  return {divide_rounding_up(detail::least_whole_time(problem),
                             static_cast<std::int64_t>(problem.schedule.total_stages()))};
}

OMNIBAL_INLINE joint_result blocking_bottleneck::search(const pipeline_problem& problem,
                                                        const joint_options& options) {
  return detail::search_by_recurrence(
      problem, blocking_bottleneck{}, options,
      [](const pipeline_problem&, detail::stage_search& stages) {
        return detail::plan_for_bottleneck(stages, detail::stage_weight::blocking_time);
      },
      1, detail::tie_rule::sum_then_makespan);
}

}  // namespace omnibal::inline v0::objectives
