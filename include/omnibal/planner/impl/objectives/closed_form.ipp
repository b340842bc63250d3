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
#include <omnibal/planner/objectives/closed_form.hpp>

namespace omnibal::inline v0::objectives {

OMNIBAL_INLINE rational closed_form::value(const std::vector<stage_cost>& stages,
                                           const schedule_shape& schedule) {
  return {omnibal::closed_form(stages, schedule.microbatches)};
}

OMNIBAL_INLINE rational closed_form::bound(const pipeline_problem& problem) {
  const std::int64_t least = detail::least_whole_time(problem);
  const auto repeats = static_cast<std::int64_t>(problem.schedule.microbatches - 1);
  return {least + repeats * divide_rounding_up(
                                least, static_cast<std::int64_t>(problem.schedule.total_stages()))};
}

OMNIBAL_INLINE joint_result closed_form::search(const pipeline_problem& problem,
                                                const joint_options& options) {
  return detail::search_by_recurrence(
      problem, closed_form{}, options,
      [](const pipeline_problem& asked, detail::stage_search& stages) {
        return detail::plan_for_closed_form(stages, asked.schedule.microbatches);
      },
      static_cast<std::int64_t>(problem.schedule.microbatches), detail::tie_rule::makespan);
}

}  // namespace omnibal::inline v0::objectives
