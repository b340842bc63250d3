// SPDX-License-Identifier: Apache-2.0
/// @file
/// Conversion between layer costs and planning problems: a chain whose costs are functions of the
/// micro-batch becomes a pipeline_problem of integers, and a plan for it becomes stages whose costs
/// are functions of the micro-batch again.
///
///     const auto layers = omnibal::chain_under(schedule.kind, chain);
///     const auto problem = omnibal::problem_of(layers, schedule, mean, largest, memory);
///     const auto stages = omnibal::stage_models(layers, plan);
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The memory of the devices, and the part of it that is not available to a plan.
struct memory_setup {
  std::int64_t limit = 0;     ///< Bytes per device.
  std::int64_t reserved = 0;  ///< Bytes for context, communication buffers and fragmentation.
  double margin = 0.0;        ///< Share by which predicted activations are enlarged.
};

/// How often a trained layer that recomputes does so for one micro-batch under a schedule that
/// splits the backward into B, the gradient of its inputs, and W, that of its weights.
enum class weight_gradient_recompute {
  once,   ///< In B, which holds all activations until W.
  twice,  ///< In B and again in W; the saved activations stay until W.
};

/// The chain as a schedule runs it. If the schedule splits the backward, every mode gets the bytes
/// that stay from B to W, none where the layer is not trained, and two recomputations both count in
/// B. Otherwise the weight gradient is part of the backward. O(layers · modes).
[[nodiscard]] std::vector<layer_cost> chain_under(
    const any_schedule& schedule, std::span<const layer_cost> chain,
    weight_gradient_recompute recompute = weight_gradient_recompute::once);

/// What a trainer runs beside computation at the end of a step, to the extent that
/// pipeline/step_times.hpp says for the mean micro-batch.
struct step_overlap {
  bool reduction = false;  ///< Of gradients, beside the last backward.
  bool gather = false;     ///< Of the parameters of a sharded optimizer, beside the first forward.

  [[nodiscard]] constexpr bool any() const noexcept { return reduction || gather; }
};

/// The planning problem: times of the mean micro-batch, bytes of the largest one, so that any
/// micro-batches in flight fit. Throws invalid_input unless the margin is from 0 to 100.
/// Precondition: the chain is as the schedule runs it (chain_under). O(layers · modes).
[[nodiscard]] pipeline_problem problem_of(std::span<const layer_cost> chain,
                                          const schedule_shape& schedule, const workload& mean,
                                          const workload& largest, const memory_setup& memory,
                                          const step_overlap& overlap = {});

/// The costs of one virtual stage of a plan: sums over its layers, each in its mode.
struct stage_model {
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Recomputation and weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};
  linear_cost backward_latency = {};
  linear_cost saved_bytes = {};
  linear_cost saved_for_weight_gradient = {};  ///< Bytes from B to W, where W is an operation.
  std::vector<linear_cost> transients = {};    ///< Bytes per mode; the largest counts.
  std::int64_t static_bytes = 0;
  std::int64_t step_time = 0;
  std::int64_t hidden_step_time = 0;  ///< Overlapped, and not in step_time.

  [[nodiscard]] activation_bytes activation(const workload& work) const;
};

/// The virtual stages of a valid plan for the chain, without overlap. O(layers).
[[nodiscard]] std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                    const pipeline_plan& plan);

/// The same with the step times that stay where some of them are overlapped, beside passes of the
/// mean micro-batch. O(layers · modes).
[[nodiscard]] std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                    const pipeline_plan& plan,
                                                    const schedule_shape& schedule,
                                                    const workload& mean,
                                                    const step_overlap& overlap);

/// Forward and backward of all layers, without recomputation, transfers between stages and the
/// constant cost of a pass: the work of the samples regardless of how they are packed.
[[nodiscard]] linear_cost necessary_time(std::span<const layer_cost> chain);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/layer_binding.ipp>
#endif
