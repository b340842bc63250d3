// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact simulation of a pipeline schedule: makespan, busy time per device, bubble ratio, and the
/// end of every operation.
///
///     const omnibal::operation_graph graph({.stages = 2, .microbatches = 8});
///     const auto step = omnibal::simulate(graph, times);  // e.g. stage_times<>
///
/// A device runs its operations strictly in order. An operation starts when its device is free and
/// its input has arrived, one latency after its producer ended; a transfer occupies no device.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/operation_graph.hpp>

namespace omnibal::inline v0 {

/// The duration of an operation, and the latency with which its input arrives from the neighbouring
/// stage, both in the same integer type.
template <typename Times>
concept operation_times = requires(const Times& times, const pipeline_operation& work) {
  { times.duration(work) } -> std::integral;
  { times.latency(work) } -> std::same_as<decltype(times.duration(work))>;
};

/// The integer type in which a model of operation_times counts.
template <operation_times Times>
using time_of =
    decltype(std::declval<const Times&>().duration(std::declval<const pipeline_operation&>()));

/// Times per virtual stage, times one factor per micro-batch.
template <std::integral Time = std::int64_t>
struct stage_times {
  std::vector<Time> forward;           ///< Per virtual stage.
  std::vector<Time> backward;          ///< Per virtual stage, recomputation included.
  std::vector<Time> weight_gradient;   ///< Per virtual stage; empty if part of `backward`.
  std::vector<Time> forward_latency;   ///< Per edge between consecutive virtual stages.
  std::vector<Time> backward_latency;  ///< Per edge between consecutive virtual stages.
  std::vector<Time> microbatch_scale;  ///< Per micro-batch, on its durations; empty means 1.

  [[nodiscard]] Time duration(const pipeline_operation& work) const noexcept {
    const Time once = work.kind == operation_kind::forward    ? forward[work.stage]
                      : work.kind == operation_kind::backward ? backward[work.stage]
                                                              : weight_gradient[work.stage];
    return microbatch_scale.empty() ? once : once * microbatch_scale[work.microbatch];
  }
  [[nodiscard]] Time latency(const pipeline_operation& work) const noexcept {
    if (work.kind == operation_kind::forward && work.stage > 0)
      return forward_latency[work.stage - 1];
    if (work.kind == operation_kind::backward && work.stage < backward_latency.size())
      return backward_latency[work.stage];
    return 0;
  }
};

/// The result of a simulation. The first operation may start at 0.
template <std::integral Time = std::int64_t>
struct simulation {
  Time makespan = 0;       ///< End of the last operation.
  std::vector<Time> busy;  ///< Per device: the sum of its durations.
  std::vector<Time> end;   ///< Per device: the end of its last operation.

  /// 1 − busy / (devices · makespan): the share of device time spent waiting.
  [[nodiscard]] double bubble_ratio() const noexcept {
    double work = 0;
    for (const Time time : busy) work += static_cast<double>(time);
    const double total = static_cast<double>(makespan) * static_cast<double>(busy.size());
    return total > 0 ? 1.0 - work / total : 0.0;
  }
};

/// Simulates one step. `ends` receives the end of every node, in the order of graph.nodes(); its
/// memory is reused between calls. O(operations): one maximum and two additions each.
/// Preconditions: `times` covers every stage and micro-batch of the graph; the sum of all durations
/// and latencies fits the time type.
template <operation_times Times>
[[nodiscard]] simulation<time_of<Times>> simulate(const operation_graph& graph, const Times& times,
                                                  std::vector<time_of<Times>>& ends) {
  using time = time_of<Times>;
  const std::span<const operation_graph::node> nodes = graph.nodes();
  ends.resize(nodes.size());
  simulation<time> result{.makespan = 0,
                          .busy = std::vector<time>(graph.devices(), 0),
                          .end = std::vector<time>(graph.devices(), 0)};
  for (std::size_t position = 0; position < nodes.size(); ++position) {
    const operation_graph::node& node = nodes[position];
    time start = result.end[node.device];
    if (node.producer != operation_graph::nothing)
      start = std::max(start, static_cast<time>(ends[node.producer] + times.latency(node.work)));
    const time duration = times.duration(node.work);
    result.busy[node.device] += duration;
    ends[position] = result.end[node.device] = start + duration;
  }
  result.makespan = *std::max_element(result.end.begin(), result.end.end());
  return result;
}

/// The same step with a time of each device, for gradient reduction and optimizer, after its last
/// operation. Precondition: one time per device.
template <std::integral Time>
[[nodiscard]] simulation<Time> after_steps(simulation<Time> run, const std::vector<Time>& steps) {
  for (std::size_t device = 0; device < steps.size(); ++device) {
    run.busy[device] += steps[device];
    run.end[device] += steps[device];
    run.makespan = std::max(run.makespan, run.end[device]);
  }
  return run;
}

/// The same for callers that do not need the ends.
template <operation_times Times>
[[nodiscard]] simulation<time_of<Times>> simulate(const operation_graph& graph,
                                                  const Times& times) {
  std::vector<time_of<Times>> ends;
  return simulate(graph, times, ends);
}

}  // namespace omnibal::inline v0
