// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cuts and recomputation planned together: the layer partition that is best when every stage
/// recomputes just what its own memory makes it.
///
/// The partition alone is in partition/, the recomputation alone in recompute/; doing one after
/// the other loses what only both together can see, and gains nothing when memory is ample.
///
/// | schedule           | objective                              | search                        |
/// |--------------------|----------------------------------------|-------------------------------|
/// | gpipe, 1f1b, zbh1  | bottlenecks, closed form, period       | stage_search.hpp, dynamic     |
/// | gpipe, 1f1b, zbh1  | variance                               | variance.hpp, dynamic         |
/// | gpipe, 1f1b, zbh1  | makespan, one or over scenarios        | cut_search.hpp, branch & bound|
/// | interleaved        | all                                    | interleaved.hpp               |
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0 {

/// The objective of a plan, the makespan by simulation. Precondition: both are valid. O(p·m·v).
[[nodiscard]] rational objective_of(const pipeline_problem& problem, const pipeline_plan& plan,
                                    plan_objective objective);

/// The simulated makespan of a plan in every scenario. Precondition: all are valid.
/// O(scenarios · p·m·v).
[[nodiscard]] std::vector<std::int64_t> scenario_makespans(const pipeline_problem& problem,
                                                           std::span<const scenario> scenarios,
                                                           const pipeline_plan& plan);

/// Plans cuts and modes for the least objective. Throws invalid_input for problems out of range.
/// Optimal or infeasible for the recurrences, O(p · w · n) interval prices, each one knapsack
/// (recompute/exact.hpp), with w the most layers whose fastest times fit under the answer; the
/// closed form adds O(p · w · n) for each cap, the period for each improvement. Branch and bound is
/// exponential in the worst case; at its limit it is `stopped`, with the best plan and its bound.
[[nodiscard]] joint_plan plan_jointly(const pipeline_problem& problem, plan_objective objective,
                                      const joint_options& options = {});

/// Plans for a measure of the makespans of scenarios, whose times stand for those of the layers;
/// memory is as in the problem, whose bytes are those of the largest micro-batch, so that every
/// window of micro-batches in flight fits.
[[nodiscard]] joint_plan plan_jointly(const pipeline_problem& problem,
                                      std::span<const scenario> scenarios,
                                      const makespan_measure& measure,
                                      const joint_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/plan_jointly.ipp>
#endif
