// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/assign_modes.hpp>

#include "../catch.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

pipeline_problem random_problem(random_stream& random) {
  constexpr auto kinds =
      std::to_array<any_schedule>({schedules::gpipe{}, schedules::one_forward_one_backward{},
                                   schedules::zero_bubble_h1{}, schedules::interleaved{}});
  const any_schedule kind = kinds[uniform_below(random, kinds.size())];
  pipeline_problem problem = test::random_problem(random, kind, 6);
  if (kind == schedules::interleaved{}) {
    problem.schedule.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 2));
    problem.schedule.microbatches *= problem.schedule.stages;
  }
  return problem;
}

std::int64_t extra_of(const pipeline_problem& problem, const std::vector<std::size_t>& modes) {
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < modes.size(); ++l)
    sum += problem.layers[l].modes[modes[l]].extra_time;
  return sum;
}

/// The least extra time of the modes that fit, test::none where none do.
std::int64_t least_extra(const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  std::int64_t least = test::none;
  test::for_each_modes(problem.layers, [&](const std::vector<std::size_t>& modes) {
    if (test::overrun(problem, {.cuts = cuts, .modes = modes}) <= 0)
      least = std::min(least, extra_of(problem, modes));
  });
  return least;
}

}  // namespace

TEST_CASE("Modes for given cuts recompute least among all that fit") {
  random_stream random(31);
  std::size_t fitting = 0, lacking = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const pipeline_problem problem = random_problem(random);
    test::for_each_partition(problem.layers.size(), problem.schedule.total_stages(),
                             [&](const std::vector<std::size_t>& cuts) {
                               const std::int64_t least = least_extra(problem, cuts);
                               const auto plan = assign_modes(problem, cuts);
                               REQUIRE(plan.has_value() == (least != test::none));
                               ++(plan ? fitting : lacking);
                               if (!plan) return;
                               CHECK(plan->cuts == cuts);
                               CHECK(test::overrun(problem, *plan) <= 0);
                               CHECK(extra_of(problem, plan->modes) == least);
                             });
  }
  CHECK(fitting > 100);
  CHECK(lacking > 100);
}

TEST_CASE("What a stage lacks is what no choice of modes can spare") {
  random_stream random(32);
  for (int trial = 0; trial < 200; ++trial) {
    pipeline_problem problem =
        test::random_problem(random, schedules::one_forward_one_backward{}, 5);
    if (problem.memory_limit.empty()) continue;
    stage_memory memory(problem);
    test::for_each_partition(
        problem.layers.size(), problem.schedule.stages, [&](const std::vector<std::size_t>& cuts) {
          std::int64_t worst = std::numeric_limits<std::int64_t>::min();
          for (std::size_t s = 0; s + 1 < cuts.size(); ++s)
            worst = std::max(worst, memory.overrun(s, cuts[s], cuts[s + 1]));
          std::int64_t least = test::none;
          test::for_each_modes(problem.layers, [&](const std::vector<std::size_t>& modes) {
            least = std::min(least, test::overrun(problem, {.cuts = cuts, .modes = modes}));
          });
          CHECK(worst == least);
        });
  }
}
