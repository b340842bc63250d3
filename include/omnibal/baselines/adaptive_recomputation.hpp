// SPDX-License-Identifier: Apache-2.0
/// @file
/// The paper's balanced adaptive recomputation, as a baseline: a stage starts with every layer
/// fully recomputed and lets layers go back to keeping their activations while memory lasts.
/// Source: OmniBal, arXiv 2407.20761, section on balanced adaptive re-computation. Its code was
/// not published; where the paper leaves the order of layers open, those that save most time per
/// byte go first. What it cannot see: modes between full and none, and that a mixed choice can
/// fill the last bytes (exact.hpp).
#pragma once

#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

/// Modes for one stage by the paper's rule. `objective` is the extra time, `bound` 0: this
/// heuristic proves nothing. Infeasible when not even full recomputation fits. O(n²).
[[nodiscard]] recompute_choice choose_recomputation_adaptively(
    std::span<const pipeline_layer> layers, std::int64_t in_flight, std::int64_t budget);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/adaptive_recomputation.ipp>
#endif
