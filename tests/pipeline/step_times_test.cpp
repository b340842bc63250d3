// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/step_times.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

/// When the last reduction of a stage ends, after its last backward, by running both in time.
std::int64_t left_of_reductions(const std::vector<pipeline_layer>& layers, layer_range stage) {
  std::int64_t computed = 0;
  std::int64_t reduced = 0;
  for (std::size_t l = stage.end; l-- > stage.begin;) {
    computed += layers[l].backward_time;
    reduced = std::max(reduced, computed) + layers[l].reduction_time;
  }
  return reduced - computed;
}

/// By how much gathers that start before the first forward delay its end.
std::int64_t delay_by_gathers(const std::vector<pipeline_layer>& layers, layer_range stage) {
  std::int64_t gathered = 0;
  std::int64_t computed = 0;
  std::int64_t alone = 0;
  for (std::size_t l = stage.begin; l < stage.end; ++l) {
    gathered += layers[l].gather_time;
    computed = std::max(computed, gathered) + layers[l].forward_time;
    alone += layers[l].forward_time;
  }
  return computed - alone;
}

pipeline_problem random_chain(random_stream& random) {
  pipeline_problem problem;
  const auto layers = static_cast<std::size_t>(test::draw(random, 1, 12));
  for (std::size_t l = 0; l < layers; ++l) {
    pipeline_layer one = test::random_layer(random, 1);
    one.step_time = test::draw(random, 0, 20);
    one.reduction_time = test::draw(random, 0, 90);
    one.gather_time = test::draw(random, 0, 50);
    problem.layers.push_back(one);
  }
  return problem;
}

}  // namespace

TEST_CASE("What stays of overlapped reductions and gathers is what running them leaves") {
  random_stream random(7);
  for (int round = 0; round < 300; ++round) {
    const pipeline_problem problem = random_chain(random);
    const stage_step_times ends(problem);
    for (std::size_t begin = 0; begin < problem.layers.size(); ++begin) {
      std::int64_t overlapped = 0;
      std::int64_t fixed = 0;
      for (std::size_t end = begin + 1; end <= problem.layers.size(); ++end) {
        const layer_range stage{begin, end};
        fixed += problem.layers[end - 1].step_time;
        overlapped += problem.layers[end - 1].reduction_time + problem.layers[end - 1].gather_time;
        const std::int64_t left =
            left_of_reductions(problem.layers, stage) + delay_by_gathers(problem.layers, stage);
        REQUIRE(ends.time(stage) == fixed + left);
        REQUIRE(ends.fixed(stage) == fixed);
        REQUIRE(ends.hidden(stage) == overlapped - left);
      }
    }
  }
}

TEST_CASE("A reduction hides behind the last backward, or behind W alone, on the fastest device") {
  const pipeline_layer layer{.forward_time = 10,
                             .backward_time = 20,
                             .weight_gradient_time = 8,
                             .step_time = 3,
                             .reduction_time = 15};
  pipeline_problem problem{.schedule = {.stages = 1, .microbatches = 2},
                           .layers = std::vector<pipeline_layer>(3, layer)};
  const auto end = [&] {
    return stage_costs(problem, {.cuts = {0, 3}, .modes = {0, 0, 0}})[0].step_time;
  };
  CHECK(end() == 9 + 15);
  problem.time_factor = {{1, 2}};
  CHECK(end() == 9 + 3 * 15 - 2 * 10);
  problem.time_factor.clear();
  problem.schedule.kind = schedules::zero_bubble_h1{};
  CHECK(end() == 9 + 3 * 15 - 2 * 8);
  CHECK(makespan(problem.schedule, stage_costs(problem, {.cuts = {0, 3}, .modes = {0, 0, 0}})) ==
        2 * 3 * 30 + 9 + 3 * 15 - 2 * 8);
}
