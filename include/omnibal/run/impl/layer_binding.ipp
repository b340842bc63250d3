// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<layer_cost> chain_under(const any_schedule& schedule,
                                                   std::span<const layer_cost> chain) {
  std::vector<layer_cost> layers(chain.begin(), chain.end());
  const bool splits = schedule.capabilities().splits_backward;
  for (layer_cost& layer : layers) {
    if (!splits) layer.weight_gradient_time = {};
    if (splits && layer.weight_gradient_time != linear_cost{})
      for (mode_cost& mode : layer.modes) mode.extra_time = mode.extra_time + mode.extra_time;
  }
  return layers;
}

OMNIBAL_INLINE pipeline_problem problem_of(std::span<const layer_cost> chain,
                                           const schedule_shape& schedule, const workload& mean,
                                           const workload& largest, const memory_setup& memory) {
  if (!(memory.margin >= 0.0) || memory.margin > 100.0)
    throw invalid_input("margin", std::to_string(memory.margin), "must be between 0 and 100");
  const auto bytes = [&](const linear_cost& cost) {
    const std::int64_t exact = cost.of(largest);
    return exact + static_cast<std::int64_t>(std::ceil(static_cast<double>(exact) * memory.margin));
  };
  pipeline_problem problem{.schedule = schedule,
                           .memory_limit = std::vector(schedule.stages, memory.limit),
                           .reserved = std::vector(schedule.stages, memory.reserved)};
  for (const layer_cost& layer : chain) {
    pipeline_layer plain{.name = layer.name,
                         .kind = layer.kind,
                         .forward_time = layer.forward_time.of(mean),
                         .backward_time = layer.backward_time.of(mean),
                         .weight_gradient_time = layer.weight_gradient_time.of(mean),
                         .static_bytes = layer.static_bytes,
                         .forward_latency = layer.forward_latency.of(mean),
                         .backward_latency = layer.backward_latency.of(mean),
                         .step_time = layer.step_time,
                         .modes = {}};
    for (const mode_cost& mode : layer.modes) {
      const std::int64_t saved = bytes(mode.saved_bytes);
      plain.modes.push_back({.name = mode.name,
                             .kind = mode.kind,
                             .extra_time = mode.extra_time.of(mean),
                             .saved_bytes = saved,
                             .transient_bytes = bytes(mode.transient_bytes),
                             .saved_for_weight_gradient = schedule.splits_backward() ? saved : 0});
    }
    problem.layers.push_back(std::move(plain));
  }
  return problem;
}

OMNIBAL_INLINE activation_bytes stage_model::activation(const workload& work) const {
  activation_bytes bytes{.saved = saved_bytes.of(work)};
  bytes.saved_for_weight_gradient = bytes.saved;
  for (const linear_cost& one : transients)
    bytes.transient = std::max(bytes.transient, one.of(work));
  return bytes;
}

OMNIBAL_INLINE std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                     const pipeline_plan& plan) {
  std::vector<stage_model> stages(plan.cuts.size() - 1);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stage_model& stage = stages[s];
    for (std::size_t l = plan.cuts[s]; l < plan.cuts[s + 1]; ++l) {
      const layer_cost& layer = chain[l];
      const mode_cost& mode = layer.modes[plan.modes[l]];
      stage.forward_time = stage.forward_time + layer.forward_time;
      stage.backward_time = stage.backward_time + layer.backward_time + mode.extra_time;
      stage.weight_gradient_time = stage.weight_gradient_time + layer.weight_gradient_time;
      stage.saved_bytes = stage.saved_bytes + mode.saved_bytes;
      if (std::ranges::find(stage.transients, mode.transient_bytes) == stage.transients.end())
        stage.transients.push_back(mode.transient_bytes);
      stage.static_bytes += layer.static_bytes;
      stage.step_time += layer.step_time;
    }
    if (s + 1 < stages.size()) {
      stage.forward_latency = chain[plan.cuts[s + 1] - 1].forward_latency;
      stage.backward_latency = chain[plan.cuts[s + 1] - 1].backward_latency;
    }
  }
  return stages;
}

OMNIBAL_INLINE linear_cost necessary_time(std::span<const layer_cost> chain) {
  linear_cost sum;
  for (const layer_cost& layer : chain) sum = sum + layer.forward_time + layer.backward_time;
  sum.constant = 0;
  return sum;
}

}  // namespace omnibal::inline v0
