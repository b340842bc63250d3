// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: the paper's plan for a planning problem. Partitions near a greedy anchor are ranked by
/// variance (baselines/anchor_partition.hpp); the best few get adaptive recomputation
/// (baselines/adaptive_recomputation.hpp), and the simulator chooses among them.
/// Source: OmniBal, arXiv 2407.20761. Its code was not published.
#pragma once

#include <optional>

#include <omnibal/baselines/paper_options.hpp>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The paper's plan; no value if none of its partitions fits. Throws invalid_input for problems out
/// of range and for schedules other than GPipe and 1F1B, which the paper does not treat.
/// O(p · radius² · top · log top) for each radius, and `top` simulations of O(p·m).
[[nodiscard]] std::optional<pipeline_plan> plan_by_paper(const pipeline_problem& problem,
                                                         const paper_options& options = {});

/// If plan_by_paper() finds no plan: the least memory overrun over its partitions, with every layer
/// in its minimum-memory mode. Preconditions and complexity as there.
[[nodiscard]] infeasibility paper_plan_shortfall(const pipeline_problem& problem,
                                                 const paper_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/paper_plan.ipp>
#endif
