// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<gradient_needs> gradients_of(std::span<const layer_training> training) {
  std::vector<gradient_needs> needs;
  bool trained_below = false;
  for (const layer_training& one : training) {
    if (trained_below && one.input_gradient == false)
      throw invalid_input("training[].input_gradient", needs.size(), "false",
                          "must be true, since a layer below is trained");
    needs.push_back({.of_weights = one.trainable,
                     .of_inputs = one.input_gradient.value_or(one.trainable || trained_below),
                     .zero_weight_gradient_known = one.zero_weight_gradient_known});
    trained_below = trained_below || one.trainable;
  }
  return needs;
}

OMNIBAL_INLINE void leave_out_gradients(std::span<pipeline_layer> layers,
                                        std::span<const gradient_needs> needs) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    pipeline_layer& one = layers[l];
    leave_out_gradients(one.backward_time, one.weight_gradient_time, needs[l]);
    if (!needs[l].any()) one.backward_latency = 0;
    for (recompute_mode& mode : one.modes) {
      if (!needs[l].any()) mode = {.name = mode.name, .kind = mode.kind};
      if (!needs[l].of_weights) mode.saved_for_weight_gradient = 0;
    }
  }
}

}  // namespace omnibal::inline v0
