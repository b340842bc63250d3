// SPDX-License-Identifier: Apache-2.0
/// @file
/// The memory that a rank needs for a step, from the order of its items in the plan and the bytes
/// of its layers. The library's planner knows one transient per stage, beside everything that the
/// stage saves, and none of forwards; here every layer has its own, beside what the others have at
/// that moment.
///
///     const predicted_memory most = memory_of_step(plan, step, rank, stages);  // to the byte
///     plan.peak_memory = planned_memory(plan, chain, reserved);                // never too little
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "layers/block.hpp"
#include "model_stage.hpp"

namespace omnibal::trainer {

/// The most bytes that all stages of a rank have at a time.
struct predicted_memory {
  std::int64_t saved = 0;        ///< Between operations.
  std::int64_t activations = 0;  ///< At any time.
};

/// Of one step, exactly. `stages` as for the engine. O(items · layers).
[[nodiscard]] predicted_memory memory_of_step(const execution_plan& plan, std::size_t step,
                                              std::size_t rank,
                                              std::span<model_stage<float>* const> stages);

/// What each pipeline rank needs at most over all steps, by costs of the layers as they are
/// executed (as_executed): exact as far as transients are linear. `reserved` is added for every
/// rank. O(items of all steps · layers).
[[nodiscard]] std::vector<std::int64_t> planned_memory(const execution_plan& plan,
                                                       std::span<const layer_cost> chain,
                                                       std::int64_t reserved);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// What a stage has of a micro-batch between its passes, and at most within them.
struct stage_bytes {
  std::int64_t saved = 0;
  std::int64_t waiting = 0;
  pass_peaks peaks = {};
};

/// `bytes_of(stage, workload)` gives the stage_bytes.
template <typename Bytes>
[[nodiscard]] predicted_memory walked_memory(const execution_plan& plan, const rank_step& work,
                                             const Bytes& bytes_of) {
  predicted_memory most;
  std::int64_t held = 0;
  const auto pass = [&](std::int64_t before, std::int64_t within, std::int64_t after) {
    most.activations = std::max(most.activations, held - before + std::max(before, within));
    held += after - before;
    most.saved = std::max(most.saved, held);
  };
  for (const execution_item& item : work.items) {
    if (!is_operation(item.kind) || item.microbatch >= work.packs.size()) continue;
    const stage_bytes of = bytes_of(item.stage, plan.workloads[work.packs[item.microbatch]]);
    if (item.kind == item_kind::forward) pass(0, of.peaks.forward, of.saved);
    if (item.kind == item_kind::backward) pass(of.saved, of.peaks.backward, of.waiting);
    if (item.kind == item_kind::weight_gradient) pass(of.waiting, of.peaks.weight_gradient, 0);
  }
  return most;
}

/// The bytes of a plan's stages by the costs of their layers.
class costed_stages {
 public:
  costed_stages(const execution_plan& plan, std::span<const layer_cost> chain) : plan_(&plan) {
    std::vector<layer_training> training;
    for (const layer_cost& layer : chain) training.push_back({.trainable = layer.trainable});
    const std::vector<gradient_needs> needs = gradients_of(training);
    for (std::size_t l = 0; l < chain.size(); ++l) {
      const mode_cost& mode =
          *std::ranges::find(chain[l].modes, plan.layers[l].mode, &mode_cost::name);
      layers_.push_back({.saved = mode.saved_bytes,
                         .transient = mode.transient_bytes,
                         .waiting = mode.saved_for_weight_gradient.value_or(mode.saved_bytes),
                         .has_backward = needs[l].any(),
                         .is_head = chain[l].kind == layer_kind::head});
    }
  }

  [[nodiscard]] stage_bytes operator()(std::uint32_t stage, const workload& work) const {
    stage_bytes of;
    const execution_stage& planned = plan_->stages[stage];
    for (std::uint32_t l = planned.end_layer; l-- > planned.first_layer;) {
      const layer_bytes& layer = layers_[l];
      const std::int64_t saved = layer.saved.of(work);
      const std::int64_t within = saved + layer.transient.of(work);
      const std::int64_t waiting = plan_->splits_backward ? layer.waiting.of(work) : 0;
      // With what this layer and those after it have; those before it have what they saved.
      of.peaks.forward = std::max(of.peaks.forward + saved, within);
      of.peaks.backward =
          std::max(of.peaks.backward + saved, layer.has_backward ? within + of.waiting : 0);
      // Only the head computes its logits again in the weight gradient.
      of.peaks.weight_gradient = std::max(of.peaks.weight_gradient + waiting,
                                          layer.is_head && waiting > 0 ? within : waiting);
      of.saved += saved;
      of.waiting += waiting;
    }
    return of;
  }

 private:
  struct layer_bytes {
    linear_cost saved = {};
    linear_cost transient = {};
    linear_cost waiting = {};
    bool has_backward = true;
    bool is_head = false;
  };

  const execution_plan* plan_;
  std::vector<layer_bytes> layers_ = {};
};

}  // namespace detail

inline predicted_memory memory_of_step(const execution_plan& plan, std::size_t step,
                                       std::size_t rank,
                                       std::span<model_stage<float>* const> stages) {
  return detail::walked_memory(
      plan, step_of(plan, step, rank), [&](std::uint32_t stage, const workload& work) {
        return detail::stage_bytes{
            .saved = stages[stage]->saved_bytes(work),
            .waiting = plan.splits_backward ? stages[stage]->waiting_bytes(work) : 0,
            .peaks = stages[stage]->predicted_peaks(work)};
      });
}

inline std::vector<std::int64_t> planned_memory(const execution_plan& plan,
                                                std::span<const layer_cost> chain,
                                                std::int64_t reserved) {
  const detail::costed_stages bytes_of(plan, chain);
  std::vector<std::int64_t> most(plan.devices, 0);
  for (std::size_t step = 0; step < plan.steps(); ++step)
    for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
      std::int64_t& of_device = most[rank % plan.devices];
      const predicted_memory needed =
          detail::walked_memory(plan, step_of(plan, step, rank), bytes_of);
      of_device = std::max(of_device, needed.activations);
    }
  for (std::int64_t& each : most) each += reserved;
  for (const execution_stage& stage : plan.stages)
    for (std::uint32_t l = stage.first_layer; l < stage.end_layer; ++l)
      most[stage.device] += chain[l].static_bytes;
  return most;
}

}  // namespace omnibal::trainer
