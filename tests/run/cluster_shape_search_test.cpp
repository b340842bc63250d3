// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/cost/presets.hpp>
#include <omnibal/run/cluster_shape_search.hpp>

#include "../catch.hpp"
#include "image_samples.hpp"

using namespace omnibal;

namespace {

shape_problem some_problem(std::span<const vision_language_sample> samples, std::int64_t devices) {
  return {.devices = devices,
          .layer_costs =
              [](const cluster_shape& shape) {
                return cost_layers(
                    model_presets()[3], device_presets()[0],
                    {.tensor_parallel = shape.tensor_parallel,
                     .data_parallel = static_cast<std::int64_t>(shape.data_parallel)});
              },
          .run = {.samples = samples,
                  .global_batch = 64,
                  .memory = {.limit = 80 * test::gibibyte, .reserved = 6 * test::gibibyte}}};
}

shape_search_result rank(const shape_problem& problem, const search_control& control = {}) {
  return rank_shapes(problem, {.sample_limit = 300, .plans = {.control = control}});
}

}  // namespace

TEST_CASE("Every division of the devices is looked at, the fastest first") {
  const auto samples = test::image_samples(600);
  const auto found = rank(some_problem(samples, 16));
  CHECK(found.status == search_status::feasible);
  const auto& ranked = found.candidates;
  CHECK(found.objective == ranked.front().time_per_sample);
  CHECK(found.bound > 0);
  CHECK(found.bound <= found.objective);
  // Tensor parallelism of 1, 2, 4 and 8 leaves 5, 4, 3 and 2 divisors for the stages.
  REQUIRE(ranked.size() == 14);
  std::vector<cluster_shape> shapes;
  for (std::size_t k = 0; k < ranked.size(); ++k) {
    const shape_candidate& one = ranked[k];
    shapes.push_back(one.shape);
    CHECK(static_cast<std::int64_t>(one.shape.data_parallel * one.shape.stages) *
              one.shape.tensor_parallel ==
          16);
    CHECK(one.fits == one.passed_over.empty());
    CHECK(one.fits == (one.time_per_sample > 0));
    if (k == 0) continue;
    CHECK(ranked[k - 1].fits >= one.fits);
    if (one.fits) CHECK(ranked[k - 1].time_per_sample <= one.time_per_sample);
    if (!ranked[k - 1].fits) CHECK(ranked[k - 1].bytes_short <= one.bytes_short);
  }
  std::ranges::sort(shapes);
  CHECK(std::ranges::adjacent_find(shapes) == shapes.end());
  CHECK(ranked.front().fits);
}

TEST_CASE("Shapes without a partition that keeps the constraints are passed over for that") {
  const auto samples = test::image_samples(600);
  shape_problem problem = some_problem(samples, 8);
  problem.run.apart = {{0, 1}};
  const auto ranked = rank(problem).candidates;
  CHECK(ranked.front().fits);
  int without = 0;
  for (const shape_candidate& one : ranked) {
    const bool has_no_partition =
        one.passed_over == "has no partition that keeps the constraints on stages";
    CHECK(has_no_partition == (one.shape.stages == 1));
    without += has_no_partition ? 1 : 0;
  }
  CHECK(without == 4);
  // That is what they say also where their steps have more samples than asked for.
  problem.run.global_batch = 1;
  problem.run.batch_tolerance = 0;
  for (const shape_candidate& one : rank(problem).candidates)
    if (one.shape.stages == 1)
      CHECK(one.passed_over == "has no partition that keeps the constraints on stages");
  problem.run.apart = {{0, 1000}};
  CHECK_THROWS_WITH(rank(problem), Catch::Matchers::ContainsSubstring("apart[0] = 1000"));
}

TEST_CASE("A stop request ends the search for a shape once one fits") {
  const auto samples = test::image_samples(600);
  std::stop_source stop;
  stop.request_stop();
  const auto found = rank(some_problem(samples, 16), {.stop = stop.get_token()});
  CHECK(found.status == search_status::stopped);
  CHECK(found.limit == search_limit::stop);
  const auto& ranked = found.candidates;
  CHECK(ranked.size() < 14);
  CHECK(ranked.front().fits);
  CHECK(std::ranges::count(ranked, true, &shape_candidate::fits) == 1);
}

TEST_CASE("A search for a shape that is given up ends though none fits, and proves nothing") {
  const auto samples = test::image_samples(600);
  shape_problem problem = some_problem(samples, 1 << 12);
  problem.run.memory.limit = 7 * test::gibibyte;
  problem.run.global_batch = 1 << 12;
  std::stop_source stop;
  stop.request_stop();
  const auto search = [&](const shape_search_options& options) {
    return rank_shapes(problem, options);
  };
  const auto given_up = search({.sample_limit = 300, .give_up = stop.get_token()});
  CHECK(given_up.status == search_status::stopped);
  CHECK(given_up.limit == search_limit::stop);
  CHECK_FALSE(given_up.has_plan());
  CHECK(given_up.candidates.size() == 8);
  problem.devices = 4;
  problem.run.global_batch = 64;
  const auto whole = search({.sample_limit = 300});
  CHECK(whole.status == search_status::infeasible);
  CHECK(whole.limit == search_limit::none);
  CHECK_FALSE(whole.has_plan());
  problem.run.memory.limit = 80 * test::gibibyte;
  CHECK(search({.sample_limit = 300, .give_up = stop.get_token()}).has_plan());
}

TEST_CASE("The fastest shape on all samples is no slower than one chosen by hand") {
  const auto samples = test::image_samples(300);
  const shape_problem problem = some_problem(samples, 16);
  const auto epoch = [&](const cluster_shape& shape) {
    run_problem run = problem.run;
    const auto chain = problem.layer_costs(shape);
    run.chain = chain;
    run.stages = shape.stages;
    run.data_parallel = shape.data_parallel;
    run.capacity = loads<2>{9, 4096};
    return plan_run(run).planned.epoch.time;
  };
  shape_problem fixed = problem;
  fixed.run.capacity = loads<2>{9, 4096};
  CHECK(epoch(rank(fixed).candidates.front().shape) <=
        epoch({.data_parallel = 4, .stages = 4, .tensor_parallel = 1}));
}

TEST_CASE("Shapes that cannot be are told apart") {
  const auto samples = test::image_samples(50);
  // 7 divides no number of heads; 131 stages are more than there are layers.
  for (const shape_candidate& one : rank(some_problem(samples, 7)).candidates)
    if (one.shape.tensor_parallel == 7)
      CHECK(one.passed_over.find("tensor_parallel = 7") != std::string::npos);
  const auto many = rank(some_problem(samples, 131)).candidates;
  const auto deep = std::ranges::find(many, 131U, [](const auto& one) { return one.shape.stages; });
  REQUIRE(deep != many.end());
  CHECK(deep->passed_over.find("more stages") != std::string::npos);
  CHECK_THROWS_AS(rank(some_problem(samples, 0)), invalid_input);
  CHECK_THROWS_AS(rank(some_problem({}, 8)), invalid_input);
}

TEST_CASE("A search for a shape leaves out the samples that are skipped") {
  std::vector<vision_language_sample> samples = test::image_samples(50);
  samples[7] = {400, 60'000};
  shape_problem problem = some_problem(samples, 8);
  problem.run.global_batch = 16;
  problem.run.capacity = loads<2>{10, 4096};
  problem.run.oversize = oversize_policy::skip;
  std::vector<vision_language_sample> others = samples;
  others.erase(others.begin() + 7);
  shape_problem rest = problem;
  rest.run.samples = others;
  const shape_search_result found = rank(problem);
  REQUIRE(found.has_plan());
  CHECK(found.objective == rank(rest).objective);
  problem.run.oversize = oversize_policy::reject;
  CHECK_THROWS_WITH(rank(problem), Catch::Matchers::StartsWith("images[7] = 400"));
}

TEST_CASE("A shape is ranked by the steps of a whole table that is smaller than a step") {
  const std::vector<vision_language_sample> samples(3, {1, 300});
  shape_problem problem = some_problem(samples, 4);
  problem.node_devices = 1;
  problem.run.global_batch = 3;
  problem.run.capacity = loads<2>{1, 300};
  const shape_search_result found = rank(problem);
  REQUIRE(found.has_plan());
  for (const shape_candidate& one : found.candidates) {
    CAPTURE(one.shape.data_parallel, one.passed_over);
    run_problem run = problem.run;
    const auto chain = problem.layer_costs(one.shape);
    run.chain = chain;
    run.stages = one.shape.stages;
    run.data_parallel = one.shape.data_parallel;
    CHECK(one.fits == (plan_run(run).planned.status != search_status::infeasible));
  }
}

TEST_CASE("Where no shape fits, those that only miss the batch are before those that cannot be") {
  const std::vector<vision_language_sample> samples(100, {1, 300});
  shape_problem problem = some_problem(samples, 1024);
  problem.node_devices = 1;
  problem.run.global_batch = 1;
  const shape_search_result found = rank(problem);
  REQUIRE_FALSE(found.has_plan());
  std::int64_t nearest = std::numeric_limits<std::int64_t>::max();
  for (const shape_candidate& one : found.candidates)
    if (one.nearest_batch > 0) nearest = std::min(nearest, one.nearest_batch);
  CHECK(found.candidates.front().nearest_batch == nearest);
  CHECK(found.candidates.back().nearest_batch == 0);
}
