// SPDX-License-Identifier: Apache-2.0
/// @file
/// One step of one rank of a planned run, as it would run: a timeline to look at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/plan_run.hpp>

#include "timeline_svg.hpp"

namespace omnibal::examples {

/// The operations of a rank in a step of a strategy. The time that a backward takes beyond that of
/// every layer in its first mode is recomputation.
[[nodiscard]] inline timeline step_timeline(const run_strategy& strategy,
                                            std::span<const layer_cost> chain, std::size_t step = 0,
                                            std::size_t rank = 0) {
  const std::vector<layer_cost> layers = chain_under(strategy.schedule.kind, chain);
  pipeline_plan bare = strategy.plan;
  bare.modes.assign(bare.modes.size(), 0);
  const epoch_load& load = strategy.data.load;
  const auto microbatches = load.assignment[step * load.ranks + rank];
  schedule_shape shape = strategy.schedule;
  shape.microbatches = runnable_microbatches(shape, microbatches.size());
  timeline drawn{.devices = shape.stages};
  if (microbatches.empty()) return drawn;

  const operation_graph graph(shape);
  microbatch_times times;
  times.evaluate(stage_models(layers, strategy.plan), load, microbatches, shape.microbatches);
  microbatch_times without;
  without.evaluate(stage_models(layers, bare), load, microbatches, shape.microbatches);
  std::vector<std::int64_t> ends;
  (void)simulate(graph, times, ends);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const operation_graph::node& node = graph.nodes()[i];
    const std::int64_t duration = times.duration(node.work);
    drawn.bars.push_back({.device = node.device,
                          .begin = ends[i] - duration,
                          .end = ends[i],
                          .recomputed = duration - without.duration(node.work),
                          .work = node.work});
  }
  return drawn;
}

/// How long a timeline of nanoseconds is.
[[nodiscard]] inline std::string seconds_text(const timeline& drawn) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", static_cast<double>(drawn.end()) * 1e-9);
  return text;
}

}  // namespace omnibal::examples
