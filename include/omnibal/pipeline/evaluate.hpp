// SPDX-License-Identifier: Apache-2.0
/// @file
/// Evaluation of a plan: times and bytes of its stages, the objectives planners minimise, and the
/// exact makespan and peak memory under its schedule.
///
///     const auto result = omnibal::evaluate(problem, plan);
///     if (result.fits()) std::cout << result.makespan << " with " << result.peak_memory[0];
///
/// With T the forward plus backward time of a stage and C the latency, forward plus backward, of
/// the edge after it:
/// | objective           | value                                                              |
/// |---------------------|--------------------------------------------------------------------|
/// | bottleneck          | max over devices of Σ T                                            |
/// | closed form         | Σ T + Σ C + (m − 1) · max T                                        |
/// | blocking bottleneck | max over stages of T plus the latencies of both its edges          |
/// | period              | max over stage intervals of (Σ T + Σ inner C) / stages of interval  |
/// | variance            | p · Σ F² − (Σ F)², p² times the variance of devices' forward times |
/// | makespan            | simulated: the last end of a device, its step time included         |
///
/// Sources: closed form, Narayanan et al., SC 2021; variance, OmniBal, arXiv 2407.20761; period,
/// the maximum cycle mean of the schedule's event graph (docs/planner.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/static_memory.hpp>

namespace omnibal::inline v0 {

/// The sums over the layers of one virtual stage, each layer in the mode of the plan, with times
/// scaled to the speed of its device.
struct stage_cost {
  layer_range layers = {};
  std::int64_t forward_time = 0;
  std::int64_t backward_time = 0;  ///< Recomputation and weight gradient (W) included.
  std::int64_t weight_gradient_time = 0;
  std::int64_t static_bytes = 0;
  std::int64_t forward_latency = 0;   ///< Of the edge after the stage; 0 for the last.
  std::int64_t backward_latency = 0;  ///< Of the edge after the stage; 0 for the last.
  std::int64_t step_time = 0;         ///< Once per step, at its end.
  activation_bytes activation = {};

  [[nodiscard]] constexpr std::int64_t time() const noexcept {
    return forward_time + backward_time;
  }
  [[nodiscard]] constexpr std::int64_t latency() const noexcept {
    return forward_latency + backward_latency;
  }
};

/// Scales the times of a stage by its device's factor. Every operation is rounded up by itself; if
/// W is an operation of its own, W and B are rounded separately.
void scale_times(stage_cost& stage, const rational& factor, bool splits_backward);

/// The stages of a plan. Precondition: problem and plan are valid. O(layers).
[[nodiscard]] std::vector<stage_cost> stage_costs(const pipeline_problem& problem,
                                                  const pipeline_plan& plan);

/// The stages as times for simulate(); if W is an operation of its own, B excludes it.
[[nodiscard]] stage_times<std::int64_t> simulation_times(const std::vector<stage_cost>& stages,
                                                         const schedule_shape& schedule);

/// Largest sum of stage times on one device.
[[nodiscard]] std::int64_t bottleneck(const schedule_shape& schedule,
                                      const std::vector<stage_cost>& stages);

/// Σ T + Σ C + (m − 1) · max T.
[[nodiscard]] std::int64_t closed_form(const std::vector<stage_cost>& stages,
                                       std::size_t microbatches);

/// Largest T plus the latencies of the edges before and after.
[[nodiscard]] std::int64_t blocking_bottleneck(const std::vector<stage_cost>& stages);

/// The steady period of 1F1B. O(stages²).
[[nodiscard]] rational steady_period(const std::vector<stage_cost>& stages);

/// p · Σ F² − (Σ F)² with F the forward time of a device: orders plans as the variance does,
/// without a division.
[[nodiscard]] wide_integer scaled_forward_variance(const schedule_shape& schedule,
                                                   const std::vector<stage_cost>& stages);

/// Peak bytes of each device: reserved, static and activations. A plan fits if these plus the
/// margin are within the limits. O(p·m·v).
[[nodiscard]] std::vector<std::int64_t> peak_memory(const pipeline_problem& problem,
                                                    const std::vector<stage_cost>& stages);

/// The step time of every device: the sum over its virtual stages, which have a `step_time`.
template <std::ranges::random_access_range Stages>
[[nodiscard]] std::vector<std::int64_t> device_step_times(const schedule_shape& schedule,
                                                          const Stages& stages) {
  std::vector<std::int64_t> times(schedule.stages, 0);
  for (std::size_t j = 0; j < std::ranges::size(stages); ++j)
    times[schedule.device(j)] += stages[j].step_time;
  return times;
}

/// The time of one step of the schedule, simulated, with the step time of every device after its
/// last operation. O(p·m·v).
[[nodiscard]] std::int64_t makespan(const schedule_shape& schedule,
                                    const std::vector<stage_cost>& stages);

/// The device with the largest memory overrun, given the peak bytes of each; `none` if all fit.
/// O(devices).
[[nodiscard]] infeasibility memory_overrun(const pipeline_problem& problem,
                                           std::span<const std::int64_t> peaks);

/// A plan evaluated: what its stages cost, the time of a step, and the memory of every device.
struct plan_evaluation {
  std::vector<stage_cost> stages = {};
  std::int64_t makespan = 0;                   ///< Simulated, whether the plan fits or not.
  std::vector<std::int64_t> peak_memory = {};  ///< Bytes per device.
  infeasibility why = {};  ///< The largest overrun of memory, where there is one.

  [[nodiscard]] bool fits() const noexcept { return why.reason == infeasibility::cause::none; }
};

/// Evaluates a plan exactly. Throws invalid_input unless the plan is one for the problem, which is
/// valid. O(p·m·v).
[[nodiscard]] plan_evaluation evaluate(const pipeline_problem& problem, const pipeline_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/evaluate.ipp>
#endif
