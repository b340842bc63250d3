// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <string>

#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

pipeline_problem two_stages() {
  return {.schedule = {.stages = 2, .microbatches = 4},
          .layers = {{.forward_time = 3,
                      .backward_time = 5,
                      .static_bytes = 100,
                      .forward_latency = 1,
                      .backward_latency = 2,
                      .modes = {{.saved_bytes = 10},
                                {.extra_time = 3, .saved_bytes = 2, .transient_bytes = 10}}},
                     {.forward_time = 4,
                      .backward_time = 6,
                      .static_bytes = 50,
                      .forward_latency = 7,
                      .backward_latency = 7,
                      .modes = {{.saved_bytes = 20}}},
                     {.forward_time = 5, .backward_time = 9, .static_bytes = 70}},
          .memory_limit = {1000, 1000},
          .reserved = {11, 13}};
}

std::string field_of(const pipeline_problem& problem) {
  try {
    validate(problem);
  } catch (const invalid_input& error) {
    return error.field();
  }
  return "";
}

}  // namespace

TEST_CASE("Stage costs, objectives and memory of a plan worked out by hand") {
  const pipeline_problem problem = two_stages();
  const pipeline_plan plan{.cuts = {0, 1, 3}, .modes = {1, 0, 0}};
  validate(problem);
  validate(problem, plan);
  const auto stages = stage_costs(problem, plan);
  REQUIRE(stages.size() == 2);
  CHECK(stages[0].time() == 3 + 5 + 3);
  CHECK(stages[1].time() == 24);
  CHECK(stages[0].latency() == 3);
  CHECK(stages[1].latency() == 0);
  CHECK(bottleneck(problem.schedule, stages) == 24);
  CHECK(closed_form(stages, 4) == 11 + 24 + 3 + 3 * 24);
  CHECK(blocking_bottleneck(stages) == 27);
  CHECK(steady_period(stages) == rational{24, 1});
  CHECK(scaled_forward_variance(problem.schedule, stages) == 2 * (9 + 81) - 144);
  // 1F1B: stage 0 holds two micro-batches and its transient, stage 1 one.
  CHECK(peak_memory(problem, stages) ==
        std::vector<std::int64_t>{11 + 100 + 2 * 2 + 10, 13 + 120 + 20});
}

TEST_CASE("A plan evaluated says what its parts say, and which device lacks memory") {
  pipeline_problem problem = two_stages();
  const pipeline_plan plan{.cuts = {0, 1, 3}, .modes = {1, 0, 0}};
  const auto stages = stage_costs(problem, plan);
  const plan_evaluation result = evaluate(problem, plan);
  CHECK(result.makespan == makespan(problem.schedule, stages));
  CHECK(result.peak_memory == peak_memory(problem, stages));
  CHECK(result.stages[1].time() == 24);
  CHECK(result.fits());
  problem.memory_limit = {result.peak_memory[0], result.peak_memory[1]};
  CHECK(evaluate(problem, plan).fits());
  problem.memory_margin = 1;
  problem.memory_limit[1] -= 4;
  const infeasibility why = evaluate(problem, plan).why;
  CHECK(why.reason == infeasibility::cause::memory);
  CHECK(why.binding_stage == 1);
  CHECK(why.bytes_short == 5);
  CHECK_THROWS_AS(evaluate(problem, {.cuts = {0, 3, 3}, .modes = {0, 0, 0}}), invalid_input);
}

TEST_CASE("The step ends when the slowest device has reduced its gradients") {
  pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 2},
                           .layers = {{.forward_time = 1, .backward_time = 2, .step_time = 3},
                                      {.forward_time = 1, .backward_time = 2, .step_time = 20},
                                      {.forward_time = 1, .backward_time = 2, .step_time = 4}}};
  const auto time = [&](std::size_t cut) {
    return makespan(problem.schedule,
                    stage_costs(problem, {.cuts = {0, cut, 3}, .modes = {0, 0, 0}}));
  };
  // Two layers and one: the second device ends at 8, the first at 13.
  CHECK(time(2) == 13 + 23);
  // One layer and two: the second device ends at 13, the first at 15.
  CHECK(time(1) == 13 + 24);
  problem.time_factor = {{2}, {1}};
  CHECK(device_step_times(problem.schedule, stage_costs(problem, {{0, 1, 3}, {0, 0, 0}})) ==
        std::vector<std::int64_t>{3, 24});
  problem.layers[1].step_time = -1;
  CHECK_THROWS_WITH(validate(problem), "layers[1].step_time = -1: must not be negative");
}

TEST_CASE("The period exposes latency between balanced stages") {
  std::vector<stage_cost> stages(4);
  for (std::size_t s = 0; s < 4; ++s) {
    stages[s].forward_time = 10;
    stages[s].backward_time = 20;
    if (s < 3) stages[s].forward_latency = stages[s].backward_latency = 5;
  }
  CHECK(steady_period(stages) == rational{4 * 30 + 3 * 10, 4});
}

TEST_CASE("The period is the growth of the makespan of 1F1B") {
  random_stream random(5);
  for (int round = 0; round < 100; ++round) {
    std::vector<stage_cost> stages(static_cast<std::size_t>(test::draw(random, 1, 6)));
    for (std::size_t s = 0; s < stages.size(); ++s) {
      stages[s].forward_time = test::draw(random, 0, 30);
      stages[s].backward_time = test::draw(random, 0, 30);
      if (s + 1 < stages.size()) {
        stages[s].forward_latency = test::draw(random, 0, 9);
        stages[s].backward_latency = test::draw(random, 0, 9);
      }
    }
    // 840 is a multiple of every cycle length up to 8, so the growth is exact once it is steady.
    const schedule_shape small{.stages = stages.size(), .microbatches = 2000};
    schedule_shape large = small;
    large.microbatches += 840;
    const std::int64_t growth = makespan(large, stages) - makespan(small, stages);
    const rational steady = steady_period(stages);
    REQUIRE(growth * steady.denominator == 840 * steady.numerator);
  }
}

TEST_CASE("Values out of range are refused by name and index") {
  CHECK(field_of(two_stages()).empty());
  const auto changed = [](auto change) {
    pipeline_problem problem = two_stages();
    change(problem);
    return field_of(problem);
  };
  CHECK(changed([](auto& p) { p.layers[1].forward_time = -1; }) == "layers[].forward_time");
  CHECK(changed([](auto& p) { p.layers[1].backward_time = -1; }) == "layers[].backward_time");
  CHECK(changed([](auto& p) { p.layers[2].static_bytes = -1; }) == "layers[].static_bytes");
  CHECK(changed([](auto& p) { p.layers[2].forward_latency = -1; }) == "layers[].forward_latency");
  CHECK(changed([](auto& p) { p.layers[2].backward_latency = -1; }) == "layers[].backward_latency");
  CHECK(changed([](auto& p) { p.layers[0].weight_gradient_time = 6; }) ==
        "layers[].weight_gradient_time");
  CHECK(changed([](auto& p) { p.layers[0].modes.clear(); }) == "layers[].modes");
  CHECK(changed([](auto& p) { p.layers[0].modes[1].extra_time = -1; }) ==
        "layers[].modes[].extra_time");
  CHECK(changed([](auto& p) { p.layers[0].modes[1].saved_bytes = -1; }) ==
        "layers[].modes[].saved_bytes");
  CHECK(changed([](auto& p) { p.layers[0].modes[1].transient_bytes = -1; }) ==
        "layers[].modes[].transient_bytes");
  CHECK(changed([](auto& p) { p.layers[0].modes[0].saved_for_weight_gradient = -1; }) ==
        "layers[].modes[].saved_for_weight_gradient");
  CHECK(changed([](auto& p) { p.memory_limit.pop_back(); }) == "memory_limit");
  CHECK(changed([](auto& p) { p.memory_limit[1] = -1; }) == "memory_limit");
  CHECK(changed([](auto& p) { p.reserved[0] = -1; }) == "reserved");
  CHECK(changed([](auto& p) {
          p.layers[0].forward_time = std::numeric_limits<std::int64_t>::max();
        }) == "times of all layers");
  CHECK(changed([](auto& p) { p.layers[0].static_bytes = std::int64_t{1} << 60; }) ==
        "bytes of all layers");
  pipeline_problem problem = two_stages();
  problem.layers[1].forward_time = -1;
  try {
    validate(problem);
    FAIL("accepted");
  } catch (const invalid_input& error) {
    CHECK(error.index() == 1U);
    CHECK(error.value() == "-1");
  }
}

TEST_CASE("Plans that do not belong to the problem are refused") {
  const pipeline_problem problem = two_stages();
  const auto field = [&](const pipeline_plan& plan) -> std::string {
    try {
      validate(problem, plan);
    } catch (const invalid_input& error) {
      return error.field();
    }
    return "";
  };
  CHECK(field({.cuts = {0, 2, 3}, .modes = {0, 0, 0}}).empty());
  CHECK(field({.cuts = {0, 3}, .modes = {0, 0, 0}}) == "cuts");
  CHECK(field({.cuts = {1, 2, 3}, .modes = {0, 0, 0}}) == "cuts");
  CHECK(field({.cuts = {0, 0, 3}, .modes = {0, 0, 0}}) == "cuts");
  CHECK(field({.cuts = {0, 1, 2}, .modes = {0, 0, 0}}) == "cuts");
  CHECK(field({.cuts = {0, 1, 3}, .modes = {0, 0}}) == "modes");
  CHECK(field({.cuts = {0, 1, 3}, .modes = {0, 1, 0}}) == "modes");
}
