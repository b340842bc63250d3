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

/// The chain as a schedule runs it. If the schedule splits the backward, a layer recomputes twice,
/// for the gradient of its inputs and for that of its weights, and its saved activations stay until
/// the latter; both recomputations count in the former. Otherwise the weight gradient is part of
/// the backward. O(layers · modes).
[[nodiscard]] std::vector<layer_cost> chain_under(const any_schedule& schedule,
                                                  std::span<const layer_cost> chain);

/// The planning problem: times of the mean micro-batch, bytes of the largest one, so that any
/// micro-batches in flight fit. Throws invalid_input unless the margin is from 0 to 100.
/// Precondition: the chain is as the schedule runs it (chain_under). O(layers · modes).
[[nodiscard]] pipeline_problem problem_of(std::span<const layer_cost> chain,
                                          const schedule_shape& schedule, const workload& mean,
                                          const workload& largest, const memory_setup& memory);

/// The costs of one virtual stage of a plan: sums over its layers, each in its mode.
struct stage_model {
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Recomputation and weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};
  linear_cost backward_latency = {};
  linear_cost saved_bytes = {};
  std::vector<linear_cost> transients = {};  ///< Bytes per mode; the largest counts.
  std::int64_t static_bytes = 0;
  std::int64_t step_time = 0;

  [[nodiscard]] activation_bytes activation(const workload& work) const;
};

/// The virtual stages of a valid plan for the chain. O(layers).
[[nodiscard]] std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                    const pipeline_plan& plan);

/// Forward and backward of all layers, without recomputation, transfers between stages and the
/// constant cost of a pass: the work of the samples regardless of how they are packed.
[[nodiscard]] linear_cost necessary_time(std::span<const layer_cost> chain);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/layer_binding.ipp>
#endif
