// SPDX-License-Identifier: Apache-2.0
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/advice.hpp>

#include "../catch.hpp"
#include "../pipeline/own_schedules.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

TEST_CASE("Every piece of advice makes the problem fit, and a smaller change does not") {
  random_stream random(83);
  constexpr any_schedule kinds[] = {schedules::gpipe{}, schedules::one_forward_one_backward{},
                                    schedules::zero_bubble_h1{}};
  int microbatches = 0;
  int stages = 0;
  int layers = 0;
  for (int round = 0; round < 600; ++round) {
    pipeline_problem problem = test::random_problem(random, kinds[round % 3], 6);
    const auto infeasible = [](const pipeline_problem& changed) {
      return plan_jointly(changed, objectives::bottleneck{}).status == search_status::infeasible;
    };
    const joint_result found = plan_jointly(problem, objectives::bottleneck{});
    if (found.why.reason != infeasibility::cause::memory) continue;
    const fit_advice advice = advise(problem, found.why);
    {
      pipeline_problem changed = problem;
      for (std::int64_t& limit : changed.memory_limit) limit += advice.bytes;
      REQUIRE(!infeasible(changed));
      for (std::int64_t& limit : changed.memory_limit) --limit;
      REQUIRE(infeasible(changed));
    }
    if (advice.microbatches) {
      ++microbatches;
      pipeline_problem changed = problem;
      changed.schedule.microbatches = *advice.microbatches;
      REQUIRE(!infeasible(changed));
      ++changed.schedule.microbatches;
      REQUIRE(infeasible(changed));
    }
    if (advice.stages) {
      ++stages;
      REQUIRE(*advice.stages > problem.schedule.stages);
      pipeline_problem changed = problem;
      const auto least = std::ranges::min(problem.memory_limit);
      const auto most = std::ranges::max(problem.reserved);
      while (changed.schedule.stages < *advice.stages) {
        REQUIRE(infeasible(changed));
        ++changed.schedule.stages;
        changed.memory_limit.push_back(least);
        changed.reserved.push_back(most);
      }
      REQUIRE(!infeasible(changed));
    }
    if (advice.layer) {
      ++layers;
      pipeline_problem changed = problem;
      pipeline_layer& one = changed.layers[*advice.layer];
      const std::int64_t kept =
          std::ranges::min(one.modes, {}, &recompute_mode::saved_bytes).saved_bytes;
      one.modes.push_back({.transient_bytes = kept});
      REQUIRE(!infeasible(changed));
    }
  }
  CHECK(microbatches > 10);
  CHECK(stages > 10);
  CHECK(layers > 10);
}

TEST_CASE("The published plan fits and is never better than the optimum") {
  random_stream random(89);
  int found = 0;
  int worse = 0;
  for (int round = 0; round < 400; ++round) {
    pipeline_problem problem =
        test::random_problem(random,
                             round % 2 == 0 ? any_schedule(schedules::gpipe{})
                                            : any_schedule(schedules::one_forward_one_backward{}),
                             7);
    if (round % 3 == 0) test::vary(problem, random);
    const auto plan = plan_by_paper(problem);
    const joint_result exact = plan_jointly(problem, objectives::makespan{});
    if (!plan) continue;
    ++found;
    validate(problem, *plan);
    REQUIRE(test::overrun(problem, *plan) <= 0);
    const rational value = objective_of(problem, *plan, objectives::makespan{});
    REQUIRE(!(value < exact.objective));
    worse += exact.objective < value;
  }
  CHECK(found > 100);
  CHECK(worse > 3);
  // Its stages lie on the devices in reverse, whose memory the method takes in order.
  CHECK_THROWS_WITH(plan_by_paper({.schedule = {.kind = test::depth_first{}, .stages = 2},
                                   .layers = std::vector<pipeline_layer>(3),
                                   .memory_limit = {1, 1}},
                                  {}),
                    Catch::Matchers::ContainsSubstring("depth first"));
  CHECK_THROWS_WITH(plan_by_paper({.schedule = {.kind = schedules::zero_bubble_h1{}},
                                   .layers = {pipeline_layer{}}}),
                    Catch::Matchers::ContainsSubstring("schedule = zbh1"));
}
