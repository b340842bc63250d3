// SPDX-License-Identifier: Apache-2.0
// The order in which a layer lists its recompute modes says nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/baselines/planners.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/recompute/extreme_modes.hpp>
#include <omnibal/run/plan_run.hpp>

#include "../catch.hpp"
#include "planner/plan_oracle.hpp"

using namespace omnibal;

namespace {

/// The same problem with the modes of every layer in another order.
pipeline_problem in_another_order(pipeline_problem problem, random_stream& random) {
  for (pipeline_layer& one : problem.layers) shuffle_randomly(std::span(one.modes), random);
  return problem;
}

/// Some layers with kinds, others with modes of which only the numbers tell what they are.
pipeline_problem with_kinds(pipeline_problem problem, random_stream& random) {
  constexpr recompute_kind kinds[] = {recompute_kind::none, recompute_kind::selective,
                                      recompute_kind::full};
  for (pipeline_layer& one : problem.layers) {
    if (test::draw(random, 0, 1) == 0) continue;
    for (std::size_t m = 0; m < one.modes.size(); ++m) one.modes[m].kind = kinds[m];
  }
  return problem;
}

std::vector<layer_cost> reversed(std::vector<layer_cost> chain) {
  for (layer_cost& layer : chain) std::ranges::reverse(layer.modes);
  return chain;
}

}  // namespace

TEST_CASE("The order of a layer's modes changes no plan's value and no baseline") {
  random_stream random(17);
  for (int round = 0; round < 600; ++round) {
    const any_schedule kind = round % 2 == 0 ? any_schedule(schedules::gpipe{})
                                             : any_schedule(schedules::one_forward_one_backward{});
    const pipeline_problem problem = with_kinds(test::random_problem(random, kind, 7), random);
    const pipeline_problem other = in_another_order(problem, random);
    for (const any_objective objective : all_objectives) {
      const joint_result one = plan_jointly(problem, objective);
      const joint_result two = plan_jointly(other, objective);
      REQUIRE(one.status == two.status);
      REQUIRE(one.objective == two.objective);
      REQUIRE(one.bound == two.bound);
    }
    const std::vector<std::int64_t> parameters(problem.layers.size(), 1);
    const auto baselines = plan_baselines(problem, parameters);
    const auto again = plan_baselines(other, parameters);
    REQUIRE(baselines.size() == again.size());
    for (std::size_t k = 0; k < baselines.size(); ++k) {
      INFO(baselines[k].name);
      REQUIRE(baselines[k].makespan == again[k].makespan);
      REQUIRE(baselines[k].bytes_over == again[k].bytes_over);
    }
  }
}

TEST_CASE("Kinds go before numbers, and numbers decide where there is no kind") {
  pipeline_layer one{.modes = {{.kind = recompute_kind::full, .extra_time = 9, .saved_bytes = 5},
                               {.extra_time = 3, .saved_bytes = 1},
                               {.kind = recompute_kind::none, .extra_time = 1, .saved_bytes = 20},
                               {.saved_bytes = 20}}};
  CHECK(full_mode(one) == 0);
  CHECK(bare_mode(one) == 2);
  for (recompute_mode& mode : one.modes) mode.kind = recompute_kind::custom;
  CHECK(full_mode(one) == 1);
  CHECK(bare_mode(one) == 3);
}

TEST_CASE("Names have kinds in files alone") {
  CHECK(recompute_kind_named("full") == recompute_kind::full);
  CHECK(recompute_kind_named("selective") == recompute_kind::selective);
  CHECK(recompute_kind_named("none") == recompute_kind::none);
  CHECK(recompute_kind_named("Full") == recompute_kind::custom);
  CHECK(recompute_kind_named("") == recompute_kind::custom);
  CHECK(recompute_mode{.name = "full"}.kind == recompute_kind::custom);
}

TEST_CASE("The order of a layer's modes changes no strategy of a run") {
  random_stream random(5);
  std::vector<vision_language_sample> samples;
  for (int i = 0; i < 400; ++i) {
    const std::int64_t tiles = test::draw(random, 1, 5);
    samples.push_back({tiles, 256 * tiles + test::draw(random, 30, 250)});
  }
  std::vector<layer_cost> chain =
      cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 4});
  for (const bool kinds : {true, false}) {
    if (!kinds)
      for (layer_cost& layer : chain)
        for (mode_cost& mode : layer.modes) mode.kind = recompute_kind::custom;
    const auto planned = [&](std::span<const layer_cost> layers) {
      return plan_run(
          {.samples = samples,
           .chain = layers,
           .stages = 4,
           .data_parallel = 4,
           .global_batch = 64,
           .memory = {.limit = std::int64_t{40} << 30, .reserved = std::int64_t{6} << 30},
           .capacity = loads<2>{10, 4096}});
    };
    const run_result one = planned(chain);
    const run_result two = planned(reversed(chain));
    CHECK(one.unbalanced.epoch.time == two.unbalanced.epoch.time);
    CHECK(one.unbalanced.epoch.peak_memory == two.unbalanced.epoch.peak_memory);
    CHECK(one.published.epoch.time == two.published.epoch.time);
    CHECK(one.planned.epoch.time == two.planned.epoch.time);
    CHECK(one.bound == two.bound);
    REQUIRE(one.ablation.size() == two.ablation.size());
    for (std::size_t k = 0; k < one.ablation.size(); ++k)
      CHECK(one.ablation[k].epoch_time == two.ablation[k].epoch_time);
  }
}
