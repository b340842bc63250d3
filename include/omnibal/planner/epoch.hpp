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
#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/progress.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/planner/stage_model.hpp>
#include <span>
#include <vector>

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
  std::vector<std::int64_t> peak_memory = {};  ///< Bytes per stage, over all steps and ranks.
};

/// The durations, latencies and bytes of one rank's micro-batches on every stage, priced once.
/// Models operation_times and activation_model for schedules without a split backward.
class microbatch_times {
 public:
  /// Prices micro-batches of the load, named in their order in the step.
  void price(std::span<const stage_model> stages, const epoch_load& load,
             std::span<const std::uint32_t> microbatches) {
    count_ = microbatches.size();
    costs_.clear();
    for (const stage_model& stage : stages)
      for (const std::uint32_t id : microbatches) {
        const workload& work = load.microbatches[id];
        costs_.push_back({stage.forward_time.of(work), stage.backward_time.of(work),
                          stage.forward_latency.of(work), stage.backward_latency.of(work),
                          stage.activation(work)});
      }
  }

  [[nodiscard]] std::int64_t duration(const operation& work) const noexcept {
    return work.kind == operation_kind::forward ? at(work.stage, work).forward
                                                : at(work.stage, work).backward;
  }
  [[nodiscard]] std::int64_t latency(const operation& work) const noexcept {
    if (work.kind == operation_kind::forward)
      return work.stage == 0 ? 0 : at(work.stage - 1, work).forward_latency;
    return at(work.stage, work).backward_latency;
  }
  [[nodiscard]] activation_bytes operator()(const operation& work) const noexcept {
    return at(work.stage, work).activation;
  }

 private:
  struct cost {
    std::int64_t forward;
    std::int64_t backward;
    std::int64_t forward_latency;
    std::int64_t backward_latency;
    activation_bytes activation;
  };

  [[nodiscard]] const cost& at(std::size_t stage, const operation& work) const noexcept {
    return costs_[stage * count_ + work.microbatch];
  }

  std::size_t count_ = 0;
  std::vector<cost> costs_;
};

namespace detail {

/// A schedule's orders and graph for one number of micro-batches.
struct prepared_schedule {
  std::vector<std::vector<operation>> orders;
  operation_graph graph;

  explicit prepared_schedule(const schedule_shape& shape)
      : orders(device_orders(shape)), graph(orders, shape.total_stages(), shape.microbatches) {}
};

}  // namespace detail

/// Simulates every step of an epoch under a schedule without virtual stages or split backward
/// (gpipe, 1f1b). `reserved` bytes are added to each stage's peak memory.
/// O(micro-batches · stages).
[[nodiscard]] inline epoch_outcome simulate_epoch(std::span<const stage_model> stages,
                                                  schedule_kind schedule, const epoch_load& load,
                                                  std::int64_t reserved,
                                                  const run_control& control = {}) {
  epoch_outcome outcome{.steps = load.steps(),
                        .peak_memory = std::vector<std::int64_t>(stages.size(), 0)};
  std::map<std::size_t, detail::prepared_schedule> schedules;
  microbatch_times times;
  std::vector<std::int64_t> ends;
  double busy = 0;
  for (std::size_t step = 0; step < outcome.steps; ++step) {
    if (step % 64 == 0) control.tell("simulate", step, outcome.steps);
    std::vector<std::int64_t> stage_end(stages.size(), 0);
    for (std::size_t rank = 0; rank < load.ranks; ++rank) {
      const std::span<const std::uint32_t> microbatches = load.assignment[step * load.ranks + rank];
      if (microbatches.empty()) continue;
      const schedule_shape shape{
          .kind = schedule, .stages = stages.size(), .microbatches = microbatches.size()};
      const detail::prepared_schedule& prepared =
          schedules.try_emplace(microbatches.size(), shape).first->second;
      times.price(stages, load, microbatches);
      const simulation<std::int64_t> run = simulate(prepared.graph, times, ends);
      for (std::size_t s = 0; s < stages.size(); ++s) {
        stage_end[s] = std::max(stage_end[s], run.end[s]);
        busy += static_cast<double>(run.busy[s]);
        outcome.peak_memory[s] =
            std::max(outcome.peak_memory[s], peak_activation(prepared.orders[s], times).bytes);
      }
    }
    std::int64_t step_end = 0;
    for (std::size_t s = 0; s < stages.size(); ++s) {
      step_end = std::max(step_end, stage_end[s] + stages[s].step_time);
      busy += static_cast<double>(stages[s].step_time) * static_cast<double>(load.ranks);
    }
    outcome.time = checked_add(outcome.time, step_end, "epoch time");
  }
  for (std::size_t s = 0; s < stages.size(); ++s)
    outcome.peak_memory[s] += stages[s].static_bytes + reserved;
  const double paid =
      static_cast<double>(outcome.time) * static_cast<double>(stages.size() * load.ranks);
  outcome.bubble_ratio = paid > 0 ? 1.0 - busy / paid : 0.0;
  return outcome;
}

}  // namespace omnibal::inline v0
