// SPDX-License-Identifier: Apache-2.0
// Samples beyond the capacity: micro-batches of their own with memory for them, refused, or listed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/cost/presets.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/run/detail/oversize_memory.hpp>
#include <omnibal/run/detail/run_context.hpp>
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

/// Short samples, some of which are replaced.
template <typename Replace>
run_result planned_with(const Replace& replace, oversize_policy oversize) {
  random_stream random(9);
  std::vector<vision_language_sample> samples;
  for (std::int64_t i = 0; i < 600; ++i) {
    const std::int64_t tiles = test::draw(random, 1, 5);
    samples.push_back({tiles, 256 * tiles + test::draw(random, 40, 300)});
    replace(samples.back(), i, random);
  }
  const auto chain = cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 4});
  return plan_run({.samples = samples,
                   .chain = chain,
                   .stages = 4,
                   .data_parallel = 4,
                   .global_batch = 64,
                   .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
                   .oversize = oversize});
}

/// Packs as packers::balanced does, and counts how often at each capacity.
struct counting_packer {
  static constexpr std::string_view name = "counting";
  std::map<loads<2>, int>* packed = nullptr;

  template <std::size_t Resources>
  [[nodiscard]] packing_result pack(std::span<const loads<Resources>> samples,
                                    const packing_options<Resources>& options) const {
    if constexpr (Resources == 2) ++(*packed)[options.capacity];
    return pack_balanced(samples, options);
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
  const run_result plan = plan_run(run.problem);
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

TEST_CASE("The problem of the largest micro-batches has the same wishes and ends of steps") {
  run_with_long_samples run(20'000);
  for (layer_cost& layer : run.chain) layer.reduction_time = layer.step_time = 1000;
  run.problem.together = {{3, 5}};
  run.problem.apart = {{0, 9}};
  run.problem.fixed_cuts = {{.stage = 1, .layer = 8}};
  run.problem.overlap = {.reduction = true};
  const detail::run_context context(run.problem, {});
  const run_strategy assigned = context.balanced(*run.problem.capacity);
  const pipeline_problem usual = context.problem_for(assigned);
  const pipeline_problem larger = context.problem_for_largest(assigned);
  CHECK(larger.together == run.problem.together);
  CHECK(larger.apart == run.problem.apart);
  REQUIRE(larger.fixed_cuts.size() == 1);
  CHECK(larger.fixed_cuts[0].layer == 8);
  const pipeline_plan plan{.cuts = {0, 8, 20, 40, larger.layers.size()},
                           .modes = std::vector<std::size_t>(larger.layers.size(), 0)};
  const auto usual_costs = stage_costs(usual, plan);
  const auto larger_costs = stage_costs(larger, plan);
  for (std::size_t s = 0; s < 4; ++s) {
    CHECK(larger_costs[s].step_time == usual_costs[s].step_time);
    CHECK(larger_costs[s].activation.saved >= usual_costs[s].activation.saved);
  }
}

TEST_CASE("Where no capacity is given, micro-batches of their own make no epoch longer") {
  run_with_long_samples run(20'000);
  run.problem.capacity.reset();
  const run_result own = plan_run(run.problem);
  run.problem.oversize = oversize_policy::reject;
  const run_result held = plan_run(run.problem);
  REQUIRE(own.planned.status == search_status::feasible);
  CHECK(own.planned.fits);
  CHECK(packed(own.planned).size() == run.samples.size());
  CHECK((*held.planned.capacity)[1] >= 20'000);
  CHECK(own.planned.epoch.time <= held.planned.epoch.time);
}

TEST_CASE("Searches for capacities with and without the longest samples plan each capacity once") {
  run_with_long_samples run(20'000);
  run.problem.capacity.reset();
  std::map<loads<2>, int> times;
  run.problem.packer = counting_packer{&times};
  const run_result plan = plan_run(run.problem);
  REQUIRE((*plan.planned.capacity)[1] < 20'000);  // Those without the longest won.
  CHECK(times.size() > 20);
  // By one plan once; by all plans for packs beyond the capacity anywhere and gathered, and once to
  // improve the better.
  for (const auto& [capacity, count] : times)
    if (capacity != *plan.planned.capacity) CHECK(count <= 4);
}

TEST_CASE("Samples beyond the capacity are refused by name, or left out and listed") {
  run_with_long_samples run(20'000);
  run.problem.oversize = oversize_policy::reject;
  CHECK_THROWS_WITH(plan_run(run.problem), Catch::Contains("tokens[7]"));
  run.problem.oversize = oversize_policy::skip;
  const run_result plan = plan_run(run.problem);
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
  const run_result plan = plan_run(run.problem);
  CHECK(plan.status == search_status::infeasible);
  CHECK(plan.planned.status == search_status::infeasible);
  CHECK(plan.planned.why.reason == infeasibility::cause::memory);
  CHECK(plan.planned.why.proven);
}

TEST_CASE("A lack of memory for long samples is proven only where no plan is found") {
  int proven = 0;
  int found = 0;
  for (const any_schedule kind :
       {any_schedule(schedules::one_forward_one_backward{}), any_schedule(schedules::gpipe{}),
        any_schedule(schedules::interleaved{})})
    for (std::int64_t gib = 10; gib <= 80; gib += 10) {
      run_with_long_samples run(60'000);
      run.problem.schedule = kind;
      run.problem.virtual_stages = kind.capabilities().least_virtual_stages;
      run.problem.memory.limit = gib * gibibyte;
      const run_result plan = plan_run(run.problem);
      INFO(kind.name() << ", " << gib << " GiB");
      if (plan.planned.status == search_status::infeasible) {
        CHECK(plan.planned.why.reason == infeasibility::cause::memory);
        proven += plan.planned.why.proven ? 1 : 0;
        continue;
      }
      ++found;
      const detail::run_context context(run.problem, {});
      CHECK(plan_jointly(detail::relaxed_oversize(context, plan.planned), objectives::bottleneck{})
                .status != search_status::infeasible);
    }
  CHECK(proven > 0);
  CHECK(found > 0);
}

TEST_CASE("Micro-batches of their own make epochs strictly shorter where a few samples are long") {
  const auto gains = [](const auto& replace) {
    const run_strategy own = planned_with(replace, oversize_policy::own_pack).planned;
    const run_strategy held = planned_with(replace, oversize_policy::reject).planned;
    REQUIRE(own.status == search_status::feasible);
    REQUIRE(held.status == search_status::feasible);
    CHECK(own.fits);
    CHECK(own.data.oversize_per_rank > 0);
    CHECK(packed(own).size() == 600);
    return static_cast<double>(held.epoch.time) / static_cast<double>(own.epoch.time);
  };
  SECTION("a long tail") {
    CHECK(gains([](auto& sample, std::int64_t i, random_stream& random) {
            if (i % 7 == 0) sample[1] += 30 << test::draw(random, 0, 9);
          }) > 1.01);
  }
  SECTION("images of many tiles") {
    CHECK(gains([](auto& sample, std::int64_t i, random_stream&) {
            if (i % 60 == 3) sample = {40, 256 * 40 + 100};
          }) > 1.05);
  }
  SECTION("many tiles of few tokens") {
    CHECK(gains([](auto& sample, std::int64_t i, random_stream&) {
            sample = i % 60 == 3 ? vision_language_sample{64, 64 * 60 + 100}
                                 : vision_language_sample{1 + i % 4, 60 * (1 + i % 4) + 90};
          }) > 1.05);
  }
}

TEST_CASE("Memory for a long sample is planned by modes that it needs, beside packs far smaller") {
  run_with_long_samples run(60'000);
  for (std::size_t k = 1; k < run.beyond.size(); ++k) run.samples[run.beyond[k]] = {1, 300};
  const run_result plan = plan_run(run.problem);
  REQUIRE(plan.planned.status == search_status::feasible);
  CHECK(plan.planned.fits);
  CHECK(packed(plan.planned).size() == run.samples.size());
}

TEST_CASE("Where no capacity is given, only samples that no plan has memory for are left out") {
  run_with_long_samples run(20'000);
  run.problem.capacity.reset();
  run.problem.oversize = oversize_policy::skip;
  const run_result all = plan_run(run.problem);
  CHECK(all.skipped.empty());  // though without them the epoch would be shorter
  CHECK(packed(all.planned).size() == run.samples.size());

  run.samples[run.beyond[1]] = {0, 5'000'000};
  run.samples[run.beyond[2]] = {100'000, 26'000'000};
  const run_result plan = plan_run(run.problem);
  REQUIRE(plan.planned.status == search_status::feasible);
  CHECK(plan.planned.fits);
  CHECK(plan.skipped == std::vector{run.beyond[1], run.beyond[2]});
  CHECK(packed(plan.planned).size() + plan.skipped.size() == run.samples.size());
}

TEST_CASE("A plan that left samples out evaluates to the same time, and lists them again") {
  run_with_long_samples run(20'000);
  run.problem.oversize = oversize_policy::skip;
  const run_result plan = plan_run(run.problem);
  const run_strategy& planned = plan.planned;
  const auto evaluate = [&] {
    return evaluate_run(run.problem, planned.data.packing.packs, planned.data.dispatch,
                        *planned.capacity, planned.plan);
  };
  const evaluated_run again = evaluate();
  CHECK(again.skipped == run.beyond);
  CHECK(again.strategy.epoch.time == planned.epoch.time);
  CHECK(again.strategy.epoch.peak_memory == planned.epoch.peak_memory);
  CHECK(again.bound <= plan.bound);
  CHECK(again.strategy.data.packing.packs == planned.data.packing.packs);
  run.problem.oversize = oversize_policy::own_pack;
  CHECK_THROWS_WITH(evaluate(), Catch::Contains("in no pack"));
}

TEST_CASE("Memory is planned for no more long samples at a time than are in flight") {
  random_stream random(1);
  std::vector<vision_language_sample> samples;
  vision_language_sample largest = {1, 1};
  for (int i = 0; i < 33; ++i) {
    samples.push_back({test::draw(random, 0, 2), test::draw(random, 300, 9000)});
    for (std::size_t r = 0; r < 2; ++r) largest[r] = std::max(largest[r], samples.back()[r]);
  }
  model_shape model = model_presets()[3];
  model.vision.layers = 2;
  model.language.layers = 4;
  const auto chain = cost_layers(model, device_presets()[0], {});
  run_problem problem{.samples = samples, .chain = chain, .global_batch = 33};
  std::size_t planned = 0;
  for (const std::size_t stages : {1U, 2U})
    for (std::int64_t limit = 16; limit <= 52; limit += 6) {
      CAPTURE(stages, limit);
      problem.stages = stages;
      problem.memory = {.limit = limit * gibibyte, .reserved = 6 * gibibyte};
      problem.capacity = largest;
      if (plan_run(problem).planned.status == search_status::infeasible) continue;
      // Nearly every sample is a micro-batch of its own, and none is larger than this capacity.
      problem.capacity = loads<2>{6, 512};
      const run_strategy own = plan_run(problem).planned;
      REQUIRE(own.data.oversize_per_rank > 8);
      CHECK(own.status == search_status::feasible);
      CHECK(own.fits);
      ++planned;
    }
  CHECK(planned > 4);
}

TEST_CASE("A plan that left samples out can be the current layout of the same run") {
  const run_with_long_samples run(6000);
  for (const bool by_memory : {false, true}) {
    CAPTURE(by_memory);
    std::vector<vision_language_sample> samples = run.samples;
    if (by_memory) samples[7] = {4, 5'000'000};
    run_problem problem = run.problem;
    problem.samples = samples;
    problem.oversize = oversize_policy::skip;
    if (by_memory) problem.capacity.reset();
    const run_result first = plan_run(problem);
    REQUIRE(first.planned.status == search_status::feasible);
    REQUIRE_FALSE(first.skipped.empty());
    problem.current =
        current_layout{.plan = first.planned.plan,
                       .data = assigned_packs{.packs = first.planned.data.packing.packs,
                                              .dispatch = first.planned.data.dispatch,
                                              .capacity = *first.planned.capacity}};
    const run_result again = plan_run(problem);
    CHECK(again.skipped == first.skipped);
    REQUIRE(again.current);
    CHECK(again.current->epoch.time == first.planned.epoch.time);
    CHECK(again.current->data.packing.packs == first.planned.data.packing.packs);
    CHECK(again.planned.epoch.time <= first.planned.epoch.time);
    const std::string left_out =
        "current = " + std::to_string(first.skipped[0]) + ": is a sample of the run";
    problem.oversize = oversize_policy::own_pack;
    CHECK_THROWS_WITH(plan_run(problem), Catch::Matchers::StartsWith(left_out));
    problem.oversize = oversize_policy::skip;
    problem.capacity = loads<2>{6, 1000};
    CHECK_THROWS_WITH(plan_run(problem),
                      Catch::Matchers::ContainsSubstring("in one of its packs: give a layout"));
  }
}
