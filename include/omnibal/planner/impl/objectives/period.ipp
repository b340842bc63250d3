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
#include <omnibal/planner/objectives/period.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational period::value(const std::vector<stage_cost>& stages,
                                      const schedule_shape&) {
  return steady_period(stages);
}

OMNIBAL_INLINE rational period::bound(const pipeline_problem& problem) {
  return {detail::least_whole_time(problem),
          static_cast<std::int64_t>(problem.schedule.total_stages())};
}

OMNIBAL_INLINE joint_result period::search(const pipeline_problem& problem,
                                           const joint_options& options) {
  return detail::search_by_recurrence(
      problem, period{}, options,
      [](const pipeline_problem& asked, detail::stage_search& stages) {
        return detail::plan_for_period(asked, stages);
      },
      1, detail::tie_rule::makespan);
}

}  // namespace omnibal::inline v0::objectives
