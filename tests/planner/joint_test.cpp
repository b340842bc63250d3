// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <omnibal/planner/joint.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

rational price(const pipeline_problem& problem, const pipeline_plan& plan,
               plan_objective objective) {
  const auto stages = stage_costs(problem, plan);
  switch (objective) {
    case plan_objective::bottleneck: return {bottleneck(stages, problem.schedule.stages)};
    case plan_objective::blocking_bottleneck: return {blocking_bottleneck(stages)};
    case plan_objective::closed_form: return {closed_form(stages, problem.schedule.microbatches)};
    case plan_objective::period: return period(stages);
  }
  return {};
}

constexpr plan_objective objectives[] = {plan_objective::bottleneck, plan_objective::closed_form,
                                         plan_objective::blocking_bottleneck,
                                         plan_objective::period};

/// By how much the plan overruns a device's memory, at the worst device; 0 or less when it fits.
std::int64_t overrun(const pipeline_problem& problem, const pipeline_plan& plan) {
  if (problem.memory_limit.empty()) return 0;
  const auto peaks = peak_memory(problem, stage_costs(problem, plan));
  std::int64_t worst = std::numeric_limits<std::int64_t>::min();
  for (std::size_t d = 0; d < peaks.size(); ++d)
    worst = std::max(worst, peaks[d] - problem.memory_limit[d]);
  return worst;
}

struct brute_force {
  rational best = {none};
  std::int64_t least_overrun = none;
};

brute_force enumerate(const pipeline_problem& problem, plan_objective objective) {
  brute_force found;
  test::for_each_partition(problem.layers.size(), problem.schedule.stages, [&](const auto& cuts) {
    test::for_each_modes(problem.layers, [&](const auto& modes) {
      const pipeline_plan plan{.cuts = cuts, .modes = modes};
      const std::int64_t over = overrun(problem, plan);
      found.least_overrun = std::min(found.least_overrun, over);
      if (over <= 0) found.best = std::min(found.best, price(problem, plan, objective));
    });
  });
  return found;
}

}  // namespace

TEST_CASE("Random problems agree with enumeration of partitions and modes") {
  random_stream random(41);
  int infeasible = 0;
  for (int round = 0; round < 2000; ++round) {
    const auto kind =
        round % 3 == 0 ? schedule_kind::gpipe : schedule_kind::one_forward_one_backward;
    const pipeline_problem problem = test::random_problem(random, kind, 6);
    const plan_objective objective = objectives[round % 4];
    const brute_force expected = enumerate(problem, objective);
    const joint_plan found = plan_jointly(problem, objective);
    if (problem.layers.size() < problem.schedule.stages) {
      REQUIRE(found.why.reason == infeasibility::cause::fewer_layers_than_stages);
    } else if (expected.best == rational{none}) {
      ++infeasible;
      REQUIRE(found.status == search_status::infeasible);
      REQUIRE(found.why.reason == infeasibility::cause::memory);
      REQUIRE(found.why.bytes_short == expected.least_overrun);
      REQUIRE(found.why.binding_stage < problem.schedule.stages);
    } else {
      REQUIRE(found.status == search_status::optimal);
      REQUIRE(found.objective == expected.best);
      REQUIRE(found.bound == expected.best);
      validate(problem, found.plan);
      REQUIRE(price(problem, found.plan, objective) == expected.best);
      REQUIRE(overrun(problem, found.plan) <= 0);
    }
  }
  CHECK(infeasible > 50);
}

TEST_CASE("Joint planning sees what cutting first and recomputing after cannot") {
  // Cut in the middle, stage 0 must recompute both wide layers: 60 + 40. One cut earlier nobody
  // recomputes: 30 and 90.
  const layer wide{
      .forward_time = 10,
      .backward_time = 20,
      .modes = {{.kept_bytes = 10}, {.extra_time = 20, .kept_bytes = 1, .transient_bytes = 9}}};
  const layer slim{.forward_time = 10, .backward_time = 20, .modes = {{.kept_bytes = 1}}};
  pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 8},
                           .layers = {wide, wide, slim, slim},
                           .memory_limit = {20, 13}};
  const joint_plan joint = plan_jointly(problem, plan_objective::bottleneck);
  REQUIRE(joint.status == search_status::optimal);
  CHECK(joint.objective == rational{90});
  CHECK(joint.plan == pipeline_plan{.cuts = {0, 1, 4}, .modes = {0, 0, 0, 0}});
  problem.memory_limit = {1000, 1000};
  CHECK(plan_jointly(problem, plan_objective::bottleneck).objective == rational{60});
}

TEST_CASE("The closed form trades the bottleneck against costly edges") {
  random_stream random(47);
  for (int round = 0; round < 400; ++round) {
    pipeline_problem problem{.schedule = {.stages = 4, .microbatches = 3}};
    for (int l = 0; l < 9; ++l)
      problem.layers.push_back({.forward_time = test::draw(random, 1, 30),
                                .forward_latency = test::draw(random, 0, 60)});
    REQUIRE(plan_jointly(problem, plan_objective::closed_form).objective ==
            enumerate(problem, plan_objective::closed_form).best);
  }
}

TEST_CASE("Schedules that are not planned yet are refused by name") {
  const pipeline_problem problem{.schedule = {.kind = schedule_kind::zero_bubble_h1},
                                 .layers = {layer{}}};
  CHECK_THROWS_WITH(plan_jointly(problem, plan_objective::bottleneck),
                    Catch::Matchers::ContainsSubstring("schedule = zbh1"));
}

TEST_CASE("A hundred layers of byte and nanosecond scale plan exactly and re-price") {
  random_stream random(43);
  pipeline_problem problem{.schedule = {.stages = 8, .microbatches = 32}};
  for (int l = 0; l < 100; ++l) problem.layers.push_back(test::random_layer(random, 3, 1'000'003));
  problem.memory_limit.assign(8, 3'000'000'000);
  for (const plan_objective objective : objectives) {
    const joint_plan found = plan_jointly(problem, objective);
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(price(problem, found.plan, objective) == found.objective);
    REQUIRE(overrun(problem, found.plan) <= 0);
  }
}
