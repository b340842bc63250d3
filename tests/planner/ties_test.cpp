// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <tuple>
#include <vector>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "../catch.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

constexpr auto ruled =
    std::to_array<any_objective>({objectives::bottleneck{}, objectives::blocking_bottleneck{},
                                  objectives::closed_form{}, objectives::period{}});

bool prefers_least_sum(const any_objective& objective) {
  return objective == objectives::bottleneck{} || objective == objectives::blocking_bottleneck{};
}

using rank =
    std::tuple<rational, std::int64_t, std::int64_t, wide_integer, std::vector<std::size_t>>;

rank rank_of(const pipeline_problem& problem, const pipeline_plan& plan,
             const any_objective& objective) {
  const std::vector<stage_cost> stages = stage_costs(problem, plan);
  std::int64_t sum = 0;
  wide_integer squares = 0;
  for (const stage_cost& one : stages) {
    if (prefers_least_sum(objective)) sum += one.time() + one.latency();
    squares += static_cast<wide_integer>(one.time()) * one.time();
  }
  return {objective.value(stages, problem.schedule), sum, makespan(problem.schedule, stages),
          squares, plan.cuts};
}

/// The first of all plans whose stages recompute least; the plans fit where that has any.
std::optional<rank> first_of_all(const pipeline_problem& problem, const any_objective& objective) {
  std::optional<rank> first;
  test::for_each_partition(problem.layers.size(), problem.schedule.total_stages(),
                           [&](const auto& cuts) {
                             if (!test::keeps_rules(problem, cuts)) return;
                             const auto plan = assign_modes(problem, cuts);
                             if (!plan) return;
                             rank one = rank_of(problem, *plan, objective);
                             if (!first || one < *first) first = std::move(one);
                           });
  return first;
}

pipeline_problem equal_layers(std::size_t zeros_before, std::size_t zeros_behind) {
  pipeline_problem problem{.schedule = {.stages = 16, .microbatches = 32}};
  problem.layers.resize(zeros_before);
  problem.layers.resize(zeros_before + 42, {.forward_time = 10, .backward_time = 20});
  problem.layers.resize(zeros_before + 42 + zeros_behind);
  return problem;
}

}  // namespace

TEST_CASE("Of equal plans the first by the rule of ties is taken") {
  random_stream random(71);
  const auto kinds = std::to_array<any_schedule>(
      {schedules::gpipe{}, schedules::one_forward_one_backward{}, schedules::zero_bubble_h1{}});
  int fitting = 0;
  for (int round = 0; round < 900; ++round) {
    pipeline_problem problem =
        test::random_problem(random, kinds[static_cast<std::size_t>(round) % kinds.size()], 8);
    // Few different times, so that there are ties.
    for (pipeline_layer& one : problem.layers) {
      one.forward_time = 10 * (one.forward_time / 20);
      one.backward_time = 2 * one.forward_time;
      one.weight_gradient_time = one.forward_time;
      one.forward_latency = one.backward_latency = one.forward_latency / 5;
      for (recompute_mode& mode : one.modes) {
        mode.extra_time = 10 * (mode.extra_time / 20);
        mode.saved_for_weight_gradient = 7;
      }
    }
    if (round % 2 == 0) test::vary(problem, random);
    if (problem.layers.size() < problem.schedule.stages) continue;
    for (const any_objective& objective : ruled) {
      INFO(objective.name());
      const auto first = first_of_all(problem, objective);
      const joint_result found = plan_jointly(problem, objective);
      REQUIRE(first.has_value() == (found.status == search_status::optimal));
      if (!first) continue;
      ++fitting;
      REQUIRE(found.tie_settled == true);
      REQUIRE(rank_of(problem, found.plan, objective) == *first);
    }
  }
  CHECK(fitting > 1000);
}

TEST_CASE("Ties of devices with several stages") {
  random_stream random(73);
  for (int round = 0; round < 300; ++round) {
    const bool interleaved = round % 2 == 0;
    pipeline_problem problem{
        .schedule = {.kind = interleaved ? any_schedule(schedules::interleaved{})
                                         : any_schedule(schedules::zero_bubble_v{}),
                     .stages = static_cast<std::size_t>(test::draw(random, 1, 3)),
                     .virtual_stages = 2}};
    problem.schedule.microbatches =
        problem.schedule.stages * static_cast<std::size_t>(test::draw(random, 1, 3));
    const std::size_t layers =
        problem.schedule.total_stages() + static_cast<std::size_t>(test::draw(random, 0, 4));
    for (std::size_t l = 0; l < layers; ++l) {
      const std::int64_t time = 10 * test::draw(random, 0, 2);
      problem.layers.push_back(
          {.forward_time = time, .backward_time = 2 * time, .weight_gradient_time = time});
    }
    for (const any_objective& objective : ruled) {
      INFO(objective.name());
      const joint_result found = plan_jointly(problem, objective);
      REQUIRE(found.tie_settled == true);
      REQUIRE(rank_of(problem, found.plan, objective) == *first_of_all(problem, objective));
    }
  }
}

TEST_CASE("42 equal layers on 16 stages") {
  for (const any_objective& objective : ruled) {
    INFO(objective.name());
    for (const pipeline_problem& problem : {equal_layers(0, 0), equal_layers(2, 3)}) {
      const joint_result found = plan_jointly(problem, objective);
      const auto stages = stage_costs(problem, found.plan);
      CHECK(makespan(problem.schedule, stages) == 3870);
      CHECK(std::ranges::min(stages, {}, &stage_cost::forward_time).forward_time == 20);
    }
  }
}

TEST_CASE("A tie that cannot be settled within the limit is left open") {
  const joint_result found =
      plan_jointly(equal_layers(0, 0), objectives::bottleneck{}, {.operation_limit = 1'000'000});
  CHECK(found.status == search_status::optimal);
  CHECK(found.objective == rational{90});
  CHECK(found.tie_settled == false);
  CHECK_FALSE(plan_jointly(equal_layers(0, 0), objectives::variance{}).tie_settled.has_value());
}
