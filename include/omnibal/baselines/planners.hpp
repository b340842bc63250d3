// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline planners: the plans of trainers that do not search, of planners with other objectives
/// than the makespan, and of the OmniBal paper, all evaluated by the same simulator. Use them to
/// see what plan_jointly() gains.
///
///     for (const auto& plan : omnibal::plan_baselines(problem, parameters))
///       std::cout << plan.name << ' ' << plan.makespan << '\n';
///
/// | name            | cuts                                          | recomputation            |
/// |-----------------|-----------------------------------------------|--------------------------|
/// | even layers     | equal numbers of layers                       | uniform                  |
/// | even parameters | least largest sum of parameters               | uniform                  |
/// | alpa            | least Σ T + (m − 1) · max T                   | none, or full everywhere |
/// | nnscaler        | least (m − 1 + p) · max T                     | none, or full everywhere |
/// | least variance  | the exact best few by variance of forwards    | the paper's, per stage   |
/// | published       | the best few by variance near the anchor      | the paper's, per stage   |
///
/// `published` is the paper baseline (OmniBal). Each baseline is as strong as its description
/// allows: of its choices of recomputation and of its few best cuts it takes the one of least
/// simulated makespan that fits, memory counts the micro-batches actually in flight, and all
/// satisfy the problem's constraints. None takes latencies into account when cutting, except for
/// the paper, which ranks equals by them; none chooses cuts together with the recomputation of each
/// stage. Sources: uniform recomputation, Korthikanti et al., MLSys 2023
/// (baselines/uniform_recomputation.hpp); alpa, Zheng et al., OSDI 2022, the dynamic program over
/// stages for each largest stage; nnscaler, Lin et al., OSDI 2024, the minimum of the largest
/// stage; variance, OmniBal, arXiv 2407.20761. Partitions within operators, which alpa and nnscaler
/// also search, are not part of the problem.
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

/// The best `top` partitions by variance of the stages' forward times among those that satisfy
/// `together` and `apart` and fit memory with minimum-memory modes; best first, equals by latency
/// and then by cuts. As in the paper, device speeds are ignored. Fewer if fewer exist.
/// O(p·n²) evaluations of memory and O(p·n² · top · log top). Throws invalid_input for problems out
/// of range, interleaved schedules and `top` 0.
[[nodiscard]] std::vector<anchored_partition> least_variance_partitions(
    const pipeline_problem& problem, std::size_t top);

/// The plans of the table above, in its order, under 1F1B and GPipe; `parameters` has one number
/// per layer. If no plan of a baseline fits, its `fits` is false and its plan is the one of least
/// overrun among those it finds without a memory limit. Empty if no partition exists, for too few
/// layers or because of `together` and `apart`. Throws invalid_input for problems out of range,
/// other schedules, and parameters that are negative, too large in sum or not one per layer.
/// O(p·n² · top · log top) for the rankings, O(p·n²) for each bottleneck and each cap of alpa's,
/// and O(n/p + top) simulations of O(p·m).
[[nodiscard]] std::vector<evaluated_plan> plan_baselines(const pipeline_problem& problem,
                                                         std::span<const std::int64_t> parameters,
                                                         const paper_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/planners.ipp>
#endif
