// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/cost/presets.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/step_timeline.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

struct small_run {
  std::vector<vision_language_sample> samples = {};
  std::vector<layer_cost> chain =
      cost_layers(model_presets()[3], device_presets()[0], {.data_parallel = 4});
  run_result plan = {};

  small_run() {
    random_stream random(7);
    for (int i = 0; i < 500; ++i) {
      const std::int64_t tiles = test::draw(random, 1, 5);
      samples.push_back({tiles, 256 * tiles + test::draw(random, 30, 250)});
    }
    plan = plan_run({.samples = samples,
                     .chain = chain,
                     .stages = 4,
                     .data_parallel = 4,
                     .global_batch = 64,
                     .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
                     .capacity = loads<2>{10, 4096}});
  }
};

}  // namespace

TEST_CASE("the slowest rank's timeline and the end of its stages make up the simulated step") {
  const small_run run;
  for (const run_strategy* strategy : {&run.plan.unbalanced, &run.plan.planned}) {
    const std::size_t ranks = strategy->data.load.ranks;
    std::int64_t sum = 0;
    for (std::size_t step = 0; step < strategy->data.load.steps(); ++step) {
      std::int64_t slowest = 0;
      for (std::size_t rank = 0; rank < ranks; ++rank)
        slowest = std::max(slowest, step_timeline(*strategy, run.chain, step, rank).end());
      sum += slowest;
    }
    CHECK(sum <= strategy->epoch.time);
    CHECK(sum > strategy->epoch.time / 2);
  }
}

TEST_CASE("a strategy that recomputes everything shows it in every backward of its layers") {
  const small_run run;
  const timeline step = step_timeline(run.plan.unbalanced, run.chain);
  REQUIRE_FALSE(step.bars.empty());
  CHECK(step.devices == 4);
  for (const timeline_bar& bar : step.bars) {
    CHECK(bar.recomputed <= bar.end - bar.begin);
    CHECK((bar.recomputed > 0) == (bar.work.kind == operation_kind::backward));
  }
}
