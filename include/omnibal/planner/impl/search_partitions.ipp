// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/search_partitions.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE joint_plan search_partitions(const pipeline_problem& problem,
                                            const any_objective& objective,
                                            const joint_options& options) {
  detail::interleaved_stages stages(problem, options.control);
  joint_plan found = detail::virtual_stage_search(problem, objective, stages, options)
                         .solve(detail::even_cuts(problem));
  if (found.plan.cuts.empty() && !options.control.stop_requested())
    found.why = detail::least_overrun(problem, stages);
  return found;
}

}  // namespace omnibal::inline v0
