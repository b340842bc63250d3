// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/schedule_search.hpp>

#include "../catch.hpp"
#include "image_samples.hpp"

using namespace omnibal;

namespace {

/// 16 layers.
std::vector<layer_cost> small_chain() {
  model_shape model = model_presets()[3];
  model.vision.layers = 6;
  model.language.layers = 7;
  return cost_layers(model, device_presets()[0], {.data_parallel = 2});
}

schedule_problem some_problem(const std::vector<vision_language_sample>& samples,
                              const std::vector<layer_cost>& chain) {
  return {.run = {.samples = samples,
                  .chain = chain,
                  .stages = 2,
                  .data_parallel = 2,
                  .global_batch = 64,
                  .memory = {.limit = 80 * test::gibibyte, .reserved = 6 * test::gibibyte},
                  .recompute_for_w = weight_gradient_recompute::twice,
                  .capacity = loads<2>{10, 4096}},
          .most_virtual_stages = 2};
}

schedule_search_result rank(const schedule_problem& problem) {
  return rank_schedules(problem, {.sample_limit = 200});
}

}  // namespace

TEST_CASE("Every schedule allowed is planned with its own memory, the fastest first") {
  const auto samples = test::image_samples(60);
  const auto chain = small_chain();
  const schedule_problem problem = some_problem(samples, chain);
  const auto found = rank(problem);
  CHECK(found.status == search_status::feasible);
  const auto& ranked = found.candidates;
  CHECK(found.objective == ranked.front().time_per_sample);
  CHECK(found.bound > 0);
  CHECK(found.bound <= found.objective);
  REQUIRE(ranked.size() == 4);  // 1F1B, interleaved with 2, ZB-H1, ZB-V.
  for (const schedule_candidate& one : ranked) {
    run_problem run = problem.run;
    run.schedule = one.schedule;
    run.virtual_stages = one.virtual_stages;
    const run_result plan = plan_run(run);
    REQUIRE(one.fits);
    // The whole search has more candidates than the one plan of the ranking.
    const double in_full = plan.planned.epoch_seconds() / static_cast<double>(samples.size());
    CHECK(in_full <= one.time_per_sample);
    CHECK(one.time_per_sample <= 1.2 * in_full);
  }
  CHECK(std::ranges::is_sorted(ranked, {}, &schedule_candidate::time_per_sample));
}

TEST_CASE("Only schedules allowed are tried, with as many stages as there are layers") {
  const auto samples = test::image_samples(60);
  const auto chain = small_chain();
  schedule_problem problem = some_problem(samples, chain);
  problem.allowed = {schedules::zero_bubble_h1{}};
  const auto ranked = rank(problem).candidates;
  REQUIRE(ranked.size() == 1);
  CHECK(ranked[0].schedule.name() == "zbh1");
  problem.allowed = {schedules::interleaved{}};
  problem.most_virtual_stages = 2;
  CHECK(rank(problem).candidates.size() == 1);
  problem.run.stages = chain.size();
  const auto too_many = rank(problem).candidates;
  CHECK_FALSE(too_many.front().fits);
  CHECK(too_many.front().passed_over == "has more stages than the model has layers");
  problem.allowed.clear();
  CHECK_THROWS_AS(rank(problem), invalid_input);
}

TEST_CASE("Schedules that do not fit the memory come after those that do") {
  const auto samples = test::image_samples(60);
  const auto chain = small_chain();
  schedule_problem problem = some_problem(samples, chain);
  problem.run.memory.limit = 7 * test::gibibyte;
  const auto found = rank(problem);
  CHECK(found.status == search_status::infeasible);
  CHECK_FALSE(found.has_plan());
  const auto& ranked = found.candidates;
  CHECK_FALSE(ranked.front().fits);
  for (const schedule_candidate& one : ranked) {
    CHECK(one.bytes_short > 0);
    CHECK_FALSE(one.passed_over.empty());
  }
}

TEST_CASE("A search that is asked to stop has tried the schedules of one stage per device first") {
  const auto samples = test::image_samples(60);
  const auto chain = small_chain();
  schedule_problem problem = some_problem(samples, chain);
  problem.allowed = {schedules::interleaved{}, schedules::zero_bubble_v{},
                     schedules::one_forward_one_backward{}};
  std::stop_source stop;
  stop.request_stop();
  const auto found = rank_schedules(
      problem, {.sample_limit = 200, .plans = {.control = {.stop = stop.get_token()}}});
  CHECK(found.status == search_status::stopped);
  CHECK(found.limit == search_limit::stop);
  REQUIRE(found.candidates.size() == 3);
  CHECK(found.candidates.front().fits);
  CHECK(found.candidates.front().schedule.name() == "1f1b");
  CHECK(found.candidates[1].passed_over == "was not tried: the limit was reached");
}

TEST_CASE("The bound of a search holds for every schedule tried") {
  const auto samples = test::image_samples(80);
  std::vector<layer_cost> chain = small_chain();
  for (layer_cost& layer : chain) layer.step_time = 0;
  const schedule_problem problem = some_problem(samples, chain);
  const auto tried = rank(problem).candidates;
  run_result plan = plan_run(problem.run);
  const std::int64_t of_one = plan.bound;
  extend_bound(plan, problem.run, {});
  CHECK(plan.bound == of_one);
  extend_bound(plan, problem.run, tried);
  CHECK(plan.bound < of_one);
  CHECK(plan.bound_fill_and_drain > 0);
  for (const schedule_candidate& one : tried) {
    run_problem run = problem.run;
    run.schedule = one.schedule;
    run.virtual_stages = one.virtual_stages;
    CHECK(plan.bound <= plan_run(run).planned.epoch.time);
  }
}

TEST_CASE("The bound of a search counts overlapped reductions as little as that of one schedule") {
  const auto samples = test::image_samples(60);
  const auto chain = small_chain();
  schedule_problem problem = some_problem(samples, chain);
  problem.allowed = {schedules::one_forward_one_backward{}, schedules::zero_bubble_h1{}};
  const auto extended = [&] {
    run_result plan = plan_run(problem.run);
    extend_bound(plan, problem.run, rank(problem).candidates);
    return plan.bound;
  };
  const std::int64_t sequential = extended();
  problem.run.overlap = {.reduction = true, .gather = true};
  CHECK(extended() < sequential);
}

TEST_CASE("A search for a schedule leaves out the samples that are skipped") {
  std::vector<vision_language_sample> samples = test::image_samples(60);
  samples[3] = {40, 300'000};
  samples[47] = {400, 60'000};
  const auto chain = small_chain();
  schedule_problem problem = some_problem(samples, chain);
  problem.run.global_batch = 16;
  CHECK_THROWS_AS(
      [&] {
        problem.run.oversize = oversize_policy::reject;
        (void)rank(problem);
      }(),
      invalid_input);
  problem.run.oversize = oversize_policy::skip;
  const auto found = rank(problem);
  REQUIRE(found.has_plan());
  run_result plan = plan_run(problem.run);
  REQUIRE(plan.skipped == std::vector<std::uint32_t>{3, 47});
  extend_bound(plan, problem.run, found.candidates);
  for (const schedule_candidate& one : found.candidates) {
    run_problem run = problem.run;
    run.schedule = one.schedule;
    run.virtual_stages = one.virtual_stages;
    CHECK(plan.bound <= plan_run(run).planned.epoch.time);
  }
  problem.run.capacity = loads<2>{1, 1};
  CHECK_THROWS_AS(rank(problem), invalid_input);
  CHECK_THROWS_AS(plan_run(problem.run), invalid_input);
}
