// SPDX-License-Identifier: Apache-2.0
// How others plan, beside the exact plan: simulated makespans over the least one, on the nine
// presets. A counter of 0 means that the baseline finds no plan that fits.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/baselines/planners.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/run/layer_binding.hpp>

using namespace omnibal;

namespace {

std::vector<layer_cost> preset_chain(const model_shape& model) {
  return cost_layers(model, device_presets()[0],
                     {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true});
}

/// A preset at (9 tiles, 4096 tokens), in `percent` of the least memory in which any plan fits; 0
/// is no limit.
pipeline_problem preset_problem(const std::vector<layer_cost>& chain, std::size_t stages,
                                std::int64_t percent) {
  const workload typical{.tiles = 7, .tokens = 3000, .squared_tokens = 5'000'000};
  const workload largest{.tiles = 9, .tokens = 4096};
  const schedule_shape shape{.stages = stages, .microbatches = 32};
  pipeline_problem problem = problem_of(chain, shape, typical, largest, {.limit = 0});
  const std::int64_t least = plan_jointly(problem, objectives::bottleneck{}).why.bytes_short;
  problem.memory_limit.assign(stages, least / 100 * percent);
  if (percent == 0) problem.memory_limit.clear();
  return problem;
}

void baselines(benchmark::State& state, std::int64_t percent) {
  const model_shape model = model_presets()[static_cast<std::size_t>(state.range(0))];
  const std::vector<layer_cost> chain = preset_chain(model);
  const pipeline_problem problem =
      preset_problem(chain, static_cast<std::size_t>(state.range(1)), percent);
  std::vector<std::int64_t> parameters;
  for (const layer_cost& one : chain) parameters.push_back(one.parameters);
  const joint_result least = plan_jointly(problem, objectives::makespan{});
  std::vector<evaluated_plan> found;
  for (auto _ : state) found = plan_baselines(problem, parameters);
  state.SetLabel(model.id + ", " + std::string(to_string(least.status)));
  for (const evaluated_plan& one : found)
    state.counters[one.name] =
        one.fits ? static_cast<double>(one.makespan) / least.objective.value() : 0;
}

void add_presets(benchmark::internal::Benchmark* bench) {
  for (std::int64_t model = 0; model < 9; ++model)
    for (const std::int64_t stages : {4, 8}) bench->Args({model, stages});
  bench->Iterations(1)->Unit(benchmark::kMillisecond);
}

}  // namespace

BENCHMARK_CAPTURE(baselines, tight, 110)->Apply(add_presets);
BENCHMARK_CAPTURE(baselines, middle, 150)->Apply(add_presets);
BENCHMARK_CAPTURE(baselines, ample, 0)->Apply(add_presets);
