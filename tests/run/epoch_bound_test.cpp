// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/detail/epoch_bound.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

linear_cost nanoseconds(std::int64_t time) { return {.constant = time << fixed_point_bits}; }

linear_cost per_token(std::int64_t time) { return {.per_token = time << fixed_point_bits}; }

layer_cost drawn_layer(random_stream& random) {
  layer_cost layer{
      .forward_time = nanoseconds(test::draw(random, 0, 3)) + per_token(test::draw(random, 0, 4)),
      .step_time = test::draw(random, 0, 6)};
  layer.backward_time = layer.forward_time + layer.forward_time;
  layer.weight_gradient_time = layer.forward_time;
  layer.modes = {{}};
  return layer;
}

/// One rank with one micro-batch per sample, in steps of as many samples.
epoch_load load_of(const std::vector<loads<2>>& samples, std::size_t per_step) {
  epoch_load load{.ranks = 1};
  for (std::size_t k = 0; k < samples.size(); ++k) {
    load.microbatches.push_back(sample_workload(samples[k][0], samples[k][1]));
    load.assignment.push_back(static_cast<std::uint32_t>(k));
    if ((k + 1) % per_step == 0 || k + 1 == samples.size()) load.assignment.close_group();
  }
  return load;
}

std::int64_t epoch_time(const std::vector<layer_cost>& chain, const schedule_shape& schedule,
                        const epoch_load& load, const std::vector<std::size_t>& cuts) {
  const std::vector<layer_cost> layers = chain_under(schedule.kind, chain);
  const pipeline_plan plan{.cuts = cuts, .modes = std::vector<std::size_t>(chain.size(), 0)};
  return simulate_epoch(stage_models(layers, plan), schedule, load).time;
}

}  // namespace

TEST_CASE("No partition under any schedule is below the bound of the epoch") {
  random_stream random(5, 12);
  for (int round = 0; round < 60; ++round) {
    std::vector<layer_cost> chain;
    for (std::int64_t l = test::draw(random, 1, 6); l >= 0; --l)
      chain.push_back(drawn_layer(random));
    std::vector<loads<2>> samples;
    for (std::int64_t k = test::draw(random, 0, 7); k >= 0; --k)
      samples.push_back({0, test::draw(random, 1, 5)});
    const auto per_step = static_cast<std::size_t>(test::draw(random, 1, 8));
    const epoch_load load = load_of(samples, per_step);
    for (const any_schedule& kind : all_schedules)
      for (std::size_t p = 1; p <= 4; ++p)
        for (std::size_t v = kind.capabilities().least_virtual_stages;
             v <= std::min<std::size_t>(3, kind.capabilities().most_virtual_stages); ++v) {
          if (p * v > chain.size()) continue;
          const schedule_shape schedule{
              .kind = kind, .stages = p, .virtual_stages = v, .microbatches = p * per_step};
          const detail::epoch_bound bound =
              detail::bound_epoch({.samples = samples,
                                   .chain = chain,
                                   .splits_backward = schedule.splits_backward(),
                                   .devices = p,
                                   .ranks = 1,
                                   .steps = load.steps()});
          CHECK(bound.fill_and_drain >= 0);
          CHECK(bound.fill_and_drain <= bound.time);
          test::for_each_partition(chain.size(), p * v, [&](const auto& cuts) {
            CHECK(bound.time <= epoch_time(chain, schedule, load, cuts));
          });
        }
  }
}

TEST_CASE("The bound of an epoch is reached where devices only wait for first and last") {
  std::vector<layer_cost> chain(2);
  chain[0].forward_time = chain[0].backward_time = per_token(2);
  chain[1].forward_time = chain[1].backward_time = per_token(1);
  for (layer_cost& layer : chain) layer.modes = {{}};
  const std::vector<loads<2>> samples = {{0, 1}, {0, 1}};
  const detail::epoch_bound bound = detail::bound_epoch(
      {.samples = samples, .chain = chain, .devices = 2, .ranks = 1, .steps = 1});
  CHECK(bound.time == 8);
  CHECK(bound.fill_and_drain == 2);
  CHECK(epoch_time(chain, {.stages = 2, .microbatches = 2}, load_of(samples, 2), {0, 1, 2}) == 8);
}
