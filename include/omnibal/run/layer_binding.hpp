// SPDX-License-Identifier: Apache-2.0
/// @file
/// From priced layers to planning problems and back: a chain whose costs are functions of the
/// micro-batch becomes a problem of plain numbers, and a plan for it becomes stages whose costs
/// are functions of the micro-batch again.
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
[[nodiscard]] std::vector<layer_cost> chain_under(schedule_kind schedule,
                                                  std::span<const layer_cost> chain);

/// The problem of plain numbers: times of the typical micro-batch, bytes of the largest one, so
/// that any window of micro-batches in flight fits. Throws invalid_input for a margin that is
/// negative or not finite. Precondition: the chain is as the schedule runs it.
/// O(layers · modes).
[[nodiscard]] pipeline_problem problem_of(std::span<const layer_cost> chain,
                                          const schedule_shape& schedule, const workload& typical,
                                          const workload& largest, const memory_setup& memory);

/// The costs of one virtual stage of a plan: sums over its layers, each in its mode.
struct stage_model {
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Recomputation and weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};
  linear_cost backward_latency = {};
  linear_cost saved_bytes = {};
  std::vector<linear_cost> transients = {};  ///< Bytes; the largest counts.
  std::int64_t static_bytes = 0;
  std::int64_t step_time = 0;

  [[nodiscard]] activation_bytes activation(const workload& work) const;
};

/// The virtual stages of a valid plan for the chain. O(layers).
[[nodiscard]] std::vector<stage_model> stage_models(std::span<const layer_cost> chain,
                                                    const pipeline_plan& plan);

/// Forward and backward of all layers without recomputation, communication between stages, or
/// what a pass costs whatever its size: the work of the samples, however they are packed.
[[nodiscard]] linear_cost necessary_time(std::span<const layer_cost> chain);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/layer_binding.ipp>
#endif
