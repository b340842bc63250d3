// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/run/detail/prepared_schedule.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::size_t epoch_load::most_microbatches() const noexcept {
  std::size_t most = 0;
  for (std::size_t group = 0; group < assignment.size(); ++group)
    most = std::max(most, assignment[group].size());
  return most;
}

OMNIBAL_INLINE workload epoch_load::mean_microbatch() const {
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

OMNIBAL_INLINE workload epoch_load::largest() const noexcept {
  workload most;
  for (const workload& one : microbatches)
    most = {std::max(most.tiles, one.tiles), std::max(most.tokens, one.tokens),
            std::max(most.squared_tokens, one.squared_tokens)};
  return most;
}

OMNIBAL_INLINE void microbatch_times::evaluate(std::span<const stage_model> stages,
                                               const epoch_load& load,
                                               std::span<const std::uint32_t> microbatches,
                                               std::size_t count) {
  next_.clear();
  for (const stage_model& stage : stages) {
    for (const std::uint32_t id : microbatches)
      next_.push_back(cost_of(stage, load.microbatches[id]));
    next_.resize(next_.size() + count - microbatches.size(), cost_of(stage, {}));
  }
  count_ = count;
  costs_.swap(next_);
}

OMNIBAL_INLINE std::int64_t microbatch_times::duration(
    const pipeline_operation& work) const noexcept {
  switch (work.kind) {
    case operation_kind::forward: return at(work.stage, work).forward;
    case operation_kind::backward: return at(work.stage, work).backward;
    case operation_kind::weight_gradient: return at(work.stage, work).weight_gradient;
  }
  return 0;
}

OMNIBAL_INLINE std::int64_t microbatch_times::latency(
    const pipeline_operation& work) const noexcept {
  if (work.kind == operation_kind::forward)
    return work.stage == 0 ? 0 : at(work.stage - 1, work).forward_latency;
  return work.kind == operation_kind::backward ? at(work.stage, work).backward_latency : 0;
}

OMNIBAL_INLINE microbatch_times::cost microbatch_times::cost_of(const stage_model& stage,
                                                                const workload& work) {
  const std::int64_t weight_gradient = stage.weight_gradient_time.of(work);
  return {stage.forward_time.of(work),
          stage.backward_time.of(work) - weight_gradient,
          weight_gradient,
          stage.forward_latency.of(work),
          stage.backward_latency.of(work),
          stage.activation(work)};
}

OMNIBAL_INLINE const microbatch_times::cost& microbatch_times::at(
    std::size_t stage, const pipeline_operation& work) const noexcept {
  return costs_[stage * count_ + work.microbatch];
}

OMNIBAL_INLINE epoch_outcome simulate_epoch(std::span<const stage_model> stages,
                                            const schedule_shape& schedule, const epoch_load& load,
                                            const epoch_simulation_options& options) {
  const std::size_t devices = schedule.stages;
  epoch_outcome outcome{.steps = load.steps(),
                        .peak_memory = std::vector<std::int64_t>(devices, 0)};
  const std::vector<std::int64_t> step_times = device_step_times(schedule, stages);
  detail::prepared_schedules schedules(schedule);
  microbatch_times times;
  std::vector<std::int64_t> ends;
  double busy = 0;
  double waiting = 0;
  for (std::size_t step = 0; step < outcome.steps; ++step) {
    if (step % 64 == 0) options.control.report_progress("simulate", step, outcome.steps);
    std::vector<std::int64_t> device_end(devices, 0);
    for (std::size_t rank = 0; rank < load.ranks; ++rank) {
      const std::span<const std::uint32_t> microbatches = load.assignment[step * load.ranks + rank];
      if (microbatches.empty()) continue;
      const detail::prepared_schedule& prepared = schedules.of(microbatches.size());
      times.evaluate(stages, load, microbatches, prepared.graph.microbatches());
      const simulation<std::int64_t> run = simulate(prepared.graph, times, ends);
      for (std::size_t d = 0; d < devices; ++d) {
        device_end[d] = std::max(device_end[d], run.end[d]);
        busy += static_cast<double>(run.busy[d]);
        waiting -= static_cast<double>(run.end[d]);
        outcome.peak_memory[d] =
            std::max(outcome.peak_memory[d], peak_activation(prepared.orders[d], times).bytes);
      }
    }
    std::int64_t step_end = 0;
    for (std::size_t d = 0; d < devices; ++d) {
      step_end = std::max(step_end, device_end[d] + step_times[d]);
      busy += static_cast<double>(step_times[d]) * static_cast<double>(load.ranks);
      waiting += static_cast<double>(device_end[d]) * static_cast<double>(load.ranks);
    }
    outcome.time = checked_add(outcome.time, step_end, "epoch time");
  }
  for (std::size_t d = 0; d < devices; ++d) outcome.peak_memory[d] += options.reserved;
  outcome.step_times = step_times;
  outcome.hidden_step_times.assign(devices, 0);
  for (std::size_t j = 0; j < stages.size(); ++j) {
    outcome.peak_memory[schedule.device(j)] += stages[j].static_bytes;
    outcome.hidden_step_times[schedule.device(j)] += stages[j].hidden_step_time;
  }
  const double total =
      static_cast<double>(outcome.time) * static_cast<double>(devices * load.ranks);
  outcome.bubble_ratio = total > 0 ? 1.0 - busy / total : 0.0;
  outcome.rank_wait_ratio = total > 0 ? waiting / total : 0.0;
  return outcome;
}

}  // namespace omnibal::inline v0
