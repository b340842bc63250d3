// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: the paper's balanced adaptive recomputation. A stage starts with every layer fully
/// recomputed; then layers save their activations, one after the other, as long as they fit.
/// Source: OmniBal, arXiv 2407.20761, section on balanced adaptive re-computation. Its code was
/// not published; the paper leaves the order of layers open, and here those that save most time per
/// byte go first. In contrast to recompute/exact.hpp it uses no modes between full and none, and
/// does not search for the best combination.
#pragma once

#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

/// Modes for one stage by the paper's rule, with `in_flight` micro-batches and `budget` bytes for
/// activations. `objective` is the extra time; `bound` is 0, since a heuristic proves none.
/// Infeasible if not even full recomputation fits. O(n²).
[[nodiscard]] recompute_result choose_recomputation_adaptively(
    std::span<const pipeline_layer> layers, std::int64_t in_flight, std::int64_t budget);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/adaptive_recomputation.ipp>
#endif
