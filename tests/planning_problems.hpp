// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random small planning problems and brute force over them, shared by the tests of several
/// modules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::test {

inline std::int64_t draw(random_stream& random, std::int64_t least, std::int64_t most) {
  return least + uniform_below(random, static_cast<std::uint32_t>(most - least + 1));
}

inline pipeline_layer random_layer(random_stream& random, std::size_t modes,
                                   std::int64_t scale = 1) {
  pipeline_layer one{.forward_time = draw(random, 0, 40) * scale,
                     .backward_time = draw(random, 0, 80) * scale,
                     .static_bytes = draw(random, 0, 20) * scale,
                     .forward_latency = draw(random, 0, 9) * scale,
                     .backward_latency = draw(random, 0, 9) * scale,
                     .modes = {}};
  one.weight_gradient_time = one.backward_time / 2;
  for (std::size_t m = 0; m < modes; ++m) {
    const std::int64_t kept = draw(random, 0, 60) * scale;
    one.modes.push_back({.name = "mode" + std::to_string(m),
                         .extra_time = draw(random, 0, 40) * scale,
                         .saved_bytes = kept,
                         .transient_bytes = draw(random, 0, 60) * scale,
                         .saved_for_weight_gradient = kept / 2});
  }
  return one;
}

/// A problem in which some layers repeat, as in models, and memory may or may not bind.
inline pipeline_problem random_problem(random_stream& random, any_schedule kind,
                                       std::size_t most_layers) {
  pipeline_problem problem;
  problem.schedule = {.kind = kind,
                      .stages = static_cast<std::size_t>(draw(random, 1, 4)),
                      .microbatches = static_cast<std::size_t>(draw(random, 1, 6))};
  const auto count =
      static_cast<std::size_t>(draw(random, 1, static_cast<std::int64_t>(most_layers)));
  while (problem.layers.size() < count) {
    if (!problem.layers.empty() && draw(random, 0, 1) == 0)
      problem.layers.push_back(problem.layers.back());
    else
      problem.layers.push_back(random_layer(random, static_cast<std::size_t>(draw(random, 1, 3))));
  }
  if (draw(random, 0, 4) > 0)
    for (std::size_t s = 0; s < problem.schedule.stages; ++s) {
      problem.reserved.push_back(draw(random, 0, 10));
      problem.memory_limit.push_back(draw(random, 20, 600));
    }
  return problem;
}

/// Lets modes keep for W what they recomputed: as much in all modes of a layer, or any amounts.
inline void keep_for_weight_gradient(pipeline_problem& problem, random_stream& random,
                                     bool same_in_all_modes) {
  for (pipeline_layer& one : problem.layers)
    for (recompute_mode& mode : one.modes)
      mode.saved_for_weight_gradient = same_in_all_modes && &mode != &one.modes.front()
                                           ? one.modes.front().saved_for_weight_gradient
                                           : draw(random, 0, 100);
}

/// Calls visit(modes) for every choice of modes of layers begin … end − 1.
inline void for_each_modes(const std::vector<pipeline_layer>& layers,
                           const std::function<void(const std::vector<std::size_t>&)>& visit) {
  std::vector<std::size_t> modes(layers.size(), 0);
  while (true) {
    visit(modes);
    std::size_t l = 0;
    while (l < layers.size() && ++modes[l] == layers[l].modes.size()) modes[l++] = 0;
    if (l == layers.size()) return;
  }
}

/// Calls visit(cuts) for every partition of `layers` layers into `parts` non-empty stages.
inline void for_each_partition(std::size_t layers, std::size_t parts,
                               const std::function<void(const std::vector<std::size_t>&)>& visit) {
  std::vector<std::size_t> cuts = {0};
  const std::function<void()> extend = [&] {
    if (cuts.size() == parts) {
      if (cuts.back() >= layers) return;
      cuts.push_back(layers);
      visit(cuts);
      cuts.pop_back();
      return;
    }
    for (std::size_t cut = cuts.back() + 1; cut < layers; ++cut) {
      cuts.push_back(cut);
      extend();
      cuts.pop_back();
    }
  };
  extend();
}

}  // namespace omnibal::test
