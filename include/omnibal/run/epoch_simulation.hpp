// SPDX-License-Identifier: Apache-2.0
/// @file
/// An epoch of training, simulated step by step with the real micro-batches: every rank's pipeline
/// runs its own, then each stage reduces its gradients with its peers of the other ranks and steps
/// its optimizer. A step ends when the last stage of the last rank has.
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

/// Which micro-batches each rank runs in each step.
struct epoch_load {
  std::size_t ranks = 1;
  std::vector<workload> microbatches = {};
  /// Group step · ranks + rank lists that rank's micro-batches in order; it may be empty.
  grouping<std::uint32_t> assignment = {};

  [[nodiscard]] std::size_t steps() const noexcept { return assignment.size() / ranks; }

  /// The most micro-batches of any rank in any step.
  [[nodiscard]] std::size_t most_microbatches() const noexcept;

  /// The mean micro-batch, every amount rounded up.
  [[nodiscard]] workload mean_microbatch() const;

  /// The largest of each amount.
  [[nodiscard]] workload largest() const noexcept;
};

struct epoch_outcome {
  std::size_t steps = 0;
  std::int64_t time = 0;  ///< Nanoseconds of all steps, one after the other.
  double bubble_ratio =
      0;  ///< Share of all devices' time in which they neither compute nor reduce.
  std::vector<std::int64_t> peak_memory = {};  ///< Bytes per device, over all steps and ranks.
};

/// The durations, latencies and bytes of one rank's micro-batches on every stage, priced once.
/// Models operation_times and activation_model.
class microbatch_times {
 public:
  /// Prices micro-batches of the load, named in their order in the step, and after them as many
  /// empty ones as make `count` of all.
  void price(std::span<const stage_model> stages, const epoch_load& load,
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
};

/// Simulates every step of an epoch under a schedule of any number of micro-batches: its own is
/// ignored, and where it runs only multiples of the stages, empty micro-batches fill a rank up.
/// `reserved` bytes are added to each device's peak memory. O(micro-batches · virtual stages).
/// Precondition: `stages` are the schedule's virtual stages.
[[nodiscard]] epoch_outcome simulate_epoch(std::span<const stage_model> stages,
                                           const schedule_shape& schedule, const epoch_load& load,
                                           std::int64_t reserved,
                                           const search_control& control = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/epoch_simulation.ipp>
#endif
