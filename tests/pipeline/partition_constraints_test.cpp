// SPDX-License-Identifier: Apache-2.0
#include <cstddef>

#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>

#include "../catch.hpp"

using namespace omnibal;

TEST_CASE("No partition has fewer stages than a stage whose first layer is fixed") {
  pipeline_problem problem{.schedule = {.stages = 5}};
  problem.layers.resize(5);
  problem.fixed_cuts = {{.stage = 2, .layer = 3}};
  const partition_constraints alone(problem);
  for (const std::size_t stages : {1U, 2U}) CHECK_FALSE(alone.allow_partition(stages));
  for (const std::size_t stages : {3U, 4U}) CHECK(alone.allow_partition(stages));
  CHECK_FALSE(alone.allow_partition(5));  // Two layers are left for three stages.
  CHECK(alone.impossibility(5).most_stages == 4);
  // All before the fixed layer share a stage, and two stages are to be there.
  problem.together = {{0, 2}};
  const infeasibility why = partition_constraints(problem).impossibility(5);
  CHECK(why.reason == infeasibility::cause::rules);
  CHECK(why.most_stages == 0);
}
