// SPDX-License-Identifier: Apache-2.0
/// @file
/// The pipeline planner: chooses the partition of layers into stages and the recompute mode of
/// every layer together, for the least objective such that every device fits its memory.
///
///     const auto best = omnibal::plan_jointly(problem, omnibal::objectives::makespan{});
///     if (!best.plan.cuts.empty()) use(best.plan.cuts, best.plan.modes);
///
/// partition/chain.hpp solves the partition alone and recompute/exact.hpp the recomputation alone;
/// solving one after the other misses plans that are better for both together when memory binds.
///
/// | objective                        | one stage per device        | several, or shared memory |
/// |----------------------------------|-----------------------------|---------------------------|
/// | bottlenecks, closed form, period | dynamic programs            | branch and bound          |
/// | variance                         | dynamic program             | branch and bound          |
/// | makespan, one or over scenarios  | branch and bound            | branch and bound          |
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0 {

/// The objective of a plan; the makespan is simulated. Precondition: both are valid. O(p·m·v).
[[nodiscard]] rational objective_of(const pipeline_problem& problem, const pipeline_plan& plan,
                                    const any_objective& objective);

/// The simulated makespan of a plan in every scenario. Precondition: all are valid.
/// O(scenarios · p·m·v).
[[nodiscard]] std::vector<std::int64_t> scenario_makespans(const pipeline_problem& problem,
                                                           std::span<const scenario> scenarios,
                                                           const pipeline_plan& plan);

/// Plans cuts and modes for the least objective. Throws invalid_input for problems out of range.
/// The dynamic programs always end optimal or infeasible, after evaluating O(p · w · n) intervals
/// by one knapsack each (recompute/exact.hpp), with w the most layers whose minimum times fit under
/// the answer; the closed form adds O(p · w · n) per cap, the period per improvement. If a knapsack
/// reached its limit, the status is `stopped`. Branch and bound is exponential in the worst case;
/// at its limit the status is `stopped`, with the best plan and its bound.
[[nodiscard]] joint_result plan_jointly(const pipeline_problem& problem,
                                        const any_objective& objective,
                                        const joint_options& options = {});

/// Plans for a measure of the makespans over scenarios, whose times replace those of the layers.
/// Memory is that of the problem: give it the bytes of the largest micro-batch, so that all
/// micro-batches in flight fit. Throws invalid_input for problems, scenarios and measures out of
/// range. Branch and bound, as above.
[[nodiscard]] joint_result plan_jointly(const pipeline_problem& problem,
                                        std::span<const scenario> scenarios,
                                        const makespan_measure& measure,
                                        const joint_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/plan_jointly.ipp>
#endif
