// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for any objective under any schedule, by the objective's value and bound alone: for
/// objectives that have no better one, such as those of a program's own.
///
///     static joint_result search(const pipeline_problem& problem, const joint_options& options) {
///       return omnibal::search_partitions(problem, my_objective{}, options);
///     }
#pragma once

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/objective.hpp>

namespace omnibal::inline v0 {

/// Branch and bound over cuts from the last stage to the first, modes assigned to whole partitions;
/// it starts with local search from even partitions. Stages not chosen yet count 0, which bounds
/// every monotone objective. Exponential; at `operation_limit` / 16 operations it ends `stopped`
/// with the best plan and the larger of the objective's bound and what was proven.
/// Precondition: the problem is valid and has a layer for each stage.
[[nodiscard]] joint_result search_partitions(const pipeline_problem& problem,
                                             const any_objective& objective,
                                             const joint_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/search_partitions.ipp>
#endif
