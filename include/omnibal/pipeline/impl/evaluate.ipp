// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/pipeline/step_times.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void scale_times(stage_cost& stage, const rational& factor, bool splits_backward) {
  const std::int64_t apart = splits_backward ? stage.weight_gradient_time : 0;
  stage.forward_time = scaled_rounding_up(stage.forward_time, factor);
  stage.weight_gradient_time = scaled_rounding_up(stage.weight_gradient_time, factor);
  stage.backward_time = scaled_rounding_up(stage.backward_time - apart, factor) +
                        (splits_backward ? stage.weight_gradient_time : 0);
}

OMNIBAL_INLINE std::vector<stage_cost> stage_costs(const pipeline_problem& problem,
                                                   const pipeline_plan& plan) {
  std::vector<stage_cost> stages(plan.cuts.size() - 1);
  const static_memory fixed(problem);
  const stage_step_times ends(problem);
  for (std::size_t j = 0; j < stages.size(); ++j) {
    stage_cost& stage = stages[j];
    stage.layers = {plan.cuts[j], plan.cuts[j + 1]};
    stage.step_time = ends.time(stage.layers);
    stage.static_bytes = fixed.bytes(stage.layers);
    for (std::size_t l = plan.cuts[j]; l < plan.cuts[j + 1]; ++l) {
      const pipeline_layer& one = problem.layers[l];
      const recompute_mode& mode = one.modes[plan.modes[l]];
      stage.forward_time += one.forward_time;
      stage.backward_time += one.backward_time + mode.extra_time;
      stage.weight_gradient_time += one.weight_gradient_time;
      stage.activation.saved += mode.saved_bytes;
      stage.activation.transient = std::max(stage.activation.transient, mode.transient_bytes);
      stage.activation.saved_for_weight_gradient += mode.saved_for_weight_gradient;
    }
    scale_times(stage, problem.factor(problem.schedule.device(j)),
                problem.schedule.splits_backward());
    if (j + 1 < stages.size()) {
      stage.forward_latency = problem.layers[plan.cuts[j + 1] - 1].forward_latency;
      stage.backward_latency = problem.layers[plan.cuts[j + 1] - 1].backward_latency;
    }
  }
  return stages;
}

OMNIBAL_INLINE stage_times<std::int64_t> simulation_times(const std::vector<stage_cost>& stages,
                                                          const schedule_shape& schedule) {
  stage_times<std::int64_t> times;
  for (const stage_cost& stage : stages) {
    const std::int64_t apart = schedule.splits_backward() ? stage.weight_gradient_time : 0;
    times.forward.push_back(stage.forward_time);
    times.backward.push_back(stage.backward_time - apart);
    times.weight_gradient.push_back(apart);
    times.forward_latency.push_back(stage.forward_latency);
    times.backward_latency.push_back(stage.backward_latency);
  }
  return times;
}

OMNIBAL_INLINE std::int64_t bottleneck(const schedule_shape& schedule,
                                       const std::vector<stage_cost>& stages) {
  std::vector<std::int64_t> time(schedule.stages, 0);
  for (std::size_t j = 0; j < stages.size(); ++j) time[schedule.device(j)] += stages[j].time();
  return *std::ranges::max_element(time);
}

OMNIBAL_INLINE std::int64_t closed_form(const std::vector<stage_cost>& stages,
                                        std::size_t microbatches) {
  std::int64_t sum = 0;
  std::int64_t largest = 0;
  for (const stage_cost& stage : stages) {
    sum += stage.time() + stage.latency();
    largest = std::max(largest, stage.time());
  }
  return sum + static_cast<std::int64_t>(microbatches - 1) * largest;
}

OMNIBAL_INLINE std::int64_t blocking_bottleneck(const std::vector<stage_cost>& stages) {
  std::int64_t largest = 0;
  std::int64_t before = 0;
  for (const stage_cost& stage : stages) {
    largest = std::max(largest, stage.time() + before + stage.latency());
    before = stage.latency();
  }
  return largest;
}

OMNIBAL_INLINE rational steady_period(const std::vector<stage_cost>& stages) {
  rational largest;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    std::int64_t sum = 0;
    for (std::size_t j = i; j < stages.size(); ++j) {
      sum += stages[j].time();
      largest = std::max(largest, rational{sum, static_cast<std::int64_t>(j - i + 1)});
      sum += stages[j].latency();
    }
  }
  return largest;
}

OMNIBAL_INLINE wide_integer scaled_forward_variance(const schedule_shape& schedule,
                                                    const std::vector<stage_cost>& stages) {
  std::vector<wide_integer> forward(schedule.stages, 0);
  for (std::size_t j = 0; j < stages.size(); ++j)
    forward[schedule.device(j)] += stages[j].forward_time;
  wide_integer sum = 0;
  wide_integer squares = 0;
  for (const wide_integer time : forward) {
    sum += time;
    squares += time * time;
  }
  return static_cast<wide_integer>(schedule.stages) * squares - sum * sum;
}

OMNIBAL_INLINE std::vector<std::int64_t> peak_memory(const pipeline_problem& problem,
                                                     const std::vector<stage_cost>& stages) {
  const std::size_t devices = problem.schedule.stages;
  const static_memory fixed(problem);
  const std::vector<std::vector<std::size_t>> placed = stages_of_devices(problem.schedule);
  std::vector<std::int64_t> peaks(devices, 0);
  for (std::size_t device = 0; device < devices; ++device) {
    const auto bytes = [&](const pipeline_operation& work) {
      return stages[work.stage].activation;
    };
    peaks[device] = peak_activation(device_order(problem.schedule, device), bytes).bytes;
    if (!problem.reserved.empty()) peaks[device] += problem.reserved[device];
    std::vector<layer_range> chunks;
    for (const std::size_t j : placed[device]) chunks.push_back(stages[j].layers);
    peaks[device] += fixed.bytes(chunks);
  }
  return peaks;
}

OMNIBAL_INLINE std::int64_t makespan(const schedule_shape& schedule,
                                     const std::vector<stage_cost>& stages) {
  return after_steps(simulate(operation_graph(schedule), simulation_times(stages, schedule)),
                     device_step_times(schedule, stages))
      .makespan;
}

OMNIBAL_INLINE infeasibility memory_overrun(const pipeline_problem& problem,
                                            std::span<const std::int64_t> peaks) {
  infeasibility worst;
  if (problem.memory_limit.empty()) return worst;
  for (std::size_t device = 0; device < peaks.size(); ++device)
    if (const std::int64_t over =
            peaks[device] + problem.memory_margin - problem.memory_limit[device];
        over > worst.bytes_short)
      worst = {
          .reason = infeasibility::cause::memory, .binding_stage = device, .bytes_short = over};
  return worst;
}

OMNIBAL_INLINE plan_evaluation evaluate(const pipeline_problem& problem,
                                        const pipeline_plan& plan) {
  validate(problem, plan);
  plan_evaluation result{.stages = stage_costs(problem, plan)};
  result.makespan = makespan(problem.schedule, result.stages);
  result.peak_memory = peak_memory(problem, result.stages);
  result.why = memory_overrun(problem, result.peak_memory);
  return result;
}

}  // namespace omnibal::inline v0
