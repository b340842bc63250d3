// SPDX-License-Identifier: Apache-2.0
/// @file
/// What others would plan for the same problem, each judged by the same simulator: trainers that
/// do not search, planners whose objective is not the makespan, and the paper.
///
/// | name            | cuts                                          | recomputation            |
/// |-----------------|-----------------------------------------------|--------------------------|
/// | even layers     | equal numbers of layers                       | one rule for all stages  |
/// | even parameters | least largest sum of parameters               | one rule for all stages  |
/// | alpa            | least Σ T + (m − 1) · max T                   | none, or full everywhere |
/// | nnscaler        | least (m − 1 + p) · max T                     | none, or full everywhere |
/// | least variance  | the exact best few by variance of forwards    | the paper's, by stage    |
/// | published       | the best few near the paper's anchor, by same | the paper's, by stage    |
///
/// Each is as strong as its description allows: of its choices of recomputation and of its few best
/// cuts it takes the fastest that fits under the simulator, memory counts the micro-batches that
/// are truly in flight, and all keep the problem's rules. What they cannot do is cut with latencies
/// in view, which the paper alone does, to rank equals, or with recomputation of each stage's own.
/// Sources: one rule, Korthikanti et al., MLSys 2023 (one_rule.hpp); alpa, Zheng et al., OSDI 2022,
/// the dynamic program over stages for each largest stage; nnscaler, Lin et al., OSDI 2024, the
/// minimum of the largest stage; variance, OmniBal, arXiv 2407.20761. Partitions within operators,
/// which alpa and nnscaler also search, are no part of the problem.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The best `top` partitions by variance of the stages' forward times, of those that keep the rules
/// and fit memory in their leanest modes; best first, equals by latency and then by cuts. As in the
/// paper the speeds of devices do not count. Fewer where fewer exist.
/// O(p·n²) prices of memory and O(p·n² · top · log top). Throws invalid_input for problems out of
/// range, interleaved schedules and `top` 0.
[[nodiscard]] std::vector<anchored_partition> least_variance_partitions(
    const pipeline_problem& problem, std::size_t top);

/// The plans of the table above, in its order, under 1F1B and GPipe; `parameters` has one number a
/// layer. One that finds nothing that fits says so and keeps the plan that overruns least of those
/// it weighs without a limit. Empty where no partition exists, for lack of layers or by the rules.
/// Throws invalid_input for problems out of range, other schedules, and parameters that are
/// negative, too many or not one a layer.
/// O(p·n² · top · log top) for the rankings, O(p·n²) for each bottleneck and each cap of alpa's,
/// and O(n/p + top) simulations of O(p·m).
[[nodiscard]] std::vector<evaluated_plan> plan_baselines(const pipeline_problem& problem,
                                                         std::span<const std::int64_t> parameters,
                                                         const paper_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/planners.ipp>
#endif
