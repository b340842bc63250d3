// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/least_time.hpp>
#include <omnibal/planner/detail/search_makespan.hpp>
#include <omnibal/planner/objectives/makespan.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational makespan::value(const std::vector<stage_cost>& stages,
                                        const schedule_shape& schedule) {
  return {omnibal::makespan(schedule, stages)};
}

OMNIBAL_INLINE rational makespan::bound(const pipeline_problem& problem) {
  const auto devices = static_cast<std::int64_t>(problem.schedule.stages);
  const auto microbatches = static_cast<std::int64_t>(problem.schedule.microbatches);
  const std::int64_t least = detail::least_whole_time(problem);
  return {std::max(least, divide_rounding_up(least * microbatches, devices))};
}

OMNIBAL_INLINE joint_result makespan::search(const pipeline_problem& problem,
                                             const joint_options& options) {
  return detail::search_makespan(problem, detail::interval_times(problem),
                                 {.of = makespan_measure::kind::worst}, options);
}

}  // namespace omnibal::inline v0::objectives
