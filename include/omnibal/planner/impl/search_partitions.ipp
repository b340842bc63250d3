// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/search_partitions.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE joint_result search_partitions(const pipeline_problem& problem,
                                              const any_objective& objective,
                                              const joint_options& options) {
  return detail::search_tied_partitions(problem, objective, detail::tie_rule::none, options);
}

}  // namespace omnibal::inline v0
