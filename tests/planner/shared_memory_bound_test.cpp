// SPDX-License-Identifier: Apache-2.0
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/detail/shared_memory_bound.hpp>

#include "../catch.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

bool excludes_all(const pipeline_problem& problem) {
  const partition_constraints rules(problem);
  const detail::device_mode_chooser modes(problem);
  return detail::shared_memory_bound(problem, rules, modes).excludes_all();
}

}  // namespace

TEST_CASE("Partitions of shared devices are excluded only where none fits, and mostly there") {
  random_stream random(211);
  const auto kinds =
      std::to_array<any_schedule>({schedules::interleaved{}, schedules::zero_bubble_v{}});
  int fitting = 0;
  int lacking = 0;
  int excluded = 0;
  for (int round = 0; round < 3000; ++round) {
    pipeline_problem problem =
        test::random_problem(random, kinds[static_cast<std::size_t>(round) % kinds.size()], 6);
    schedule_shape& shape = problem.schedule;
    shape.stages = static_cast<std::size_t>(test::draw(random, 1, 3));
    shape.virtual_stages = 2;
    shape.microbatches = shape.stages * static_cast<std::size_t>(test::draw(random, 1, 3));
    problem.reserved.clear();
    problem.memory_limit.clear();
    for (std::size_t d = 0; d < shape.stages; ++d)
      problem.memory_limit.push_back(test::draw(random, 50, 900));
    if (round % 3 == 0) test::keep_for_weight_gradient(problem, random, round % 2 == 0);
    if (round % 2 == 0) test::vary(problem, random);
    if (impossible_partition(problem).reason != infeasibility::cause::none) continue;
    const bool none_fits = excludes_all(problem);
    const bool fits = test::oracle(problem).feasible();
    REQUIRE(!(fits && none_fits));
    fitting += fits ? 1 : 0;
    lacking += fits ? 0 : 1;
    excluded += none_fits ? 1 : 0;
  }
  CHECK(fitting > 200);
  CHECK(lacking > 200);
  CHECK(2 * excluded > lacking);
}

TEST_CASE("Partitions are excluded from one byte below what all devices need together") {
  pipeline_problem problem{.schedule = {.kind = schedules::interleaved{},
                                        .stages = 3,
                                        .virtual_stages = 2,
                                        .microbatches = 3},
                           .layers = std::vector<pipeline_layer>(12, {.static_bytes = 100}),
                           .memory_limit = {400, 400, 400}};
  CHECK(!excludes_all(problem));
  problem.memory_limit.back() = 399;
  CHECK(excludes_all(problem));
}

TEST_CASE("Without limits of memory nothing is excluded") {
  pipeline_problem problem{
      .schedule = {.kind = schedules::interleaved{}, .virtual_stages = 2, .microbatches = 2},
      .layers = std::vector<pipeline_layer>(2)};
  problem.layers[0].static_bytes = std::numeric_limits<std::int64_t>::max() / 4;
  CHECK(!excludes_all(problem));
}
