// SPDX-License-Identifier: Apache-2.0
/// @file
/// A plan in the words of Megatron-LM: the string of --pipeline-model-parallel-layout and the flags
/// of recomputation, and what of the plan they cannot say.
///
/// The layout names the embedding E, a layer of the language model t and the loss L, with | between
/// stages; vision layers have no symbol, so stages of vision layers alone are empty in it. One
/// number says how many layers of every stage recompute, the first ones, fully (method `block`); so
/// a plan's modes are replaced by the best that such a number can say within the memory.
///
/// Source: Megatron-LM, core/transformer/pipeline_parallel_layer_layout.py and transformer_block.py
/// of 2026.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

struct megatron_layout {
  std::string layout = {};
  std::vector<std::size_t> vision_layers = {};  ///< Of each virtual stage; the layout has none.
  std::size_t recomputed_layers = 0;  ///< Of each block of like layers of every virtual stage.
  evaluated_plan judged = {};         ///< The plan's cuts with the modes that the flags say.
  std::vector<std::string> arguments = {};
  std::vector<std::string> warnings = {};  ///< What Megatron-LM cannot express, one sentence each.
};

/// A plan in Megatron-LM's words. Throws invalid_input naming the layer where a name is none of
/// vision…, projector, embedding, language… and head in this order, and where problem or plan are
/// not valid. O(layers) simulations of a step.
[[nodiscard]] megatron_layout to_megatron_layout(const pipeline_problem& problem,
                                                 const pipeline_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/interop/impl/megatron_layout.ipp>
#endif
