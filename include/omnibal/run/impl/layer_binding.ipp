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
#include <omnibal/pipeline/step_times.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The bytes that a trained layer holds from B to W after it has recomputed in B.
[[nodiscard]] inline linear_cost held_after_recomputing(const layer_cost& layer,
                                                        const mode_cost& mode) {
  if (mode.saved_for_weight_gradient) return *mode.saved_for_weight_gradient;
  if (const auto bare = mode_of_kind(layer.modes, recompute_kind::none))
    return layer.modes[*bare].saved_bytes;
  return mode.saved_bytes + mode.transient_bytes;
}

/// The bytes from B to W of a mode of a chain as its schedule runs it.
[[nodiscard]] inline const linear_cost& kept_until_weight_gradient(const mode_cost& mode) {
  return mode.saved_for_weight_gradient ? *mode.saved_for_weight_gradient : mode.saved_bytes;
}

/// The layer with its backward split.
[[nodiscard]] inline layer_cost with_split_backward(const layer_cost& whole,
                                                    weight_gradient_recompute recompute) {
  layer_cost layer = whole;
  const bool in_both = layer.weight_gradient_time != linear_cost{};
  for (mode_cost& mode : layer.modes) {
    if (!layer.trainable)
      mode.saved_for_weight_gradient = linear_cost{};
    else if (in_both && recompute == weight_gradient_recompute::once)
      mode.saved_for_weight_gradient = held_after_recomputing(whole, mode);
    else
      mode.saved_for_weight_gradient = mode.saved_bytes;
    if (in_both && recompute == weight_gradient_recompute::twice)
      mode.extra_time = mode.extra_time + mode.extra_time;
  }
  return layer;
}

}  // namespace detail

OMNIBAL_INLINE std::vector<layer_cost> chain_under(const any_schedule& schedule,
                                                   std::span<const layer_cost> chain,
                                                   weight_gradient_recompute recompute) {
  std::vector<layer_cost> layers(chain.begin(), chain.end());
  for (layer_cost& layer : layers) {
    if (schedule.capabilities().splits_backward)
      layer = detail::with_split_backward(layer, recompute);
    else
      layer.weight_gradient_time = {};
  }
  return layers;
}

OMNIBAL_INLINE pipeline_problem problem_of(std::span<const layer_cost> chain,
                                           const schedule_shape& schedule, const workload& mean,
                                           const workload& largest, const memory_setup& memory,
                                           const step_overlap& overlap) {
  if (!(memory.margin >= 0.0) || memory.margin > 100.0)
    throw invalid_input("memory.margin", std::to_string(memory.margin),
                        "must be between 0 and 100");
  const auto bytes = [&](const linear_cost& cost) {
    const std::int64_t exact = cost.of(largest);
    return exact + static_cast<std::int64_t>(std::ceil(static_cast<double>(exact) * memory.margin));
  };
  pipeline_problem problem{.schedule = schedule,
                           .memory_limit = std::vector(schedule.stages, memory.limit),
                           .reserved = std::vector(schedule.stages, memory.reserved)};
  for (const layer_cost& layer : chain) {
    const std::int64_t reduction = overlap.reduction ? layer.reduction_time : 0;
    const std::int64_t gather = overlap.gather ? layer.gather_time : 0;
    pipeline_layer plain{.name = layer.name,
                         .kind = layer.kind,
                         .forward_time = layer.forward_time.of(mean),
                         .backward_time = layer.backward_time.of(mean),
                         .weight_gradient_time = layer.weight_gradient_time.of(mean),
                         .static_bytes = layer.static_bytes,
                         .forward_latency = layer.forward_latency.of(mean),
                         .backward_latency = layer.backward_latency.of(mean),
                         .step_time = layer.step_time - reduction - gather,
                         .reduction_time = reduction,
                         .gather_time = gather,
                         .modes = {}};
    for (const mode_cost& mode : layer.modes) {
      const linear_cost& until_weight_gradient = detail::kept_until_weight_gradient(mode);
      plain.modes.push_back({.name = mode.name,
                             .kind = mode.kind,
                             .extra_time = mode.extra_time.of(mean),
                             .saved_bytes = bytes(mode.saved_bytes),
                             .transient_bytes = bytes(mode.transient_bytes),
                             .saved_for_weight_gradient =
                                 schedule.splits_backward() ? bytes(until_weight_gradient) : 0});
    }
    problem.layers.push_back(std::move(plain));
  }
  return problem;
}

OMNIBAL_INLINE activation_bytes stage_model::activation(const workload& work) const {
  activation_bytes bytes{.saved = saved_bytes.of(work)};
  bytes.saved_for_weight_gradient = saved_for_weight_gradient.of(work);
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
      stage.saved_for_weight_gradient =
          stage.saved_for_weight_gradient + detail::kept_until_weight_gradient(mode);
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

OMNIBAL_INLINE std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                     const pipeline_plan& plan,
                                                     const schedule_shape& schedule,
                                                     const workload& mean,
                                                     const step_overlap& overlap) {
  std::vector<stage_model> stages = stage_models(chain, plan);
  if (!overlap.any()) return stages;
  const stage_step_times ends(problem_of(chain, schedule, mean, mean, {}, overlap));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const layer_range layers{plan.cuts[s], plan.cuts[s + 1]};
    stages[s].step_time = ends.time(layers);
    stages[s].hidden_step_time = ends.hidden(layers);
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
