// SPDX-License-Identifier: Apache-2.0
// A step from plain numbers in one call: times, memory, timeline, and what is refused.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/step_simulation.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;
using amounts = std::vector<std::int64_t>;

namespace {

step_problem two_stages() {
  return {.schedule = {.stages = 2, .microbatches = 2},
          .times = {.forward = {1, 2},
                    .backward = {3, 4},
                    .weight_gradient = {},
                    .forward_latency = {5},
                    .backward_latency = {6},
                    .microbatch_scale = {}}};
}

amounts random_amounts(random_stream& random, std::size_t size, std::int64_t most) {
  amounts list(size);
  for (std::int64_t& one : list) one = test::draw(random, 0, most);
  return list;
}

step_problem random_problem(random_stream& random, const any_schedule& kind) {
  const auto few = [&](std::int64_t most) {
    return static_cast<std::size_t>(test::draw(random, 1, most));
  };
  step_problem problem{.schedule = {.kind = kind,
                                    .stages = few(4),
                                    .virtual_stages = kind.capabilities().least_virtual_stages}};
  problem.schedule.microbatches = runnable_microbatches(problem.schedule, few(6));
  const std::size_t stages = problem.schedule.total_stages();
  problem.times = {.forward = random_amounts(random, stages, 20),
                   .backward = random_amounts(random, stages, 40),
                   .weight_gradient = random_amounts(random, stages, 20),
                   .forward_latency = random_amounts(random, stages - 1, 5),
                   .backward_latency = random_amounts(random, stages - 1, 5),
                   .microbatch_scale = random_amounts(random, problem.schedule.microbatches, 3)};
  for (const std::int64_t backward : problem.times.backward)
    problem.recomputation.push_back(test::draw(random, 0, backward));
  for (std::size_t j = 0; j < stages; ++j)
    problem.activations.push_back(
        {test::draw(random, 0, 50), test::draw(random, 0, 50), test::draw(random, 0, 50)});
  problem.step_times = random_amounts(random, stages, 30);
  return problem;
}

std::string refusal(const step_problem& problem) {
  try {
    (void)simulate_step(problem);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A step of two stages by hand") {
  // Device 0: F0 0-1, F1 1-2, B0 18-21, B1 24-27 under 1F1B; device 1: F0 6-8, B0 8-12, F1 12-14,
  // B1 14-18.
  step_problem problem = two_stages();
  problem.activations = {{.saved = 10, .transient = 3}, {.saved = 20}};
  problem.recomputation = {1, 0};
  problem.step_times = {2, 40};
  const simulated_step step = simulate_step(problem);
  CHECK(step.times.end == amounts{29, 58});
  CHECK(step.times.makespan == 58);
  CHECK(step.times.busy == amounts{2 + 6 + 2, 4 + 8 + 40});
  REQUIRE(step.peaks.size() == 2);
  CHECK(step.peaks[0].bytes == 23);
  CHECK(step.peaks[0].in_flight == 2);
  CHECK(step.peaks[1].bytes == 20);
  CHECK(step.peaks[1].in_flight == 1);
  CHECK(step.drawn.end() == 27);
  CHECK(step.drawn.devices == 2);
  for (const timeline_bar& bar : step.drawn.bars)
    CHECK(bar.recomputed ==
          (bar.work.kind == operation_kind::backward && bar.work.stage == 0 ? 1 : 0));
}

TEST_CASE("A step is what its parts give, for every schedule") {
  random_stream random(3);
  for (const any_schedule& kind : all_schedules)
    for (int round = 0; round < 40; ++round) {
      INFO(kind.name() << ' ' << round);
      const step_problem problem = random_problem(random, kind);
      const simulated_step step = simulate_step(problem);
      const operation_graph graph(problem.schedule);
      amounts ends(problem.schedule.stages, 0);
      for (std::size_t j = 0; j < problem.step_times.size(); ++j)
        ends[problem.schedule.device(j)] += problem.step_times[j];
      const auto run = after_steps(simulate(graph, problem.times), ends);
      REQUIRE(step.times.makespan == run.makespan);
      REQUIRE(step.times.busy == run.busy);
      REQUIRE(step.times.end == run.end);
      for (std::size_t d = 0; d < problem.schedule.stages; ++d) {
        const auto memory = [&](const pipeline_operation& work) {
          return problem.activations[work.stage];
        };
        const device_peak peak = peak_activation(device_order(problem.schedule, d), memory);
        REQUIRE(step.peaks[d].bytes == peak.bytes);
        REQUIRE(step.peaks[d].in_flight == peak.in_flight);
      }
    }
}

TEST_CASE("The bars of a step are its work, one after the other on each device") {
  random_stream random(4);
  for (const any_schedule& kind : all_schedules)
    for (int round = 0; round < 20; ++round) {
      INFO(kind.name() << ' ' << round);
      step_problem problem = random_problem(random, kind);
      problem.step_times.clear();
      const simulated_step step = simulate_step(problem);
      amounts busy(problem.schedule.stages, 0);
      amounts free(problem.schedule.stages, 0);
      for (const timeline_bar& bar : step.drawn.bars) {
        REQUIRE(bar.begin >= free[bar.device]);
        free[bar.device] = bar.end;
        busy[bar.device] += bar.end - bar.begin;
        REQUIRE(bar.end - bar.begin == problem.times.duration(bar.work));
        REQUIRE(bar.recomputed <= bar.end - bar.begin);
        const bool recomputes = bar.work.kind == operation_kind::backward;
        REQUIRE(bar.recomputed == (recomputes
                                       ? problem.recomputation[bar.work.stage] *
                                             problem.times.microbatch_scale[bar.work.microbatch]
                                       : 0));
      }
      REQUIRE(busy == step.times.busy);
      REQUIRE(free == step.times.end);
    }
}

TEST_CASE("Lists that are left out are zeros, and ones for micro-batches") {
  step_problem given = two_stages();
  given.times.weight_gradient = {0, 0};
  given.times.microbatch_scale = {1, 1};
  given.recomputation = given.step_times = {0, 0};
  given.activations = {{}, {}};
  const simulated_step step = simulate_step(two_stages());
  const simulated_step filled = simulate_step(given);
  CHECK(step.times.end == filled.times.end);
  CHECK(step.times.busy == filled.times.busy);
  CHECK(step.peaks[0].bytes == 0);
  CHECK(step.peaks[0].in_flight == filled.peaks[0].in_flight);
}

TEST_CASE("Orders by hand place stages on any device, with their times at the end") {
  step_problem problem = two_stages();
  problem.step_times = {2, 40};
  const simulated_step step = simulate_step(problem);
  problem.orders = device_orders(problem.schedule);
  CHECK(simulate_step(problem).times.end == step.times.end);
  std::ranges::reverse(problem.orders);
  CHECK(simulate_step(problem).times.end == amounts{step.times.end[1], step.times.end[0]});
  const auto work = [](operation_kind kind, std::uint32_t stage, std::uint32_t microbatch) {
    return pipeline_operation{.kind = kind, .stage = stage, .microbatch = microbatch};
  };
  std::vector<pipeline_operation> all;
  for (const std::uint32_t i : {0U, 1U}) {
    all.push_back(work(operation_kind::forward, 0, i));
    all.push_back(work(operation_kind::forward, 1, i));
    all.push_back(work(operation_kind::backward, 1, i));
    all.push_back(work(operation_kind::backward, 0, i));
  }
  problem.orders = {all, {}};
  const simulated_step alone = simulate_step(problem);
  CHECK(alone.times.busy == amounts{20 + 42, 0});
  CHECK(alone.peaks[0].in_flight == 2);
  CHECK(alone.peaks[1].in_flight == 0);
}

TEST_CASE("What cannot be simulated is refused by its member") {
  constexpr std::int64_t large = std::int64_t{1} << 62;
  const auto refused = [](const auto& change) {
    step_problem problem = two_stages();
    change(problem);
    return refusal(problem);
  };
  const auto expect = [&](const std::string& words, const auto& change) {
    CHECK_THAT(refused(change), ContainsSubstring(words));
  };
  using problem = step_problem;
  CHECK(refusal(two_stages()).empty());
  expect("stages = 0", [](problem& p) { p.schedule.stages = 0; });
  expect("times.forward = 1: must have one entry per virtual stage, 2",
         [](problem& p) { p.times.forward = {1}; });
  expect("times.backward[1] = -1", [](problem& p) { p.times.backward = {1, -1}; });
  expect("times.weight_gradient = 3", [](problem& p) { p.times.weight_gradient = {1, 1, 1}; });
  expect("times.forward_latency = 0: must have one entry per edge between stages, 1",
         [](problem& p) { p.times.forward_latency = {}; });
  expect("times.backward_latency[0] = -6", [](problem& p) { p.times.backward_latency = {-6}; });
  expect("times.microbatch_scale = 1: must have one entry per micro-batch, 2",
         [](problem& p) { p.times.microbatch_scale = {1}; });
  expect("recomputation[1] = 5: must not be more than times.backward", [](problem& p) {
    p.recomputation = {3, 5};
  });
  expect("activations = 1", [](problem& p) { p.activations = {{}}; });
  expect("activations[1].saved = -1", [](problem& p) { p.activations = {{}, {.saved = -1}}; });
  expect("activations[0].transient = -2", [](problem& p) {
    p.activations = {{.transient = -2}, {}};
  });
  expect("activations[1].saved_for_weight_gradient = -3", [](problem& p) {
    p.activations = {{}, {.saved_for_weight_gradient = -3}};
  });
  expect("step_times[0] = -1", [](problem& p) { p.step_times = {-1, 0}; });
  expect("times = ", [](problem& p) { p.times.forward = {large, large}; });
  expect("times = ", [](problem& p) { p.step_times = {large, 0}; });
  expect("activations = ", [](problem& p) {
    p.activations = {{.saved = large}, {.transient = large}};
  });
  expect("times.microbatch_scale = ", [](problem& p) {
    p.times.microbatch_scale = {large, large};
  });
  expect("orders = 1: must have one order per device", [](problem& p) { p.orders = {{}}; });
  expect("orders", [](problem& p) { p.orders = {{}, {}}; });
}
