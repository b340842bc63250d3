// SPDX-License-Identifier: Apache-2.0
/// @file
/// Simulation of a training epoch, step by step, with the actual micro-batches: the pipeline of
/// every rank runs its own, then each stage reduces its gradients with its peers on the other ranks
/// and runs its optimizer. A step ends when the last stage of the slowest rank ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

/// The workloads of the micro-batches, and which rank runs them in which step.
struct epoch_load {
  std::size_t ranks = 1;
  std::vector<workload> microbatches = {};
  /// Group step · ranks + rank has that rank's micro-batches in order; it may be empty.
  grouping<std::uint32_t> assignment = {};

  [[nodiscard]] std::size_t steps() const noexcept { return assignment.size() / ranks; }

  /// The largest number of micro-batches per rank and step.
  [[nodiscard]] std::size_t most_microbatches() const noexcept;

  /// The mean micro-batch, each amount rounded up.
  [[nodiscard]] workload mean_microbatch() const;

  /// The largest of each amount over all micro-batches.
  [[nodiscard]] workload largest() const noexcept;
};

/// The result of the simulation.
struct epoch_outcome {
  std::size_t steps = 0;
  std::int64_t time = 0;    ///< Nanoseconds of all steps, one after the other.
  double bubble_ratio = 0;  ///< Share of device time without computation or reduction.
  /// The part of bubble_ratio in which a device has done its micro-batches of the step, and that of
  /// the same stage on another rank has not.
  double rank_wait_ratio = 0;
  std::vector<std::int64_t> peak_memory = {};  ///< Bytes per device, over all steps and ranks.
  /// Nanoseconds per device after its last operation of a step, and those that are overlapped.
  std::vector<std::int64_t> step_times = {};
  std::vector<std::int64_t> hidden_step_times = {};
};

/// The durations, latencies and bytes of one rank's micro-batches on every stage, evaluated once
/// per step. Models operation_times and activation_model.
class microbatch_times {
 public:
  /// Evaluates micro-batches of the load, given in their order in the step, followed by empty ones
  /// up to `count` in total. Changes nothing when it throws.
  void evaluate(std::span<const stage_model> stages, const epoch_load& load,
                std::span<const std::uint32_t> microbatches, std::size_t count);

  [[nodiscard]] std::int64_t duration(const pipeline_operation& work) const noexcept;
  [[nodiscard]] std::int64_t latency(const pipeline_operation& work) const noexcept;
  [[nodiscard]] activation_bytes operator()(const pipeline_operation& work) const noexcept {
    return at(work.stage, work).activation;
  }

 private:
  struct cost {
    std::int64_t forward;
    std::int64_t backward;
    std::int64_t weight_gradient;
    std::int64_t forward_latency;
    std::int64_t backward_latency;
    activation_bytes activation;
  };

  [[nodiscard]] static cost cost_of(const stage_model& stage, const workload& work);

  [[nodiscard]] const cost& at(std::size_t stage, const pipeline_operation& work) const noexcept;

  std::size_t count_ = 0;
  std::vector<cost> costs_;
  std::vector<cost> next_;  // those being evaluated
};

struct epoch_simulation_options {
  std::int64_t reserved = 0;    ///< Bytes added to each device's peak memory.
  search_control control = {};  ///< For progress; a simulation does not stop early.
};

/// Simulates every step of an epoch under a schedule. The schedule's number of micro-batches is
/// replaced by that of each rank, filled up with empty micro-batches if the schedule needs a
/// multiple of the stages. O(micro-batches · virtual stages). Precondition: `stages` are
/// the schedule's virtual stages.
[[nodiscard]] epoch_outcome simulate_epoch(std::span<const stage_model> stages,
                                           const schedule_shape& schedule, const epoch_load& load,
                                           const epoch_simulation_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/epoch_simulation.ipp>
#endif
