// SPDX-License-Identifier: Apache-2.0
/// @file
/// A small model with made-up costs and a short run: what tests of plans and of training share.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/own_chain.hpp>

#include "data.hpp"
#include "model.hpp"
#include "parameter_memory.hpp"
#include "profile.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer::tests {

/// The tiny model, narrower.
inline model_config narrow_model() {
  model_config config = model_of("tiny", vocabulary);
  config.shape.vision.hidden = 16;
  config.shape.vision.heads = 2;
  config.shape.vision.ffn = 32;
  config.shape.language.layers = 2;
  config.shape.language.hidden = 16;
  config.shape.language.heads = 2;
  config.shape.language.kv_heads = 2;
  config.shape.language.ffn = 24;
  config.shape.projector = {{64, 16}, {16, 16}};
  return config;
}

/// Times in proportion to rows, bytes as the layers declare them.
inline std::vector<layer_cost> made_up_chain(const model_config& config) {
  std::vector<layer_cost> chain;
  const auto names = layer_names(config);
  for (std::size_t l = 0; l < names.size(); ++l) {
    const auto declared = detail::declared_by(config, l);
    layer_cost layer{.name = names[l],
                     .kind = kind_of(layer_at(config, l)),
                     .parameters = declared.parameters,
                     .forward_time = cost_per({.tile = 1600, .token = 200}),
                     .backward_time = cost_per({.tile = 3200, .token = 400}),
                     .weight_gradient_time = cost_per({.tile = 1600, .token = 200}),
                     .output_bytes = output_cost(config, l),
                     .static_bytes = weight_bytes(declared.parameters, element_type::f32) +
                                     training_bytes(declared.parameters, 1)};
    for (std::size_t k = 0; k < recompute_kinds.size(); ++k)
      layer.modes.push_back({.name = std::string(to_string(recompute_kinds[k])),
                             .kind = recompute_kinds[k],
                             .extra_time = cost_per({.tile = 800.0 * static_cast<double>(k)})});
    detail::keep_useful_modes(layer, declared);
    chain.push_back(std::move(layer));
  }
  return chain;
}

inline training_shape short_run(strategy how = strategy::planned) {
  return {.steps = 5, .batch = 12, .devices = 2, .replicas = 2, .how = how};
}

}  // namespace omnibal::trainer::tests
