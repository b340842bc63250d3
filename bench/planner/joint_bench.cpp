// SPDX-License-Identifier: Apache-2.0
// Joint plans of cuts and recomputation: the nine presets, chains of distinct layers, and a family
// of seeded instances for makespans.
#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/run/layer_binding.hpp>

using namespace omnibal;

namespace {

/// A preset at (9 tiles, 4096 tokens) with the memory in which only some layers must recompute.
pipeline_problem preset_problem(const model_shape& model, std::size_t stages) {
  const auto chain =
      cost_layers(model, device_presets()[0],
                  {.tensor_parallel = 2, .data_parallel = 8, .shard_optimizer = true});
  const workload typical{.tiles = 7, .tokens = 3000, .squared_tokens = 5'000'000};
  const workload largest{.tiles = 9, .tokens = 4096};
  const schedule_shape shape{.stages = stages, .microbatches = 32};
  pipeline_problem problem = problem_of(chain, shape, typical, largest, {.limit = 0});
  std::int64_t kept = 0;
  std::int64_t fixed = 0;
  for (const pipeline_layer& one : problem.layers) {
    kept += one.modes.front().saved_bytes;
    fixed += one.static_bytes;
  }
  const auto share = static_cast<std::int64_t>(stages);
  problem.memory_limit.assign(stages, fixed * 3 / (2 * share) + 2 * kept);
  return problem;
}

void presets(benchmark::State& state, const any_objective& objective) {
  const model_shape model = model_presets()[static_cast<std::size_t>(state.range(0))];
  const pipeline_problem problem = preset_problem(model, static_cast<std::size_t>(state.range(1)));
  joint_result found;
  for (auto _ : state) found = plan_jointly(problem, objective);
  state.SetLabel(model.id + ", " + std::string(to_string(found.status)));
  state.counters["gap"] = relative_gap(found.objective.value(), found.bound.value());
}

void distinct_layers(benchmark::State& state, const any_objective& objective) {
  random_stream random(5);
  pipeline_problem problem{
      .schedule = {.stages = static_cast<std::size_t>(state.range(1)), .microbatches = 64}};
  const auto draw = [&](std::int64_t least, std::uint32_t span) {
    return 1009 * (least + uniform_below(random, span));
  };
  std::int64_t kept = 0;
  for (std::int64_t l = 0; l < state.range(0); ++l) {
    pipeline_layer one{.forward_time = draw(5'000, 5'000), .static_bytes = draw(100'000, 50'000)};
    one.backward_time = 2 * one.forward_time;
    const std::int64_t all = draw(300'000, 300'000);
    one.modes = {{.saved_bytes = all},
                 {.extra_time = one.forward_time / 20,
                  .saved_bytes = all * 6 / 10,
                  .transient_bytes = all * 4 / 10},
                 {.extra_time = one.forward_time, .saved_bytes = all / 20, .transient_bytes = all}};
    kept += all;
    problem.layers.push_back(one);
  }
  problem.memory_limit.assign(problem.schedule.stages, kept * 6 / 10);
  joint_result found;
  for (auto _ : state) found = plan_jointly(problem, objective);
  state.SetLabel(std::string(to_string(found.status)));
  state.counters["gap"] = relative_gap(found.objective.value(), found.bound.value());
}

/// Instance `seed` of the family: layers of three kinds of spread (any, nearly equal, repeated),
/// four modes, latencies of none to a third of a layer, times and bytes of unit, 37 and nanosecond
/// scale, memory that binds in four of five.
pipeline_problem family(std::uint64_t seed, any_schedule kind, std::size_t layers,
                        std::size_t stages) {
  random_stream random(seed);
  const auto draw = [&](std::int64_t least, std::int64_t most) {
    return least + uniform_below(random, static_cast<std::uint32_t>(most - least + 1));
  };
  constexpr std::int64_t scales[] = {1, 37, 1'000'003};
  const std::int64_t scale = scales[seed % 3];
  const std::int64_t spread = draw(0, 2);
  const std::int64_t latency = 15 * draw(0, 2);
  pipeline_problem problem{
      .schedule = {.kind = kind,
                   .stages = stages,
                   .microbatches = static_cast<std::size_t>(draw(1, seed % 2 == 0 ? 64 : 8))}};
  std::int64_t kept = 0;
  std::int64_t fixed = 0;
  while (problem.layers.size() < layers) {
    pipeline_layer one;
    if (spread == 2 && !problem.layers.empty() && draw(0, 9) > 0) {
      one = problem.layers.back();
    } else {
      one.forward_time = (spread == 0 ? draw(0, 100) : draw(95, 105)) * scale + draw(0, scale / 3);
      one.backward_time = one.forward_time * draw(1, 3) + draw(0, scale / 3);
      one.weight_gradient_time = one.backward_time / 2;
      one.static_bytes = draw(0, 50) * scale;
      one.forward_latency = draw(0, latency) * scale;
      one.backward_latency = draw(0, latency) * scale;
      const std::int64_t all = draw(20, 60) * scale;
      one.modes = {
          {.saved_bytes = all},
          {.extra_time = one.forward_time / 10,
           .saved_bytes = all * 6 / 10,
           .transient_bytes = all * 4 / 10},
          {.extra_time = one.forward_time * 6 / 10,
           .saved_bytes = all * 3 / 10,
           .transient_bytes = all * 4 / 10},
          {.extra_time = one.forward_time, .saved_bytes = all / 20, .transient_bytes = all}};
    }
    kept += one.modes.front().saved_bytes;
    fixed += one.static_bytes;
    problem.layers.push_back(one);
  }
  if (seed % 5 > 0)
    problem.memory_limit.assign(
        stages, 2 * fixed / static_cast<std::int64_t>(stages) + kept * draw(2, 12) / 10);
  return problem;
}

/// A hundred instances: how many are proven optimal, the longest time and the largest gap.
void seeded_family(benchmark::State& state, any_schedule kind) {
  int plans = 0;
  int optimal = 0;
  double longest = 0;
  double gap = 0;
  for (auto _ : state)
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      const pipeline_problem problem = family(seed, kind, static_cast<std::size_t>(state.range(0)),
                                              static_cast<std::size_t>(state.range(1)));
      const auto start = std::clock();
      const joint_result found = plan_jointly(problem, objectives::makespan{});
      longest = std::max(longest, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      if (found.plan.cuts.empty()) continue;
      ++plans;
      optimal += found.status == search_status::optimal;
      gap = std::max(gap, relative_gap(found.objective.value(), found.bound.value()));
    }
  state.counters["plans"] = plans;
  state.counters["optimal"] = optimal;
  state.counters["longest_s"] = longest;
  state.counters["largest_gap"] = gap;
}

void add_presets(benchmark::internal::Benchmark* bench) {
  for (std::int64_t model = 0; model < 9; ++model)
    for (const std::int64_t stages : {4, 8, 16}) bench->Args({model, stages});
}

}  // namespace

BENCHMARK_CAPTURE(presets, bottleneck, objectives::bottleneck{})
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(presets, closed_form, objectives::closed_form{})
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(presets, period, objectives::period{})
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(presets, makespan, objectives::makespan{})
    ->Apply(add_presets)
    ->Unit(benchmark::kMillisecond);
#define DISTINCT_LAYERS(objective)                                       \
  BENCHMARK_CAPTURE(distinct_layers, objective, objectives::objective{}) \
      ->Args({32, 8})                                                    \
      ->Args({95, 16})                                                   \
      ->Args({128, 32})                                                  \
      ->Unit(benchmark::kMillisecond)

DISTINCT_LAYERS(bottleneck);
DISTINCT_LAYERS(closed_form);
DISTINCT_LAYERS(period);
DISTINCT_LAYERS(makespan);
DISTINCT_LAYERS(variance);

#define SEEDED_FAMILY(name, kind)              \
  BENCHMARK_CAPTURE(seeded_family, name, kind) \
      ->Args({24, 4})                          \
      ->Args({32, 8})                          \
      ->Iterations(1)                          \
      ->Unit(benchmark::kMillisecond)

SEEDED_FAMILY(gpipe, schedules::gpipe{});
SEEDED_FAMILY(one_forward_one_backward, schedules::one_forward_one_backward{});
SEEDED_FAMILY(zero_bubble_h1, schedules::zero_bubble_h1{});
