// SPDX-License-Identifier: Apache-2.0
// The global batch is a constraint: met within its tolerance, or refused with the nearest.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/cost/presets.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/plan_run.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

/// Tables of several kinds: text alone, alike, a long tail, image-heavy.
std::vector<vision_language_sample> random_table(random_stream& random) {
  std::vector<vision_language_sample> samples;
  const auto count = test::draw(random, 1, 900);
  const auto kind = test::draw(random, 0, 3);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t tiles = kind == 0   ? 0
                               : kind == 1 ? 2
                                           : test::draw(random, 1, kind == 2 ? 5 : 12);
    const std::int64_t text = kind == 1                        ? 100
                              : test::draw(random, 0, 19) == 0 ? test::draw(random, 1, 3000)
                                                               : test::draw(random, 1, 200);
    samples.push_back({tiles, 64 * tiles + text});
  }
  return samples;
}

double samples_per_step(const batch_plan& plan, std::size_t samples) {
  return static_cast<double>(samples) / static_cast<double>(plan.packing.packs.size()) *
         static_cast<double>(plan.load.ranks * plan.microbatches_per_rank);
}

void check_complete(const batch_plan& plan, std::size_t samples) {
  std::vector<std::uint32_t> ids(plan.packing.packs.indices().begin(),
                                 plan.packing.packs.indices().end());
  std::ranges::sort(ids);
  REQUIRE(ids.size() == samples);
  for (std::uint32_t id = 0; id < samples; ++id) REQUIRE(ids[id] == id);
  for (std::size_t k = 0; k < plan.packing.packs.size(); ++k)
    REQUIRE_FALSE(plan.packing.packs[k].empty());
}

void check_capacity(const batch_plan& plan, std::span<const vision_language_sample> samples,
                    const loads<2>& capacity) {
  for (std::size_t k = 0; k < plan.packing.packs.size(); ++k) {
    loads<2> sum = {};
    for (const std::uint32_t id : plan.packing.packs[k])
      for (std::size_t r = 0; r < 2; ++r) sum[r] += samples[id][r];
    REQUIRE(sum[0] <= capacity[0]);
    REQUIRE(sum[1] <= capacity[1]);
    if (plan.most_samples_per_pack > 0)
      REQUIRE(plan.packing.packs[k].size() <= plan.most_samples_per_pack);
  }
}

}  // namespace

TEST_CASE("Every way to make micro-batches meets a global batch that can be met") {
  random_stream random(3);
  int met = 0;
  for (int round = 0; round < 400; ++round) {
    const auto samples = random_table(random);
    loads<2> capacity = {12, 4096};
    for (const auto& sample : samples)
      for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
    const batch_options options{
        .ranks = static_cast<std::size_t>(test::draw(random, 1, 12)),
        .global_batch = test::draw(random, 1, 300),
        .batch_tolerance = 0.1,
        .microbatch_multiple = static_cast<std::size_t>(test::draw(random, 0, 2) == 0 ? 4 : 1),
        .cost = {.per_tile = 1000, .per_token = 10}};
    const auto least = static_cast<double>(options.ranks * options.microbatch_multiple);
    const bool possible =
        meets_batch(options, static_cast<double>(nearest_batch(options, std::size_t{1} << 40)));
    REQUIRE(possible == (least <= 1.1 * static_cast<double>(options.global_batch)));
    for (const batch_plan& plan :
         {balanced_batches(samples, capacity, options), unbalanced_batches(samples, options),
          paper_batches(samples, capacity, options)}) {
      check_complete(plan, samples.size());
      if (!possible || samples.size() < 3 * static_cast<std::size_t>(options.global_batch))
        continue;
      ++met;
      REQUIRE((meets_batch(options, plan.mean_samples_per_step) ||
               meets_batch(options, samples_per_step(plan, samples.size()))));
    }
    const batch_plan balanced = balanced_batches(samples, capacity, options);
    check_capacity(balanced, samples, capacity);
    REQUIRE(balanced.packing.bound <= balanced.packing.packs.size());
  }
  CHECK(met > 300);
}

TEST_CASE(
    "Steps but the last have the global batch exactly on average where no tolerance is given") {
  random_stream random(4);
  int exact = 0;
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    const auto samples = random_table(random);
    loads<2> capacity = {1, 1};
    for (const auto& sample : samples)
      for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
    for (std::int64_t& one : capacity) one *= 1 + round % 3;
    const batch_options options{
        .ranks = static_cast<std::size_t>(test::draw(random, 1, 9)),
        .global_batch = test::draw(random, 1, 200),
        .batch_tolerance = 0,
        .microbatch_multiple = static_cast<std::size_t>(test::draw(random, 0, 2) == 0 ? 4 : 1),
        .cost = {.per_tile = 1000, .per_token = 10}};
    const auto batch = static_cast<std::size_t>(options.global_batch);
    const batch_plan plan = balanced_batches(samples, capacity, options);
    check_complete(plan, samples.size());
    check_capacity(plan, samples, capacity);
    if (samples.size() <= batch) continue;
    if (plan.mean_samples_per_step != static_cast<double>(batch)) {
      ++refused;
      // The packs are more than full steps of packs of one sample and more have.
      const std::size_t each = options.ranks * options.microbatch_multiple;
      const packing_options<2> packing{
          .capacity = capacity, .cost = loads<2>{1000, 10}, .seed = options.seed};
      REQUIRE(pack_balanced(samples, packing).packs.size() >
              (samples.size() - 1) / batch * (batch / each * each));
      continue;
    }
    ++exact;
    REQUIRE(plan.load.steps() >= 2);
    REQUIRE(plan.packing.packs.size() == plan.packing.objective);
    for (std::size_t group = 0; group < (plan.load.steps() - 1) * options.ranks; ++group)
      REQUIRE(plan.load.assignment[group].size() == plan.microbatches_per_rank);
    REQUIRE(plan.load.most_microbatches() == plan.microbatches_per_rank);
    REQUIRE(plan.microbatches_per_rank % options.microbatch_multiple == 0);
  }
  CHECK(exact > 100);
  CHECK(refused > 20);
}

TEST_CASE("A batch that packs of single samples cannot have is refused with the nearest") {
  const std::vector<vision_language_sample> samples(500, {1, 1000});
  const auto chain = cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 8});
  run_problem problem{.samples = samples,
                      .chain = chain,
                      .stages = 2,
                      .data_parallel = 8,
                      .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
                      .capacity = loads<2>{1, 1000}};
  for (const std::int64_t batch : {12, 13, 19, 21, 43, 500, 16, 24, 499}) {
    for (const double tolerance : {0.0, 0.1}) {
      CAPTURE(batch, tolerance);
      problem.global_batch = batch;
      problem.batch_tolerance = tolerance;
      const run_strategy planned = plan_run(problem).planned;
      const std::int64_t fewer = batch / 8 * 8;
      const std::int64_t nearest = batch - fewer <= 4 ? fewer : fewer + 8;
      if (static_cast<double>(std::abs(nearest - batch)) <=
              tolerance * static_cast<double>(batch) ||
          batch == 500) {
        REQUIRE(planned.status == search_status::feasible);
        CHECK(std::abs(planned.data.mean_samples_per_step - static_cast<double>(batch)) <=
              tolerance * static_cast<double>(batch));
      } else {
        REQUIRE(planned.why.reason == infeasibility::cause::global_batch);
        CHECK(planned.why.nearest_batch == (batch == 499 ? 500 : nearest));
      }
    }
  }
  problem.capacity = loads<2>{2, 2000};
  problem.batch_tolerance = 0;
  for (const std::int64_t batch : {12, 13, 21, 43, 64, 250, 499}) {
    CAPTURE(batch);
    problem.global_batch = batch;
    const run_strategy planned = plan_run(problem).planned;
    REQUIRE(planned.status == search_status::feasible);
    CHECK(planned.data.mean_samples_per_step == static_cast<double>(batch));
  }
}

TEST_CASE("The nearest batch is between one sample per micro-batch and all samples") {
  const batch_options options{.ranks = 8, .global_batch = 32, .microbatch_multiple = 4};
  CHECK(nearest_batch(options, 1000) == 32);
  CHECK(nearest_batch({.ranks = 64, .global_batch = 8}, 1000) == 64);
  CHECK(nearest_batch({.ranks = 64, .global_batch = 8}, 5) == 5);
  CHECK(nearest_batch({.ranks = 2, .global_batch = 100}, 60) == 60);
  CHECK(meets_batch(options, 28.8));
  CHECK(meets_batch(options, 35.2));
  CHECK_FALSE(meets_batch(options, 28.7));
  CHECK_FALSE(meets_batch(options, 35.3));
}

TEST_CASE("A run is refused with the nearest batch where it cannot have the one asked for") {
  random_stream random(9);
  std::vector<vision_language_sample> samples;
  for (int i = 0; i < 300; ++i) {
    const std::int64_t tiles = test::draw(random, 1, 5);
    samples.push_back({tiles, 256 * tiles + test::draw(random, 30, 250)});
  }
  const auto chain = cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 16});
  run_problem problem{.samples = samples,
                      .chain = chain,
                      .stages = 2,
                      .data_parallel = 16,
                      .global_batch = 8,
                      .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
                      .capacity = loads<2>{10, 4096}};
  const auto planned = [&] { return plan_run(problem).planned; };
  CHECK(planned().why.reason == infeasibility::cause::global_batch);
  CHECK(planned().why.nearest_batch == 16);
  problem.batch_tolerance = 1;
  CHECK(planned().status == search_status::feasible);
  problem.batch_tolerance = 0.1;
  for (const std::int64_t batch : {15, 16, 20, 24, 31, 100, 290}) {
    problem.global_batch = batch;
    const run_strategy found = planned();
    CAPTURE(batch);
    REQUIRE(found.status == search_status::feasible);
    CHECK(found.fits);
    CHECK(std::abs(found.data.mean_samples_per_step - static_cast<double>(batch)) <=
          0.1 * static_cast<double>(batch));
  }
  problem.global_batch = 1000;
  CHECK(planned().why.nearest_batch == 300);
  problem.global_batch = 32;
  problem.schedule = schedules::interleaved{};
  problem.virtual_stages = 2;
  CHECK(planned().status == search_status::feasible);
  problem.global_batch = 16;
  CHECK(planned().why.nearest_batch == 32);
}

TEST_CASE("Shapes that cannot run the global batch are passed over") {
  const std::vector<vision_language_sample> samples(100, {1, 300});
  const shape_problem problem{
      .devices = 8,
      .layer_costs =
          [](const cluster_shape& shape) {
            return cost_layers(model_presets()[3], device_presets()[0],
                               {.tensor_parallel = shape.tensor_parallel,
                                .data_parallel = static_cast<std::int64_t>(shape.data_parallel)});
          },
      .run = {.samples = samples,
              .global_batch = 2,
              .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
              .capacity = loads<2>{10, 4096}}};
  for (const shape_candidate& one : rank_shapes(problem).candidates) {
    if (one.fits) CHECK(one.shape.data_parallel <= 2);
    if (one.nearest_batch > 0) {
      CHECK(static_cast<std::size_t>(one.nearest_batch) == one.shape.data_parallel);
      CHECK_FALSE(one.fits);
    }
  }
}
