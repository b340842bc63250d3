// SPDX-License-Identifier: Apache-2.0
// The order of micro-batches: what the search gains over the order given, and how far its bound is.
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatch_order_search.hpp>

using namespace omnibal;

namespace {

/// Micro-batches of 1 … 9 tiles and 1000 … 4095 tokens, one sample each.
epoch_load random_load(std::size_t microbatches, std::uint64_t seed) {
  random_stream random(seed);
  epoch_load load{.ranks = 1};
  for (std::size_t k = 0; k < microbatches; ++k) {
    const std::int64_t tokens = 1000 + uniform_below(random, 3096);
    load.microbatches.push_back({.tiles = 1 + uniform_below(random, 9),
                                 .tokens = tokens,
                                 .squared_tokens = tokens * tokens});
  }
  return load;
}

/// Twenty loads on a preset whose layers are cut for the mean micro-batch.
void order(benchmark::State& state) {
  constexpr std::uint64_t loads = 20;
  const model_shape model = model_presets()[static_cast<std::size_t>(state.range(0))];
  const auto stages = static_cast<std::size_t>(state.range(1));
  const auto microbatches = static_cast<std::size_t>(state.range(2));
  const auto chain =
      cost_layers(model, device_presets()[0],
                  {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true});
  const schedule_shape shape{.stages = stages, .microbatches = microbatches};
  const operation_graph graph(shape);
  const std::vector<std::int64_t> no_steps(stages, 0);
  std::vector<std::uint32_t> ids(microbatches);
  std::iota(ids.begin(), ids.end(), 0U);
  double gain = 0;
  double gap = 0;
  for (auto _ : state) {
    gain = gap = 0;
    for (std::uint64_t seed = 0; seed < loads; ++seed) {
      const epoch_load load = random_load(microbatches, seed);
      pipeline_problem problem =
          problem_of(chain, shape, load.mean_microbatch(), load.largest(), {});
      problem.memory_limit.clear();
      problem.reserved.clear();
      const joint_result plan = plan_jointly(problem, objectives::closed_form{});
      microbatch_times times;
      times.evaluate(stage_models(chain, plan.plan), load, ids, microbatches);
      const microbatch_order_result found =
          search_microbatch_order(graph, times, microbatches, no_steps);
      gain += 1 - static_cast<double>(found.objective) / static_cast<double>(found.given);
      gap += relative_gap(static_cast<double>(found.objective), static_cast<double>(found.bound));
    }
  }
  state.SetLabel(model.id);
  state.counters["mean_gain"] = gain / loads;
  state.counters["mean_gap"] = gap / loads;
}

}  // namespace

BENCHMARK(order)->ArgsProduct({{0, 4, 7}, {4, 8}, {4, 16, 32}})->Unit(benchmark::kMillisecond);
