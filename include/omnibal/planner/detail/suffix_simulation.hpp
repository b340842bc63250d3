// SPDX-License-Identifier: Apache-2.0
/// @file
/// Durations of the operations of any stage in every scenario, and the repeated simulation of the
/// last stages of a pipeline by themselves with changing durations.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/step_times.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// F, B and W of one micro-batch, at operation_kind's index. W is 0 where it is a part of B.
using operation_durations = std::array<std::int64_t, 3>;

/// The times of any interval of layers, from prefix sums, with a column per micro-batch, or a
/// single one if all are equal.
class interval_times {
 public:
  /// One scenario in which all micro-batches take the layers' times.
  explicit interval_times(const pipeline_problem& problem)
      : interval_times(problem, 1, 1, [&](std::size_t l, std::size_t, std::size_t) {
          const pipeline_layer& one = problem.layers[l];
          return operation_durations{one.forward_time, one.backward_time, one.weight_gradient_time};
        }) {}

  interval_times(const pipeline_problem& problem, std::span<const scenario> scenarios)
      : interval_times(problem, scenarios.size(), problem.schedule.microbatches,
                       [&](std::size_t l, std::size_t k, std::size_t column) {
                         const scenario& one = scenarios[k];
                         return operation_durations{
                             one.forward[l][column], one.backward[l][column],
                             one.weight_gradient.empty() ? 0 : one.weight_gradient[l][column]};
                       }) {}

  [[nodiscard]] std::size_t scenarios() const noexcept { return scenarios_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  /// Number of durations of one stage over all scenarios and columns.
  [[nodiscard]] std::size_t width() const noexcept { return scenarios_ * columns_; }
  [[nodiscard]] std::size_t column_of(std::size_t microbatch) const noexcept {
    return columns_ == 1 ? 0 : microbatch;
  }

  /// The time at the end of a step of layers begin … end − 1.
  [[nodiscard]] std::int64_t step(std::size_t begin, std::size_t end) const {
    return step_times_.time({begin, end});
  }

  /// The part of it that is not overlapped and hence grows with the interval.
  [[nodiscard]] std::int64_t fixed_step(std::size_t begin, std::size_t end) const {
    return step_times_.fixed({begin, end});
  }

  /// The durations of layers begin … end − 1 on a device with this extra time, by scenario and
  /// column. O(width). Precondition: `durations` has width() entries.
  void stage(std::size_t device, std::size_t begin, std::size_t end, std::int64_t extra,
             std::span<operation_durations> durations) const {
    for (std::size_t at = 0; at < width(); ++at) {
      const operation_durations& high = before_[end * width() + at];
      const operation_durations& low = before_[begin * width() + at];
      operation_durations& one = durations[at];
      one = {high[0] - low[0], high[1] - low[1] + extra, high[2] - low[2]};
      if (factors_.empty()) continue;
      for (std::int64_t& time : one) time = scaled_rounding_up(time, factors_[device]);
    }
  }

 private:
  template <typename Times>
  interval_times(const pipeline_problem& problem, std::size_t scenarios, std::size_t columns,
                 const Times& times)
      : scenarios_(scenarios),
        columns_(columns),
        factors_(problem.time_factor),
        before_(width(), operation_durations{}),
        step_times_(problem) {
    const bool split = problem.schedule.splits_backward();
    before_.reserve((problem.layers.size() + 1) * width());
    for (std::size_t l = 0; l < problem.layers.size(); ++l)
      for (std::size_t k = 0; k < scenarios; ++k)
        for (std::size_t column = 0; column < columns; ++column) {
          operation_durations sum = times(l, k, column);
          sum[2] = split ? sum[2] : 0;
          sum[1] -= sum[2];
          const operation_durations& low = before_[before_.size() - width()];
          for (std::size_t kind = 0; kind < sum.size(); ++kind) sum[kind] += low[kind];
          before_.push_back(sum);
        }
  }

  std::size_t scenarios_;
  std::size_t columns_;
  std::vector<rational> factors_;
  std::vector<operation_durations> before_;
  stage_step_times step_times_;
};

/// End times of the stages from some first one on if all their inputs are available at time 0.
struct suffix_ends {
  std::int64_t all = 0;       ///< Largest end of a device: its last operation, then its step time.
  std::int64_t backward = 0;  ///< End of the first stage's last backward.
};

/// Simulates the operations of stages s … last alone, for any s, as a pipeline whose inputs are all
/// available at time 0. Durations are set per stage and stay between calls.
class suffix_simulator {
 public:
  /// O(stages² · m). Precondition: the schedule is valid.
  suffix_simulator(const schedule_shape& schedule, const interval_times& times)
      : width_(times.width()),
        columns_(times.columns()),
        durations_(schedule.total_stages() * times.width()),
        latencies_(2 * schedule.total_stages() + 1, 0),
        steps_(schedule.total_stages(), 0),
        device_ends_(schedule.stages) {
    for (std::size_t j = 0; j < schedule.total_stages(); ++j)
      devices_.push_back(schedule.device(j));
    const operation_graph graph(schedule);
    for (std::size_t first = 0; first < schedule.total_stages(); ++first)
      suffixes_.push_back(suffix_of(graph, first, schedule, times));
  }

  /// The durations of a stage, to be filled.
  [[nodiscard]] std::span<operation_durations> durations(std::size_t stage) {
    return std::span(durations_).subspan(stage * width_, width_);
  }

  /// The latencies of the edge after a stage.
  void set_latency(std::size_t stage, std::int64_t forward, std::int64_t backward) {
    latencies_[2 * stage + 1] = forward;
    latencies_[2 * stage + 2] = backward;
  }

  /// The time of a stage at the end of a step.
  void set_step(std::size_t stage, std::int64_t time) { steps_[stage] = time; }

  [[nodiscard]] std::size_t operations(std::size_t first) const noexcept {
    return suffixes_[first].nodes.size();
  }

  /// O(operations(first)): one maximum and two additions each.
  [[nodiscard]] suffix_ends run(std::size_t first, std::size_t scenario) {
    const suffix& one = suffixes_[first];
    const operation_durations* const durations = durations_.data() + scenario * columns_;
    ends_.resize(one.nodes.size() + 1);
    std::ranges::fill(device_ends_, 0);
    ends_[0] = 0;
    for (std::size_t at = 0; at < one.nodes.size(); ++at) {
      const node& work = one.nodes[at];
      std::int64_t& free = device_ends_[work.device];
      free = std::max(free, ends_[work.producer] + latencies_[work.latency]) +
             durations[work.duration][work.kind];
      ends_[at + 1] = free;
    }
    for (std::size_t j = first; j < steps_.size(); ++j) device_ends_[devices_[j]] += steps_[j];
    return {.all = *std::ranges::max_element(device_ends_),
            .backward = ends_[one.last_backward + 1]};
  }

 private:
  struct node {
    std::uint32_t producer = 0;  ///< 1 + its position; 0 for none, which ends at 0.
    std::uint32_t duration = 0;  ///< In the first scenario.
    std::uint32_t latency = 0;
    std::uint16_t kind = 0;
    std::uint16_t device = 0;
  };
  struct suffix {
    std::vector<node> nodes;
    std::size_t last_backward = 0;
  };

  [[nodiscard]] suffix suffix_of(const operation_graph& graph, std::size_t first,
                                 const schedule_shape& schedule,
                                 const interval_times& times) const {
    suffix result;
    std::vector<std::uint32_t> position(graph.nodes().size(), 0);
    for (std::size_t at = 0; at < graph.nodes().size(); ++at) {
      const operation_graph::node& from = graph.nodes()[at];
      const pipeline_operation& work = from.work;
      if (work.stage < first) continue;
      node to{.duration = static_cast<std::uint32_t>(work.stage * width_ +
                                                     times.column_of(work.microbatch)),
              .latency = latency_of(work, schedule.total_stages()),
              .kind = static_cast<std::uint16_t>(work.kind),
              .device = static_cast<std::uint16_t>(from.device)};
      if (from.producer != operation_graph::nothing) to.producer = position[from.producer];
      if (to.producer == 0) to.latency = 0;
      if (work == pipeline_operation{operation_kind::backward, static_cast<std::uint32_t>(first),
                                     static_cast<std::uint32_t>(schedule.microbatches - 1)})
        result.last_backward = result.nodes.size();
      result.nodes.push_back(to);
      position[at] = static_cast<std::uint32_t>(result.nodes.size());
    }
    return result;
  }

  [[nodiscard]] static std::uint32_t latency_of(const pipeline_operation& work,
                                                std::size_t stages) {
    if (work.kind == operation_kind::forward && work.stage > 0) return 2 * (work.stage - 1) + 1;
    if (work.kind == operation_kind::backward && work.stage + 1 < stages) return 2 * work.stage + 2;
    return 0;
  }

  std::size_t width_;
  std::size_t columns_;
  std::vector<suffix> suffixes_;
  std::vector<operation_durations> durations_;  ///< By stage, scenario and column.
  std::vector<std::int64_t> latencies_;         ///< 0, then forward and backward of every edge.
  std::vector<std::int64_t> steps_;             ///< Per stage.
  std::vector<std::size_t> devices_;            ///< Per stage.
  std::vector<std::int64_t> device_ends_;
  std::vector<std::int64_t> ends_;
};

}  // namespace omnibal::inline v0::detail
