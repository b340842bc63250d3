// SPDX-License-Identifier: Apache-2.0
/// @file
/// A simulated step as a timeline: when which device runs which operation, and how much of it is
/// recomputation. For pictures and traces: interop/svg.hpp and interop/chrome_trace.hpp write them.
///
///     const auto step = omnibal::simulate_timeline(graph, times);
///     std::ofstream("step.svg") << omnibal::timelines_svg({&step, 1});
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>

namespace omnibal::inline v0 {

/// One operation on its device; times in the unit of the simulation.
struct timeline_bar {
  std::size_t device = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t recomputed = 0;  ///< The part of it, from `begin`, that is recomputation.
  pipeline_operation work = {};
};

struct timeline {
  std::string title = {};
  std::size_t devices = 0;
  std::vector<timeline_bar> bars = {};  ///< In topological order; per device in order of time.

  /// The end of the last bar; 0 without bars.
  [[nodiscard]] std::int64_t end() const noexcept {
    std::int64_t last = 0;
    for (const timeline_bar& bar : bars) last = std::max(last, bar.end);
    return last;
  }
};

/// Simulates one step. `recomputed(work)` is the part of an operation's duration that is
/// recomputation. Preconditions are those of simulate(). O(operations).
template <operation_times Times, typename Recomputation>
[[nodiscard]] timeline simulate_timeline(const operation_graph& graph, const Times& times,
                                         Recomputation&& recomputed) {
  timeline step{.devices = graph.devices()};
  std::vector<time_of<Times>> ends;
  (void)simulate(graph, times, ends);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const operation_graph::node& node = graph.nodes()[i];
    step.bars.push_back({.device = node.device,
                         .begin = ends[i] - times.duration(node.work),
                         .end = ends[i],
                         .recomputed = recomputed(node.work),
                         .work = node.work});
  }
  return step;
}

/// The same without recomputation.
template <operation_times Times>
[[nodiscard]] timeline simulate_timeline(const operation_graph& graph, const Times& times) {
  return simulate_timeline(graph, times, [](const pipeline_operation&) { return std::int64_t{0}; });
}

}  // namespace omnibal::inline v0
