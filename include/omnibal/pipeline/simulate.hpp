// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact simulation of a pipeline: when every operation of a schedule starts and ends.
///
/// A device runs its operations strictly in order; an operation starts when its device is free and
/// its input has arrived, which is a latency after its producer ended; latency occupies nobody.
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

/// Gives the duration of an operation, and the latency with which its input arrives from the
/// neighbouring stage. Both in one integer type, the unit of the simulation.
template <typename Times>
concept operation_times = requires(const Times& times, const pipeline_operation& work) {
  { times.duration(work) } -> std::integral;
  { times.latency(work) } -> std::same_as<decltype(times.duration(work))>;
};

/// The integer type in which a model of operation_times counts.
template <operation_times Times>
using time_of =
    decltype(std::declval<const Times&>().duration(std::declval<const pipeline_operation&>()));

/// Times that depend on the stage alone, but for one factor a micro-batch.
template <std::integral Time = std::int64_t>
struct stage_times {
  std::vector<Time> forward;           ///< One a virtual stage.
  std::vector<Time> backward;          ///< One a virtual stage, recomputation included.
  std::vector<Time> weight_gradient;   ///< One a virtual stage, or empty when part of `backward`.
  std::vector<Time> forward_latency;   ///< One an edge between consecutive virtual stages.
  std::vector<Time> backward_latency;  ///< One an edge between consecutive virtual stages.
  std::vector<Time> microbatch_scale;  ///< One a micro-batch, on its durations; empty means 1.

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

template <std::integral Time = std::int64_t>
struct simulation {
  Time makespan = 0;       ///< End of the last operation; the first may start at 0.
  std::vector<Time> busy;  ///< Per device: the sum of its durations.
  std::vector<Time> end;   ///< Per device: the end of its last operation.

  /// 1 − busy / (devices · makespan): the share of device time spent waiting.
  [[nodiscard]] double bubble_ratio() const noexcept {
    double work = 0;
    for (const Time time : busy) work += static_cast<double>(time);
    const double paid = static_cast<double>(makespan) * static_cast<double>(busy.size());
    return paid > 0 ? 1.0 - work / paid : 0.0;
  }
};

/// Runs the graph once. When `ends` is not empty it receives the end of every node, in the order
/// of graph.nodes(). O(operations): one maximum and two additions each.
/// Preconditions: `times` knows every stage and micro-batch of the graph; the sum of all durations
/// and latencies fits the time type; `ends` is empty or as long as graph.nodes().
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

/// The same for callers that do not need the ends.
template <operation_times Times>
[[nodiscard]] simulation<time_of<Times>> simulate(const operation_graph& graph,
                                                  const Times& times) {
  std::vector<time_of<Times>> ends;
  return simulate(graph, times, ends);
}

}  // namespace omnibal::inline v0
