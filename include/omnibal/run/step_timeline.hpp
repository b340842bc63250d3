// SPDX-License-Identifier: Apache-2.0
/// @file
/// One step of one rank of a planned run as a timeline (pipeline/timeline.hpp), to be drawn.
#pragma once

#include <cstddef>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

/// The operations of a rank in a step, in nanoseconds. What a backward takes beyond that of every
/// layer without recomputation is recomputation. A rank without micro-batches has no bars. `chain`
/// is that of the run; preconditions: step < steps, rank < ranks of the strategy's dispatch.
/// O(operations · layers).
[[nodiscard]] timeline step_timeline(
    const run_strategy& strategy, std::span<const layer_cost> chain, std::size_t step = 0,
    std::size_t rank = 0,
    weight_gradient_recompute recompute_for_w = weight_gradient_recompute::once);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/step_timeline.ipp>
#endif
