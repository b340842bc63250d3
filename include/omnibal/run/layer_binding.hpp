// SPDX-License-Identifier: Apache-2.0
/// @file
/// From priced layers to planning problems and back: a chain whose costs are functions of the
/// micro-batch becomes a problem of plain numbers, and a plan for it becomes stages whose costs
/// are functions of the micro-batch again.
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

namespace omnibal::inline v0 {

/// The devices of one data-parallel rank and what of their memory is not for the plan to fill.
struct memory_setup {
  std::int64_t limit = 0;     ///< Bytes of a device.
  std::int64_t reserved = 0;  ///< Bytes for context, communication buffers and fragmentation.
  double margin = 0.0;        ///< Share by which predicted activations are taken to be larger.
};

/// The chain as a schedule runs it. Where the schedule splits the backward, a layer recomputes
/// twice, for the gradient of its inputs and again for that of its weights, and what it keeps it
/// keeps until the latter; both recomputations are charged to the former. Elsewhere the weight
/// gradient is no operation of its own. O(layers · modes).
[[nodiscard]] inline std::vector<layer_cost> chain_under(schedule_kind schedule,
                                                         std::span<const layer_cost> chain) {
  std::vector<layer_cost> layers(chain.begin(), chain.end());
  const bool splits = schedule_shape{.kind = schedule}.splits_backward();
  for (layer_cost& layer : layers) {
    if (!splits) layer.weight_gradient_time = {};
    if (splits && layer.weight_gradient_time != linear_cost{})
      for (mode_cost& mode : layer.modes) mode.extra_time = mode.extra_time + mode.extra_time;
  }
  return layers;
}

/// The problem of plain numbers: times of the typical micro-batch, bytes of the largest one, so
/// that any window of micro-batches in flight fits. Throws invalid_input for a margin that is
/// negative or not finite. Precondition: the chain is as the schedule runs it.
/// O(layers · modes).
[[nodiscard]] inline pipeline_problem problem_of(std::span<const layer_cost> chain,
                                                 const schedule_shape& schedule,
                                                 const workload& typical, const workload& largest,
                                                 const memory_setup& memory) {
  if (!(memory.margin >= 0.0) || memory.margin > 100.0)
    throw invalid_input("margin", std::to_string(memory.margin), "must be between 0 and 100");
  const auto bytes = [&](const linear_cost& cost) {
    const std::int64_t exact = cost.of(largest);
    return exact + static_cast<std::int64_t>(std::ceil(static_cast<double>(exact) * memory.margin));
  };
  pipeline_problem problem{.schedule = schedule,
                           .memory_limit = std::vector(schedule.stages, memory.limit),
                           .reserved = std::vector(schedule.stages, memory.reserved)};
  for (const layer_cost& priced : chain) {
    layer plain{.name = priced.name,
                .forward_time = priced.forward_time.of(typical),
                .backward_time = priced.backward_time.of(typical),
                .weight_gradient_time = priced.weight_gradient_time.of(typical),
                .static_bytes = priced.static_bytes,
                .forward_latency = priced.forward_latency.of(typical),
                .backward_latency = priced.backward_latency.of(typical),
                .modes = {}};
    for (const mode_cost& mode : priced.modes) {
      const std::int64_t kept = bytes(mode.kept_bytes);
      plain.modes.push_back({.name = mode.name,
                             .extra_time = mode.extra_time.of(typical),
                             .kept_bytes = kept,
                             .transient_bytes = bytes(mode.transient_bytes),
                             .kept_for_weight_gradient = schedule.splits_backward() ? kept : 0});
    }
    problem.layers.push_back(std::move(plain));
  }
  return problem;
}

/// The costs of one virtual stage of a plan: sums over its layers, each in its mode.
struct stage_model {
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Recomputation and weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};
  linear_cost backward_latency = {};
  linear_cost kept_bytes = {};
  std::vector<linear_cost> transients = {};  ///< Bytes; the largest counts.
  std::int64_t static_bytes = 0;
  std::int64_t step_time = 0;

  [[nodiscard]] activation_bytes activation(const workload& work) const {
    activation_bytes bytes{.kept = kept_bytes.of(work)};
    bytes.kept_for_weight_gradient = bytes.kept;
    for (const linear_cost& one : transients)
      bytes.transient = std::max(bytes.transient, one.of(work));
    return bytes;
  }
};

/// The virtual stages of a valid plan for the chain. O(layers).
[[nodiscard]] inline std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                           const pipeline_plan& plan) {
  std::vector<stage_model> stages(plan.cuts.size() - 1);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    stage_model& stage = stages[s];
    for (std::size_t l = plan.cuts[s]; l < plan.cuts[s + 1]; ++l) {
      const layer_cost& priced = chain[l];
      const mode_cost& mode = priced.modes[plan.modes[l]];
      stage.forward_time = stage.forward_time + priced.forward_time;
      stage.backward_time = stage.backward_time + priced.backward_time + mode.extra_time;
      stage.weight_gradient_time = stage.weight_gradient_time + priced.weight_gradient_time;
      stage.kept_bytes = stage.kept_bytes + mode.kept_bytes;
      if (std::ranges::find(stage.transients, mode.transient_bytes) == stage.transients.end())
        stage.transients.push_back(mode.transient_bytes);
      stage.static_bytes += priced.static_bytes;
      stage.step_time += priced.step_time;
    }
    if (s + 1 < stages.size()) {
      stage.forward_latency = chain[plan.cuts[s + 1] - 1].forward_latency;
      stage.backward_latency = chain[plan.cuts[s + 1] - 1].backward_latency;
    }
  }
  return stages;
}

/// Forward and backward of all layers without recomputation, communication between stages, or
/// what a pass costs whatever its size: the work of the samples, however they are packed.
[[nodiscard]] inline linear_cost necessary_time(std::span<const layer_cost> chain) {
  linear_cost sum;
  for (const layer_cost& priced : chain) sum = sum + priced.forward_time + priced.backward_time;
  sum.constant = 0;
  return sum;
}

}  // namespace omnibal::inline v0
