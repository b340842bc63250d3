// SPDX-License-Identifier: Apache-2.0
/// @file
/// One step of a pipeline from times and bytes per virtual stage, in one call: makespan, memory of
/// the activations, and a timeline to draw.
///
///     const auto step = omnibal::simulate_step(
///         {.schedule = {.stages = 2, .microbatches = 4},
///          .times = {.forward = {3, 4}, .backward = {6, 8}, .forward_latency = {1},
///                    .backward_latency = {1}}});
///     std::ofstream("step.svg") << omnibal::timelines_svg({&step.drawn, 1});
///
/// Its parts are in operation_graph.hpp, simulate.hpp, memory.hpp and timeline.hpp, for programs
/// that simulate many steps of one schedule.
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

/// A step. Lists have one entry per virtual stage unless said otherwise.
struct step_problem {
  schedule_shape schedule = {};
  /// `weight_gradient` and `microbatch_scale` may be empty, which means 0 and 1. Latencies have one
  /// entry per edge between stages, `microbatch_scale` one per micro-batch.
  stage_times<std::int64_t> times = {};
  std::vector<std::int64_t> recomputation = {};    ///< The part of each backward; empty: 0.
  std::vector<activation_bytes> activations = {};  ///< Of a micro-batch; empty: 0.
  std::vector<std::int64_t> step_times = {};       ///< After all operations; empty: 0.
  /// One order of operations per device, in which a stage may be on any device; empty: those of the
  /// schedule, of which only the sizes count otherwise.
  std::vector<std::vector<pipeline_operation>> orders = {};
};

/// What a step takes.
struct simulated_step {
  simulation<std::int64_t> times = {};  ///< `step_times` included.
  std::vector<device_peak> peaks = {};  ///< Of the activations of each device.
  timeline drawn = {};                  ///< The operations, without `step_times`.
};

/// Simulates a step. Throws invalid_input naming the member: for sizes that the schedule cannot
/// have, lists of another length, negative numbers, recomputation that is more than its backward,
/// orders that operation_graph refuses, and numbers whose sums over a step do not fit 64 bits.
/// O(operations).
[[nodiscard]] simulated_step simulate_step(const step_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/step_simulation.ipp>
#endif
