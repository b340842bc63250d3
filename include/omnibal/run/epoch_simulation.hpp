// SPDX-License-Identifier: Apache-2.0
/// @file
/// An epoch of training, simulated step by step with the real micro-batches: every rank's pipeline
/// runs its own, then each stage reduces its gradients with its peers of the other ranks and steps
/// its optimizer. A step ends when the last stage of the last rank has.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
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
  [[nodiscard]] std::size_t most_microbatches() const noexcept {
    std::size_t most = 0;
    for (std::size_t group = 0; group < assignment.size(); ++group)
      most = std::max(most, assignment[group].size());
    return most;
  }

  /// The mean micro-batch, every amount rounded up.
  [[nodiscard]] workload typical() const {
    wide_integer tiles = 0;
    wide_integer tokens = 0;
    wide_integer squared = 0;
    for (const workload& one : microbatches) {
      tiles += one.tiles;
      tokens += one.tokens;
      squared += one.squared_tokens;
    }
    const auto count = static_cast<wide_integer>(std::max<std::size_t>(1, microbatches.size()));
    const auto mean = [&](wide_integer sum) {
      return static_cast<std::int64_t>((sum + count - 1) / count);
    };
    return {mean(tiles), mean(tokens), mean(squared)};
  }

  /// The largest of each amount.
  [[nodiscard]] workload largest() const noexcept {
    workload most;
    for (const workload& one : microbatches)
      most = {std::max(most.tiles, one.tiles), std::max(most.tokens, one.tokens),
              std::max(most.squared_tokens, one.squared_tokens)};
    return most;
  }
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
             std::span<const std::uint32_t> microbatches, std::size_t count) {
    count_ = count;
    costs_.clear();
    for (const stage_model& stage : stages) {
      for (const std::uint32_t id : microbatches)
        costs_.push_back(cost_of(stage, load.microbatches[id]));
      costs_.resize(costs_.size() + count - microbatches.size(), cost_of(stage, {}));
    }
  }

  [[nodiscard]] std::int64_t duration(const operation& work) const noexcept {
    switch (work.kind) {
      case operation_kind::forward: return at(work.stage, work).forward;
      case operation_kind::backward: return at(work.stage, work).backward;
      case operation_kind::weight_gradient: return at(work.stage, work).weight_gradient;
    }
    return 0;
  }
  [[nodiscard]] std::int64_t latency(const operation& work) const noexcept {
    if (work.kind == operation_kind::forward)
      return work.stage == 0 ? 0 : at(work.stage - 1, work).forward_latency;
    return work.kind == operation_kind::backward ? at(work.stage, work).backward_latency : 0;
  }
  [[nodiscard]] activation_bytes operator()(const operation& work) const noexcept {
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

  [[nodiscard]] static cost cost_of(const stage_model& stage, const workload& work) {
    const std::int64_t weight_gradient = stage.weight_gradient_time.of(work);
    return {stage.forward_time.of(work),
            stage.backward_time.of(work) - weight_gradient,
            weight_gradient,
            stage.forward_latency.of(work),
            stage.backward_latency.of(work),
            stage.activation(work)};
  }

  [[nodiscard]] const cost& at(std::size_t stage, const operation& work) const noexcept {
    return costs_[stage * count_ + work.microbatch];
  }

  std::size_t count_ = 0;
  std::vector<cost> costs_;
};

/// The fewest micro-batches that a schedule can run and that are not fewer than these.
[[nodiscard]] constexpr std::size_t runnable_microbatches(const schedule_shape& schedule,
                                                          std::size_t microbatches) noexcept {
  if (schedule.kind != schedule_kind::interleaved) return microbatches;
  return (microbatches + schedule.stages - 1) / schedule.stages * schedule.stages;
}

namespace detail {

/// A schedule's orders and graph for one number of micro-batches.
struct prepared_schedule {
  std::vector<std::vector<operation>> orders;
  operation_graph graph;

  explicit prepared_schedule(const schedule_shape& shape)
      : orders(device_orders(shape)), graph(orders, shape.total_stages(), shape.microbatches) {}
};

/// A schedule prepared for every number of micro-batches that it is asked for.
class prepared_schedules {
 public:
  explicit prepared_schedules(const schedule_shape& shape) : shape_(shape) {}

  [[nodiscard]] const prepared_schedule& of(std::size_t microbatches) {
    schedule_shape shape = shape_;
    shape.microbatches = runnable_microbatches(shape_, microbatches);
    return prepared_.try_emplace(shape.microbatches, shape).first->second;
  }

 private:
  schedule_shape shape_;
  std::map<std::size_t, prepared_schedule> prepared_;
};

/// Per device: what its virtual stages need once a step, nanoseconds.
[[nodiscard]] inline std::vector<std::int64_t> device_step_times(
    std::span<const stage_model> stages, std::size_t devices) {
  std::vector<std::int64_t> times(devices, 0);
  for (std::size_t j = 0; j < stages.size(); ++j) times[j % devices] += stages[j].step_time;
  return times;
}

}  // namespace detail

/// Simulates every step of an epoch under a schedule of any number of micro-batches: its own is
/// ignored, and where it runs only multiples of the stages, empty micro-batches fill a rank up.
/// `reserved` bytes are added to each device's peak memory. O(micro-batches · virtual stages).
/// Precondition: `stages` are the schedule's virtual stages.
[[nodiscard]] inline epoch_outcome simulate_epoch(std::span<const stage_model> stages,
                                                  const schedule_shape& schedule,
                                                  const epoch_load& load, std::int64_t reserved,
                                                  const run_control& control = {}) {
  const std::size_t devices = schedule.stages;
  epoch_outcome outcome{.steps = load.steps(),
                        .peak_memory = std::vector<std::int64_t>(devices, 0)};
  const std::vector<std::int64_t> step_times = detail::device_step_times(stages, devices);
  detail::prepared_schedules schedules(schedule);
  microbatch_times times;
  std::vector<std::int64_t> ends;
  double busy = 0;
  for (std::size_t step = 0; step < outcome.steps; ++step) {
    if (step % 64 == 0) control.tell("simulate", step, outcome.steps);
    std::vector<std::int64_t> device_end(devices, 0);
    for (std::size_t rank = 0; rank < load.ranks; ++rank) {
      const std::span<const std::uint32_t> microbatches = load.assignment[step * load.ranks + rank];
      if (microbatches.empty()) continue;
      const detail::prepared_schedule& prepared = schedules.of(microbatches.size());
      times.price(stages, load, microbatches, prepared.graph.microbatches());
      const simulation<std::int64_t> run = simulate(prepared.graph, times, ends);
      for (std::size_t d = 0; d < devices; ++d) {
        device_end[d] = std::max(device_end[d], run.end[d]);
        busy += static_cast<double>(run.busy[d]);
        outcome.peak_memory[d] =
            std::max(outcome.peak_memory[d], peak_activation(prepared.orders[d], times).bytes);
      }
    }
    std::int64_t step_end = 0;
    for (std::size_t d = 0; d < devices; ++d) {
      step_end = std::max(step_end, device_end[d] + step_times[d]);
      busy += static_cast<double>(step_times[d]) * static_cast<double>(load.ranks);
    }
    outcome.time = checked_add(outcome.time, step_end, "epoch time");
  }
  for (std::size_t d = 0; d < devices; ++d) outcome.peak_memory[d] += reserved;
  for (std::size_t j = 0; j < stages.size(); ++j)
    outcome.peak_memory[j % devices] += stages[j].static_bytes;
  const double paid = static_cast<double>(outcome.time) * static_cast<double>(devices * load.ranks);
  outcome.bubble_ratio = paid > 0 ? 1.0 - busy / paid : 0.0;
  return outcome;
}

}  // namespace omnibal::inline v0
