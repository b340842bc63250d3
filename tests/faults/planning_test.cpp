// SPDX-License-Identifier: Apache-2.0
// What objects of the planning modules promise after a call that ran out of memory, and after they
// were moved from.
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/recompute/exact.hpp>
#include <omnibal/run/epoch_simulation.hpp>

#include "catch.hpp"
#include "faults/failing_allocations.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

std::vector<pipeline_layer> random_layers(std::size_t count) {
  random_stream random(4);
  std::vector<pipeline_layer> layers(count);
  for (pipeline_layer& one : layers) {
    one.static_bytes = uniform_below(random, 50);
    one.modes.clear();
    for (std::int64_t mode = 0; mode < 3; ++mode)
      one.modes.push_back({.extra_time = mode * (5 + uniform_below(random, 20)),
                           .saved_bytes = 90 - 30 * mode + uniform_below(random, 10),
                           .transient_bytes = uniform_below(random, 30)});
  }
  return layers;
}

}  // namespace

TEST_CASE("a knapsack without memory leaves no trace in later ones") {
  const auto layers = random_layers(8);
  recompute_chooser undisturbed(layers);
  recompute_chooser tried(layers);
  std::size_t failures = 0;
  for (std::int64_t budget = 300; budget < 1500; budget += 100) {
    recompute_result choice;
    failures += fail_each_allocation(
        tried, [&](recompute_chooser& one) { choice = one.choose(0, 8, 2, budget); },
        [](const recompute_chooser&) {});
    const recompute_result expected = undisturbed.choose(0, 8, 2, budget);
    REQUIRE(choice.status == expected.status);
    REQUIRE(choice.objective == expected.objective);
    REQUIRE(choice.bytes_short == expected.bytes_short);
    REQUIRE(choice.modes == expected.modes);
  }
  CHECK(failures > 20);
}

TEST_CASE("graphs, memory and constraints are copied whole or not at all") {
  const operation_graph graph(schedule_shape{.stages = 3, .microbatches = 4});
  operation_graph other(schedule_shape{.stages = 2, .microbatches = 2});
  const std::size_t nodes = other.nodes().size();
  CHECK(fail_each_allocation(
            other, [&](operation_graph& one) { one = graph; },
            [&](const operation_graph& one) {
              REQUIRE(one.nodes().size() == nodes);
              REQUIRE(one.stages() == 2);
            }) > 0);
  CHECK(other.nodes().size() == graph.nodes().size());

  pipeline_problem tied{.layers = random_layers(6)};
  tied.tied = {{0, 5}};
  pipeline_problem untied{.layers = random_layers(4)};
  const static_memory all(tied);
  static_memory some(untied);
  const std::int64_t before = some.bytes({0, 4});
  CHECK(fail_each_allocation(
            some, [&](static_memory& one) { one = all; },
            [&](const static_memory& one) {
              REQUIRE(one.bytes({0, 4}) == before);
            }) > 1);
  CHECK(some.bytes({0, 6}) == all.bytes({0, 6}));
}

TEST_CASE("a graph that was moved from has no operations") {
  operation_graph graph(schedule_shape{.stages = 3, .microbatches = 4});
  const operation_graph taken = std::move(graph);
  CHECK(taken.nodes().size() == 24);
  CHECK(taken.devices() == 3);
  // NOLINTBEGIN(bugprone-use-after-move): what is tested
  CHECK(graph.nodes().empty());
  CHECK(graph.devices() + graph.stages() + graph.microbatches() == 0);
  graph = taken;
  CHECK(graph.devices() == 3);

  recompute_chooser chooser(random_layers(3));
  recompute_chooser moved = std::move(chooser);
  CHECK(moved.choose(0, 3, 1, 1'000'000).modes.size() == 3);
  chooser = moved;
  CHECK(chooser.choose(0, 3, 1, 1'000'000).modes == moved.choose(0, 3, 1, 1'000'000).modes);
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("micro-batches that cannot be evaluated leave the ones before") {
  const std::vector<stage_model> stages(2);
  const epoch_load load{.microbatches = std::vector<workload>(6),
                        .assignment = grouping<>({0, 6}, {0, 1, 2, 3, 4, 5})};
  microbatch_times times;
  times.evaluate(stages, load, load.assignment[0].first(2), 2);
  const pipeline_operation last{operation_kind::forward, 1, 1};
  CHECK(times.duration(last) == 0);
  CHECK(fail_each_allocation(
            times,
            [&](microbatch_times& one) { one.evaluate(stages, load, load.assignment[0], 6); },
            [&](const microbatch_times& one) { REQUIRE(one.duration(last) == 0); }) > 0);
}
