// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a plan costs: times and bytes of its stages, the objectives planners minimise, and the
/// exact makespan and memory under its schedule.
///
/// With T the forward plus backward of a stage and C the latency, both ways, of the edge after it:
/// | objective           | value                                                              |
/// |---------------------|--------------------------------------------------------------------|
/// | bottleneck          | largest sum of T on a device                                       |
/// | closed form         | Σ T + Σ C + (m − 1) · max T                                        |
/// | blocking bottleneck | max over stages of T plus the latencies of both its edges          |
/// | period              | max over stage intervals of (Σ T + Σ inner C) / stages of interval  |
/// | variance            | p · Σ F² − (Σ F)², p² times the variance of the forward times      |
/// | makespan            | simulated                                                          |
///
/// Sources: closed form, Narayanan et al., SC 2021; variance, OmniBal, arXiv 2407.20761; period,
/// the maximum cycle mean of the schedule's event graph (docs/planner.md).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <vector>

namespace omnibal::inline v0 {

/// The sums over the layers of one virtual stage, each in the mode the plan gives it.
struct stage_cost {
  std::int64_t forward_time = 0;
  std::int64_t backward_time = 0;  ///< With recomputation; with W also where W runs apart.
  std::int64_t weight_gradient_time = 0;
  std::int64_t static_bytes = 0;
  std::int64_t forward_latency = 0;   ///< Of the edge after the stage; 0 for the last.
  std::int64_t backward_latency = 0;  ///< Of the edge after the stage; 0 for the last.
  activation_bytes activation = {};

  [[nodiscard]] constexpr std::int64_t time() const noexcept {
    return forward_time + backward_time;
  }
  [[nodiscard]] constexpr std::int64_t latency() const noexcept {
    return forward_latency + backward_latency;
  }
};

/// The stages of a plan. Precondition: problem and plan are valid. O(layers).
[[nodiscard]] inline std::vector<stage_cost> stage_costs(const pipeline_problem& problem,
                                                         const pipeline_plan& plan) {
  std::vector<stage_cost> stages(plan.cuts.size() - 1);
  for (std::size_t j = 0; j < stages.size(); ++j) {
    stage_cost& stage = stages[j];
    for (std::size_t l = plan.cuts[j]; l < plan.cuts[j + 1]; ++l) {
      const layer& one = problem.layers[l];
      const recompute_mode& mode = one.modes[plan.modes[l]];
      stage.forward_time += one.forward_time;
      stage.backward_time += one.backward_time + mode.extra_time;
      stage.weight_gradient_time += one.weight_gradient_time;
      stage.static_bytes += one.static_bytes;
      stage.activation.kept += mode.kept_bytes;
      stage.activation.transient = std::max(stage.activation.transient, mode.transient_bytes);
      stage.activation.kept_for_weight_gradient += mode.kept_for_weight_gradient;
    }
    if (j + 1 < stages.size()) {
      stage.forward_latency = problem.layers[plan.cuts[j + 1] - 1].forward_latency;
      stage.backward_latency = problem.layers[plan.cuts[j + 1] - 1].backward_latency;
    }
  }
  return stages;
}

/// The stages as times for simulate(); where W is an operation of its own, B is what is left.
[[nodiscard]] inline stage_times<std::int64_t> simulation_times(
    const std::vector<stage_cost>& stages, const schedule_shape& schedule) {
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

/// A fraction of integers; the period is one.
struct rational {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;

  [[nodiscard]] constexpr double value() const noexcept {
    return static_cast<double>(numerator) / static_cast<double>(denominator);
  }
  friend constexpr bool operator<(const rational& left, const rational& right) noexcept {
    return static_cast<wide_integer>(left.numerator) * right.denominator <
           static_cast<wide_integer>(right.numerator) * left.denominator;
  }
  friend constexpr bool operator==(const rational& left, const rational& right) noexcept {
    return !(left < right) && !(right < left);
  }
};

/// Largest sum of stage times on one of `devices` devices.
[[nodiscard]] inline std::int64_t bottleneck(const std::vector<stage_cost>& stages,
                                             std::size_t devices) {
  std::vector<std::int64_t> time(devices, 0);
  for (std::size_t j = 0; j < stages.size(); ++j) time[j % devices] += stages[j].time();
  return *std::ranges::max_element(time);
}

/// Σ T + Σ C + (m − 1) · max T.
[[nodiscard]] inline std::int64_t closed_form(const std::vector<stage_cost>& stages,
                                              std::size_t microbatches) {
  std::int64_t sum = 0;
  std::int64_t largest = 0;
  for (const stage_cost& stage : stages) {
    sum += stage.time() + stage.latency();
    largest = std::max(largest, stage.time());
  }
  return sum + static_cast<std::int64_t>(microbatches - 1) * largest;
}

/// Largest T plus the latencies of the edges before and after.
[[nodiscard]] inline std::int64_t blocking_bottleneck(const std::vector<stage_cost>& stages) {
  std::int64_t largest = 0;
  std::int64_t before = 0;
  for (const stage_cost& stage : stages) {
    largest = std::max(largest, stage.time() + before + stage.latency());
    before = stage.latency();
  }
  return largest;
}

/// The steady period of 1F1B. O(stages²).
[[nodiscard]] inline rational period(const std::vector<stage_cost>& stages) {
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

/// p · Σ F² − (Σ F)²: the order of variances without a division.
[[nodiscard]] inline wide_integer scaled_forward_variance(const std::vector<stage_cost>& stages) {
  wide_integer sum = 0;
  wide_integer squares = 0;
  for (const stage_cost& stage : stages) {
    sum += stage.forward_time;
    squares += static_cast<wide_integer>(stage.forward_time) * stage.forward_time;
  }
  return static_cast<wide_integer>(stages.size()) * squares - sum * sum;
}

/// Bytes at the worst moment of each device: reserved, static and activations. O(p·m·v).
[[nodiscard]] inline std::vector<std::int64_t> peak_memory(const pipeline_problem& problem,
                                                           const std::vector<stage_cost>& stages) {
  const std::size_t devices = problem.schedule.stages;
  std::vector<std::int64_t> peaks(devices, 0);
  for (std::size_t device = 0; device < devices; ++device) {
    const auto bytes = [&](const operation& work) { return stages[work.stage].activation; };
    peaks[device] = peak_activation(device_order(problem.schedule, device), bytes).bytes;
    if (!problem.reserved.empty()) peaks[device] += problem.reserved[device];
    for (std::size_t j = device; j < stages.size(); j += devices)
      peaks[device] += stages[j].static_bytes;
  }
  return peaks;
}

/// The time of one step of the schedule, simulated. O(p·m·v).
[[nodiscard]] inline std::int64_t makespan(const schedule_shape& schedule,
                                           const std::vector<stage_cost>& stages) {
  return simulate(operation_graph(schedule), simulation_times(stages, schedule)).makespan;
}

}  // namespace omnibal::inline v0
