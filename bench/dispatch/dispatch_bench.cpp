// SPDX-License-Identifier: Apache-2.0
// Assigning packs to ranks: time and cost ratio of a step at 64 ranks of 8 packs, beside how
// others do it; windows of steps with one pack per rank; groups for sequence parallelism; the
// iterator. Packs are those of two published tables where they lie beside the project, else of a
// generated one.
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/epoch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "../../tests/packing/length_tables.hpp"
#include "../../tests/shared/published_tables.hpp"
#include "peers.hpp"

using namespace omnibal;

namespace {

constexpr std::uint32_t microbatches = 8;

/// Packs and what they cost: MFLOP of the forward pass of InternVL 6 + 20 B.
struct packs_with_costs {
  std::vector<loads<2>> amounts;
  std::vector<std::uint64_t> costs = {};
  std::string table = {};
};

packs_with_costs packs_at(const loads<2>& capacity) {
  constexpr loads<2> cost{12'000'000, 38'600};
  const auto published = published_tables({"ai2d", "chartqa"});
  const length_table samples = published ? *published : tiled_table(30'730, 1);
  const auto packs = pack_balanced(samples, {.capacity = capacity, .cost = cost}).packs;
  packs_with_costs made{.amounts = pack_loads(packs, samples),
                        .table = published ? "published" : "generated"};
  for (std::size_t k = 0; k < packs.size(); ++k) {
    std::int64_t squares = 0;
    for (const std::uint32_t id : packs[k]) squares += samples[id][1] * samples[id][1];
    made.costs.push_back(static_cast<std::uint64_t>(
        cost[0] * made.amounts[k][0] + cost[1] * made.amounts[k][1] + squares * 59 / 100));
  }
  return made;
}

packs_with_costs packs_of(const benchmark::State& state) {
  return state.range(0) == 9 ? packs_at({9, 4096}) : packs_at({18, 6016});
}

std::span<const std::uint64_t> costs_of(const packs_with_costs& packs) { return packs.costs; }

void label(benchmark::State& state, const packs_with_costs& packs, const dispatch_plan& plan) {
  state.SetLabel(packs.table);
  state.counters["cost_ratio"] = cost_ratio(plan, costs_of(packs));
  state.counters["full_steps"] = full_steps_cost_ratio(plan, costs_of(packs));
  state.counters["bound"] = cost_ratio_bound(plan, costs_of(packs));
  state.counters["step"] = benchmark::Counter(
      static_cast<double>(plan.steps()),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void ours(benchmark::State& state) {
  const packs_with_costs packs = packs_of(state);
  const dispatch_options options{
      .ranks = static_cast<std::uint32_t>(state.range(1)),
      .microbatches = microbatches,
      .last_step = state.range(2) == 0 ? last_step_policy::drop : last_step_policy::spread};
  dispatch_plan plan;
  for (auto _ : state) plan = dispatch_packs(costs_of(packs), options);
  label(state, packs, plan);
}

/// The same steps, full ones only, assigned by another.
template <typename Assign>
void peer(benchmark::State& state, const Assign& assign) {
  const packs_with_costs packs = packs_of(state);
  const auto ranks = static_cast<std::uint32_t>(state.range(1));
  const dispatch_plan steps = dispatch_packs(
      costs_of(packs),
      {.ranks = 1, .microbatches = ranks * microbatches, .last_step = last_step_policy::drop});
  dispatch_plan plan;
  for (auto _ : state) {
    plan = {.ranks = ranks};
    for (std::uint64_t step = 0; step < steps.steps(); ++step)
      for (const auto& assigned : assign(steps.packs(step), ranks, packs.costs))
        plan.groups.append(assigned);
  }
  label(state, packs, plan);
}

void at_random(benchmark::State& state) {
  peer(state,
       [](auto packs, std::size_t ranks, const auto&) { return peers::in_order(packs, ranks); });
}

void snake(benchmark::State& state) {
  peer(state, [](auto packs, std::size_t ranks, const auto& costs) {
    return peers::snake(packs, ranks, costs);
  });
}

void karmarkar_karp(benchmark::State& state) {
  peer(state, [](auto packs, std::size_t ranks, const auto& costs) {
    return peers::largest_differencing(costs)(packs, ranks);
  });
}

/// One pack a rank, in windows.
void window(benchmark::State& state) {
  const packs_with_costs packs = packs_of(state);
  const dispatch_options options{.ranks = static_cast<std::uint32_t>(state.range(1)),
                                 .last_step = last_step_policy::drop,
                                 .window = static_cast<std::uint32_t>(state.range(2))};
  dispatch_plan plan;
  for (auto _ : state) plan = dispatch_packs(costs_of(packs), options);
  label(state, packs, plan);
  state.counters["deviation"] = draw_deviation(plan, costs_of(packs));
}

/// Groups of packs, one for each of 8 ranks in a step: how uneven they are in both resources.
void sequence_parallel(benchmark::State& state, bool leveled) {
  const packs_with_costs packs = packs_of(state);
  const auto size = static_cast<std::uint32_t>(state.range(1));
  const std::span<const loads<2>> amounts(packs.amounts);
  const auto alike = [](std::size_t) { return 0; };
  grouping<std::uint32_t> groups;
  for (auto _ : state)
    groups = leveled ? group_packs(amounts, {.size = size})
                     : dispatch_packs(amounts.size(), alike, {.microbatches = size}).groups;
  const auto sums = pack_loads(groups, packs.amounts);
  const auto plan =
      dispatch_packs(sums.size(), alike, {.ranks = 8, .last_step = last_step_policy::drop});
  const auto ratios = dist_ratio(plan, std::span<const loads<2>>(sums));
  state.counters["dist_tiles"] = ratios[0];
  state.counters["dist_tokens"] = ratios[1];
}

/// A step of the iterator beside what it hands out.
void iterate(benchmark::State& state) {
  const packs_with_costs packs = packs_at({9, 4096});
  const auto plan_for = [&](std::uint64_t epoch) {
    grouping<std::uint32_t> ids;
    for (std::uint32_t pack = 0; pack < packs.amounts.size(); ++pack) ids.append({&pack, 1});
    return epoch_plan{.packs = std::move(ids),
                      .plan = dispatch_packs(costs_of(packs), {.ranks = 64, .epoch = epoch})};
  };
  epoch_iterator run(plan_for);
  const epoch_state begin = run.state();
  for (auto _ : state) {
    benchmark::DoNotOptimize(run.packs(7));
    run.advance();
    if (!run.done()) continue;
    state.PauseTiming();
    run.restore(begin);
    state.ResumeTiming();
  }
}

}  // namespace

BENCHMARK(ours)->ArgsProduct({{18, 9}, {8, 64}, {0, 1}})->Unit(benchmark::kMillisecond);
BENCHMARK(at_random)->ArgsProduct({{18, 9}, {8, 64}})->Unit(benchmark::kMillisecond);
BENCHMARK(snake)->ArgsProduct({{18, 9}, {8, 64}})->Unit(benchmark::kMillisecond);
BENCHMARK(karmarkar_karp)->ArgsProduct({{18, 9}, {8, 64}})->Unit(benchmark::kMillisecond);
BENCHMARK(window)
    ->ArgsProduct({{18, 9}, {8, 64}, {1, 2, 4, 8, 16, 64}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sequence_parallel, leveled, true)
    ->ArgsProduct({{18, 9}, {2, 4, 8}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(sequence_parallel, random, false)
    ->ArgsProduct({{18, 9}, {2, 4, 8}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(iterate);
