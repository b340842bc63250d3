// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <omnibal/pipeline/timeline.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

stage_times<std::int64_t> times_of_two_stages() {
  return {.forward = {2, 3},
          .backward = {4, 5},
          .weight_gradient = {},
          .forward_latency = {1},
          .backward_latency = {1},
          .microbatch_scale = {}};
}

}  // namespace

TEST_CASE("simulate_timeline has a bar for every operation, where the simulation has it") {
  const operation_graph graph({.stages = 2, .microbatches = 3});
  const auto times = times_of_two_stages();
  std::vector<std::int64_t> ends;
  const auto run = simulate(graph, times, ends);
  const timeline step = simulate_timeline(graph, times);
  REQUIRE(step.devices == 2);
  REQUIRE(step.bars.size() == ends.size());
  CHECK(step.end() == run.makespan);
  std::vector<std::int64_t> busy(2, 0);
  std::vector<std::int64_t> free_from(2, 0);
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const timeline_bar& bar = step.bars[i];
    CHECK(bar.work == graph.nodes()[i].work);
    CHECK(bar.end == ends[i]);
    CHECK(bar.recomputed == 0);
    CHECK(bar.begin >= free_from[bar.device]);
    free_from[bar.device] = bar.end;
    busy[bar.device] += bar.end - bar.begin;
  }
  CHECK(busy == run.busy);
}

TEST_CASE("simulate_timeline tells recomputation apart as the caller does") {
  const operation_graph graph({.stages = 2, .microbatches = 2});
  const timeline step =
      simulate_timeline(graph, times_of_two_stages(), [](const pipeline_operation& work) {
        return std::int64_t{work.kind == operation_kind::backward ? 2 : 0};
      });
  for (const timeline_bar& bar : step.bars)
    CHECK(bar.recomputed == (bar.work.kind == operation_kind::backward ? 2 : 0));
}

TEST_CASE("a timeline without bars ends at 0") { CHECK(timeline{}.end() == 0); }
