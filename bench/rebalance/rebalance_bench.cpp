// SPDX-License-Identifier: Apache-2.0
// Rebalancing steps of four samples per rank, drawn from published tables ($OMNIBAL_SHARED, or
// generated ones like them), beside another algorithm: the largest differencing method, whose part
// k goes to rank k. Counters are means over the steps: cost of the slowest rank / mean, and bytes
// sent / bytes owned.
#include <cstddef>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#include "../../tests/packing/length_tables.hpp"
#include "../../tests/shared/published_tables.hpp"
#include "karmarkar_karp.hpp"
#include "loaded_steps.hpp"

using namespace omnibal;

namespace {

constexpr std::uint32_t samples_per_rank = 4;

struct drawn_steps {
  bool published = false;
  std::vector<rebalance_problem> steps = {};
};

drawn_steps draw_steps(std::uint32_t ranks) {
  constexpr std::size_t count = 200;
  const auto published = published_tables({"ai2d", "chartqa"});
  const length_table table = published ? *published : tiled_table(20'000, 1);
  random_stream random(10, ranks);
  drawn_steps drawn{.published = published.has_value()};
  for (std::size_t k = 0; k < count; ++k)
    drawn.steps.push_back(loaded_step(table, ranks, samples_per_rank, random));
  return drawn;
}

/// A cost as a multiple of the mean, and bytes as a share of all.
struct relative_plan {
  double cost = 0;
  double bytes = 0;
};

relative_plan relative(const rebalance_problem& problem, std::int64_t cost, std::int64_t bytes) {
  double costs = 0;
  double all_bytes = 0;
  for (const owned_sample& sample : problem.samples) {
    costs += static_cast<double>(sample.cost);
    all_bytes += static_cast<double>(sample.bytes);
  }
  return {.cost = static_cast<double>(cost) * problem.ranks / costs,
          .bytes = static_cast<double>(bytes) / all_bytes};
}

void count_mean(benchmark::State& state, const drawn_steps& drawn, const char* name,
                double relative_plan::*figure, const std::vector<relative_plan>& plans) {
  double sum = 0;
  for (const relative_plan& plan : plans) sum += plan.*figure;
  state.counters[name] = sum / static_cast<double>(plans.size());
  state.SetLabel(drawn.published ? "published tables" : "made up tables");
}

void ours(benchmark::State& state) {
  const drawn_steps drawn = draw_steps(static_cast<std::uint32_t>(state.range(0)));
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(rebalance(drawn.steps[next]));
    next = (next + 1) % drawn.steps.size();
  }
  std::vector<relative_plan> chosen, least_cost, bounds;
  for (const rebalance_problem& problem : drawn.steps) {
    const rebalance_result result = rebalance(problem);
    chosen.push_back(relative(problem, result.plan().cost, result.plan().bytes));
    least_cost.push_back(
        relative(problem, result.frontier.back().cost, result.frontier.back().bytes));
    bounds.push_back(relative(problem, result.bound, result.bytes_bound));
  }
  count_mean(state, drawn, "cost", &relative_plan::cost, chosen);
  count_mean(state, drawn, "bytes", &relative_plan::bytes, chosen);
  count_mean(state, drawn, "least_cost", &relative_plan::cost, least_cost);
  count_mean(state, drawn, "least_cost_bytes", &relative_plan::bytes, least_cost);
  count_mean(state, drawn, "bound", &relative_plan::cost, bounds);
  count_mean(state, drawn, "bytes_bound", &relative_plan::bytes, bounds);
}

void peer(benchmark::State& state) {
  const drawn_steps drawn = draw_steps(static_cast<std::uint32_t>(state.range(0)));
  std::vector<std::vector<std::int64_t>> costs;
  for (const rebalance_problem& problem : drawn.steps) {
    costs.emplace_back();
    for (const owned_sample& sample : problem.samples) costs.back().push_back(sample.cost);
  }
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(karmarkar_karp(costs[next], drawn.steps[next].ranks));
    next = (next + 1) % drawn.steps.size();
  }
  std::vector<relative_plan> plans;
  for (std::size_t k = 0; k < costs.size(); ++k) {
    const rebalance_problem& problem = drawn.steps[k];
    const std::vector<std::uint32_t> parts = karmarkar_karp(costs[k], problem.ranks);
    std::int64_t bytes = 0;
    for (std::size_t s = 0; s < parts.size(); ++s)
      if (parts[s] != problem.samples[s].rank) bytes += problem.samples[s].bytes;
    plans.push_back(relative(problem, largest_cost(problem, parts), bytes));
  }
  count_mean(state, drawn, "cost", &relative_plan::cost, plans);
  count_mean(state, drawn, "bytes", &relative_plan::bytes, plans);
}

}  // namespace

BENCHMARK(ours)->Arg(4)->Arg(8)->Arg(64)->Arg(256)->Unit(benchmark::kMicrosecond);
BENCHMARK(peer)->Arg(4)->Arg(8)->Arg(64)->Arg(256)->Unit(benchmark::kMicrosecond);
