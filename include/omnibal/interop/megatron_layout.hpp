// SPDX-License-Identifier: Apache-2.0
/// @file
/// Export of a plan to Megatron-LM: the string of --pipeline-model-parallel-layout, the flags of
/// recomputation, and warnings about the parts of the plan that these cannot express.
///
///     const auto layout = omnibal::to_megatron_layout(problem, plan);
///     for (const std::string& argument : layout.arguments) std::cout << argument << ' ';
///
/// The layout writes E for the embedding, t for a layer of the language model and L for the loss,
/// with | between stages; vision layers have no symbol, so stages of vision layers alone are empty.
/// One number gives how many layers of every stage, the first ones, recompute fully (method
/// `block`), so the modes of the plan are replaced by those of the best such number that fits.
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

/// The exported plan.
struct megatron_layout {
  std::string layout = {};
  std::vector<std::size_t> vision_layers = {};  ///< Per virtual stage; the layout has none.
  std::size_t recomputed_layers = 0;        ///< Per block of equal layers of every virtual stage.
  evaluated_plan evaluated = {};            ///< The plan's cuts with the modes that the flags give.
  std::vector<std::string> arguments = {};  ///< Of Megatron-LM's command line.
  std::vector<std::string> warnings = {};   ///< What Megatron-LM cannot express, one sentence each.
};

/// Exports a plan. Throws invalid_input naming the layer unless the layers' kinds are vision,
/// projector, embedding, language and head, in this order, and if problem or plan are not valid.
/// O(layers) simulations of a step.
[[nodiscard]] megatron_layout to_megatron_layout(const pipeline_problem& problem,
                                                 const pipeline_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/interop/impl/megatron_layout.ipp>
#endif
