// SPDX-License-Identifier: Apache-2.0
/// @file
/// The paper's plan for a problem of plain numbers, as a baseline: partitions near a greedy anchor
/// by least variance (baselines/anchor_partition.hpp), each with adaptive recomputation
/// (baselines/adaptive_recomputation.hpp), the best few tried out under the simulator.
/// Source: OmniBal, arXiv 2407.20761. Its code was not published.
#pragma once

#include <optional>

#include <omnibal/baselines/paper_options.hpp>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The published plan; nothing where none of its partitions fits. Throws invalid_input for
/// problems out of range and for schedules the paper does not treat: GPipe and 1F1B are left.
[[nodiscard]] std::optional<pipeline_plan> plan_by_paper(const pipeline_problem& problem,
                                                         const paper_options& options = {});

/// Where plan_by_paper() finds nothing: of its partitions, what the one that lacks least lacks,
/// with every layer in the mode that saves least. Preconditions and complexity as there.
[[nodiscard]] infeasibility paper_plan_shortfall(const pipeline_problem& problem,
                                                 const paper_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/paper_plan.ipp>
#endif
