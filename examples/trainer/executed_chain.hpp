// SPDX-License-Identifier: Apache-2.0
/// @file
/// The costs of layers as the trainer executes them: frozen layers do without what nobody needs,
/// and layers that recompute leave nothing for the weight gradient.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::trainer {

/// The chain as stages run it. Where the backward is split, a layer that recomputes computes the
/// gradients of its weights in B, and nothing of it waits for W.
[[nodiscard]] std::vector<layer_cost> as_executed(std::span<const layer_cost> chain);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// The part of a backward that computes no gradients of weights.
[[nodiscard]] inline linear_cost without(const linear_cost& backward,
                                         const linear_cost& weight_gradient) {
  const auto rest = [](std::int64_t all, std::int64_t part) {
    return std::max<std::int64_t>(0, all - part);
  };
  return {rest(backward.constant, weight_gradient.constant),
          rest(backward.per_tile, weight_gradient.per_tile),
          rest(backward.per_token, weight_gradient.per_token),
          rest(backward.per_squared_token, weight_gradient.per_squared_token)};
}

/// What a forward holds at most, where nothing is kept of it: all that it could save, and its
/// output in floats and in 16 bits. Where a layer saves nothing, its backward holds more than its
/// forward.
[[nodiscard]] inline linear_cost forward_bytes(const layer_cost& layer) {
  const mode_cost& none = layer.modes.front();
  const auto most = [&](std::int64_t linear_cost::*part) {
    return std::max(none.transient_bytes.*part,
                    none.saved_bytes.*part + layer.output_bytes.*part * 3 / 2);
  };
  return {most(&linear_cost::constant), most(&linear_cost::per_tile), most(&linear_cost::per_token),
          most(&linear_cost::per_squared_token)};
}

/// Below the lowest layer that is trained there is no backward and nothing is saved. A frozen layer
/// above it computes the gradients of its inputs alone.
inline void leave_out_frozen(std::vector<layer_cost>& layers) {
  std::vector<layer_training> training;
  for (const layer_cost& layer : layers) training.push_back({.trainable = layer.trainable});
  const std::vector<gradient_needs> needs = gradients_of(training);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    layer_cost& layer = layers[l];
    if (needs[l].of_weights) continue;
    layer.backward_time = needs[l].of_inputs
                              ? without(layer.backward_time, layer.weight_gradient_time)
                              : linear_cost{};
    layer.weight_gradient_time = {};
    if (!needs[l].any())
      layer.modes = {
          {.name = "none", .kind = recompute_kind::none, .transient_bytes = forward_bytes(layer)}};
    for (mode_cost& mode : layer.modes) mode.saved_for_weight_gradient = linear_cost{};
  }
}

}  // namespace detail

inline std::vector<layer_cost> as_executed(std::span<const layer_cost> chain) {
  std::vector<layer_cost> layers(chain.begin(), chain.end());
  detail::leave_out_frozen(layers);
  for (layer_cost& layer : layers)
    for (mode_cost& mode : layer.modes)
      if (mode.kind != recompute_kind::none) mode.saved_for_weight_gradient = linear_cost{};
  return layers;
}

}  // namespace omnibal::trainer
