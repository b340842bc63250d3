// SPDX-License-Identifier: Apache-2.0
// Samples beyond the capacity: micro-batches of their own with memory for them, refused, or listed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <omnibal/cost/presets.hpp>
#include <omnibal/run/plan_run.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

/// A run of short samples, of which some are long.
struct run_with_long_samples {
  std::vector<vision_language_sample> samples = {};
  std::vector<std::uint32_t> beyond = {};
  std::vector<layer_cost> chain = {};
  run_problem problem = {};

  explicit run_with_long_samples(std::int64_t longest, std::uint64_t seed = 5) {
    random_stream random(seed);
    for (std::uint32_t i = 0; i < 160; ++i) {
      const bool is_long = i % 50 == 7;
      const std::int64_t tiles = test::draw(random, 0, 4);
      if (is_long) beyond.push_back(i);
      samples.push_back({tiles, 256 * tiles + (is_long ? longest : test::draw(random, 30, 600))});
    }
    chain = cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 4});
    problem = {.samples = samples,
               .chain = chain,
               .stages = 4,
               .data_parallel = 4,
               .global_batch = 32,
               .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
               .capacity = loads<2>{6, 3000}};
  }
};

std::vector<std::uint32_t> packed(const run_strategy& strategy) {
  const auto ids = strategy.data.packing.packs.indices();
  std::vector<std::uint32_t> sorted(ids.begin(), ids.end());
  std::ranges::sort(sorted);
  return sorted;
}

}  // namespace

TEST_CASE("Samples beyond the capacity are micro-batches of their own, with memory for them") {
  const run_with_long_samples run(20'000);
  const run_plan plan = plan_run(run.problem);
  const run_strategy& planned = plan.planned;
  REQUIRE(planned.status == search_status::feasible);
  CHECK(planned.fits);
  CHECK(planned.data.oversize_per_rank == 1);
  CHECK(packed(planned).size() == run.samples.size());
  for (std::size_t k = 0; k < planned.data.packing.packs.size(); ++k) {
    const workload& work = planned.data.load.microbatches[k];
    if (work.tiles > 6 || work.tokens > 3000) CHECK(planned.data.packing.packs[k].size() == 1);
  }
  const evaluated_run again = evaluate_run(run.problem, planned.data.packing.packs,
                                           planned.data.dispatch, *planned.capacity, planned.plan);
  CHECK(again.strategy.fits);
  CHECK(again.strategy.epoch.time == planned.epoch.time);
}

TEST_CASE("Where no capacity is given, micro-batches of their own make no epoch longer") {
  run_with_long_samples run(20'000);
  run.problem.capacity.reset();
  const run_plan own = plan_run(run.problem);
  run.problem.oversize = oversize_policy::reject;
  const run_plan held = plan_run(run.problem);
  REQUIRE(own.planned.status == search_status::feasible);
  CHECK(own.planned.fits);
  CHECK(packed(own.planned).size() == run.samples.size());
  CHECK((*held.planned.capacity)[1] >= 20'000);
  CHECK(own.planned.epoch.time <= held.planned.epoch.time);
}

TEST_CASE("Samples beyond the capacity are refused by name, or left out and listed") {
  run_with_long_samples run(20'000);
  run.problem.oversize = oversize_policy::reject;
  CHECK_THROWS_WITH(plan_run(run.problem), Catch::Contains("tokens[7]"));
  run.problem.oversize = oversize_policy::skip;
  const run_plan plan = plan_run(run.problem);
  REQUIRE(plan.planned.status == search_status::feasible);
  CHECK(plan.skipped == run.beyond);
  for (const run_strategy* strategy : {&plan.unbalanced, &plan.published, &plan.planned}) {
    std::vector<std::uint32_t> all = packed(*strategy);
    all.insert(all.end(), plan.skipped.begin(), plan.skipped.end());
    std::ranges::sort(all);
    std::vector<std::uint32_t> expected(run.samples.size());
    std::iota(expected.begin(), expected.end(), 0U);
    CHECK(all == expected);
  }
}

TEST_CASE("A sample that no plan has memory for is a reason, not a plan that does not fit") {
  const run_with_long_samples run(5'000'000);
  const run_plan plan = plan_run(run.problem);
  CHECK(plan.planned.status == search_status::infeasible);
  CHECK(plan.planned.why.reason == infeasibility::cause::memory);
}
