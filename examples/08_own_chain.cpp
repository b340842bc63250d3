// SPDX-License-Identifier: Apache-2.0
// Plans the pipeline of a model that the library has no preset for: a speech encoder of six slow
// layers before a decoder of ten quick ones, on four devices with little memory. Times and bytes
// are plain integers in any unit; here they are microseconds and MiB.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <omnibal/pipeline.hpp>
#include <omnibal/planner.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

omnibal::pipeline_layer encoder_layer(int number) {
  return {
      .name = "encoder" + std::to_string(number),
      .forward_time = 900,
      .backward_time = 1800,
      .static_bytes = 700,
      .forward_latency = 20,
      .backward_latency = 20,
      .modes = {{.name = "none", .saved_bytes = 300, .transient_bytes = 50},
                {.name = "full", .extra_time = 900, .saved_bytes = 40, .transient_bytes = 300}}};
}

omnibal::pipeline_layer decoder_layer(int number) {
  return {
      .name = "decoder" + std::to_string(number),
      .forward_time = 400,
      .backward_time = 800,
      .static_bytes = 1000,
      .forward_latency = 20,
      .backward_latency = 20,
      .modes = {{.name = "none", .saved_bytes = 180, .transient_bytes = 30},
                {.name = "full", .extra_time = 400, .saved_bytes = 20, .transient_bytes = 180}}};
}

int main() {
  omnibal::pipeline_problem problem{.schedule = {.stages = 4, .microbatches = 12},
                                    .memory_limit = {6000, 6000, 6000, 6000}};
  for (int i = 0; i < 6; ++i) problem.layers.push_back(encoder_layer(i));
  for (int i = 0; i < 10; ++i) problem.layers.push_back(decoder_layer(i));

  // Partition and recomputation together, for the shortest simulated step.
  const auto found = omnibal::plan_jointly(problem, omnibal::objectives::makespan{});
  claim(found.status == omnibal::search_status::optimal, "the plan is proven to be optimal");

  // Time and memory of the plan on every device, and the end of every operation of the step.
  const auto planned = omnibal::evaluate(problem, found.plan);
  const auto& stages = planned.stages;
  const omnibal::operation_graph graph(problem.schedule);
  const auto step = omnibal::simulate(graph, omnibal::simulation_times(stages, problem.schedule));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const auto [first, last] = stages[s].layers;
    std::size_t recomputed = 0;
    for (std::size_t l = first; l < last; ++l) recomputed += found.plan.modes[l];
    std::printf("stage %zu: %s to %s, %zu of %zu layers recompute, %lld of 6000 MiB\n", s,
                problem.layers[first].name.c_str(), problem.layers[last - 1].name.c_str(),
                recomputed, last - first, static_cast<long long>(planned.peak_memory[s]));
  }
  claim(planned.fits(), "the plan fits the memory of every device");
  std::printf("a step takes %.1f ms, of which devices are idle %.0f %%\n",
              static_cast<double>(step.makespan) / 1000, 100 * step.bubble_ratio());
  claim(step.makespan == found.objective.numerator,
        "the simulated step takes as long as the plan says");

  // The usual way: as many layers on every device, all of them recomputed.
  const omnibal::pipeline_plan even{.cuts = {0, 4, 8, 12, 16},
                                    .modes = std::vector<std::size_t>(16, 1)};
  const auto usual = omnibal::evaluate(problem, even).makespan;
  std::printf("four layers on each, all recomputed: %.1f ms\n", static_cast<double>(usual) / 1000);
  claim(step.makespan < usual, "the plan is faster than an even one");
}
