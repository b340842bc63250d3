// SPDX-License-Identifier: Apache-2.0
// Joint plans of cuts and recomputation: the nine presets, and chains of distinct layers.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <omnibal/core/random.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/planner/joint.hpp>
#include <omnibal/planner/stage_model.hpp>
#include <string>
#include <vector>

using namespace omnibal;

namespace {

/// A preset at (9 tiles, 4096 tokens) with the memory in which only some layers must recompute.
pipeline_problem preset_problem(const model_shape& model, std::size_t stages) {
  const auto chain =
      price_layers(model, device_presets()[0],
                   {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true});
  const workload typical{.tiles = 7, .tokens = 3000, .squared_tokens = 5'000'000};
  const workload largest{.tiles = 9, .tokens = 4096};
  const schedule_shape shape{.stages = stages, .microbatches = 32};
  pipeline_problem problem = problem_of(chain, shape, typical, largest, {.limit = 0});
  std::int64_t kept = 0;
  std::int64_t fixed = 0;
  for (const layer& one : problem.layers) {
    kept += one.modes.front().kept_bytes;
    fixed += one.static_bytes;
  }
  const auto share = static_cast<std::int64_t>(stages);
  problem.memory_limit.assign(stages, fixed * 3 / (2 * share) + 2 * kept);
  return problem;
}

void presets(benchmark::State& state, plan_objective objective) {
  const model_shape model = model_presets()[static_cast<std::size_t>(state.range(0))];
  const pipeline_problem problem = preset_problem(model, static_cast<std::size_t>(state.range(1)));
  search_status status{};
  for (auto _ : state) status = plan_jointly(problem, objective).status;
  state.SetLabel(model.id + ", " + std::string(to_string(status)));
}

void distinct_layers(benchmark::State& state, plan_objective objective) {
  random_stream random(5);
  pipeline_problem problem{
      .schedule = {.stages = static_cast<std::size_t>(state.range(1)), .microbatches = 64}};
  const auto draw = [&](std::int64_t least, std::uint32_t span) {
    return 1009 * (least + uniform_below(random, span));
  };
  std::int64_t kept = 0;
  for (std::int64_t l = 0; l < state.range(0); ++l) {
    layer one{.forward_time = draw(5'000, 5'000), .static_bytes = draw(100'000, 50'000)};
    one.backward_time = 2 * one.forward_time;
    const std::int64_t all = draw(300'000, 300'000);
    one.modes = {{.kept_bytes = all},
                 {.extra_time = one.forward_time / 20,
                  .kept_bytes = all * 6 / 10,
                  .transient_bytes = all * 4 / 10},
                 {.extra_time = one.forward_time, .kept_bytes = all / 20, .transient_bytes = all}};
    kept += all;
    problem.layers.push_back(one);
  }
  problem.memory_limit.assign(problem.schedule.stages, kept * 6 / 10);
  search_status status{};
  for (auto _ : state) status = plan_jointly(problem, objective).status;
  state.SetLabel(std::string(to_string(status)));
}

void add_presets(benchmark::internal::Benchmark* bench) {
  for (std::int64_t model = 0; model < 9; ++model)
    for (const std::int64_t stages : {4, 8, 16}) bench->Args({model, stages});
}

}  // namespace

BENCHMARK_CAPTURE(presets, bottleneck, plan_objective::bottleneck)
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(presets, closed_form, plan_objective::closed_form)
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(distinct_layers, bottleneck, plan_objective::bottleneck)
    ->Args({32, 8})
    ->Args({95, 16})
    ->Args({128, 32})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(distinct_layers, closed_form, plan_objective::closed_form)
    ->Args({32, 8})
    ->Args({95, 16})
    ->Args({128, 32})
    ->Unit(benchmark::kMillisecond);
