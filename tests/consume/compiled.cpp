// SPDX-License-Identifier: Apache-2.0
/// @file
/// The program of a consumer of the compiled library: calls functions of several of its units, and
/// exits with 0 when they work.
#include <cstdint>
#include <cstdio>
#include <vector>

#include <omnibal/planner.hpp>
#include <omnibal/rebalance.hpp>

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#error "omnibal::compiled does not define OMNIBAL_SEPARATE_COMPILATION"
#endif

int main() {
  omnibal::pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 4}};
  for (const std::int64_t time : {3, 1, 1, 1})
    problem.layers.push_back({.forward_time = time, .backward_time = 2 * time});
  const auto planned = omnibal::plan_jointly(problem, omnibal::objectives::bottleneck{});
  const auto moved = omnibal::rebalance(
      {.ranks = 2,
       .samples = {{.rank = 0, .cost = 5, .bytes = 1}, {.rank = 0, .cost = 5, .bytes = 1}}});
  std::printf("cut after layer %zu, largest cost %lld\n", planned.plan.cuts[1],
              static_cast<long long>(moved.objective));
  return planned.plan.cuts[1] == 1 && moved.objective == 5 ? 0 : 1;
}
