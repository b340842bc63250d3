// SPDX-License-Identifier: Apache-2.0
// Simulation of 1F1B against its floor: a plain pass over as many operations, one maximum and one
// addition each. Both report operations a second; their ratio is the figure.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/pipeline/simulate.hpp>

using namespace omnibal;

namespace {

stage_times<std::int64_t> uneven_times(std::size_t stages) {
  stage_times<std::int64_t> times;
  for (std::size_t s = 0; s < stages; ++s) {
    times.forward.push_back(static_cast<std::int64_t>(100 + 7 * s));
    times.backward.push_back(static_cast<std::int64_t>(230 - 5 * s));
    if (s + 1 < stages) times.forward_latency.push_back(3);
    if (s + 1 < stages) times.backward_latency.push_back(4);
  }
  return times;
}

void simulate_1f1b(benchmark::State& state) {
  const schedule_shape shape{.stages = static_cast<std::size_t>(state.range(0)),
                             .microbatches = static_cast<std::size_t>(state.range(1))};
  const operation_graph graph(shape);
  const auto times = uneven_times(shape.stages);
  std::vector<std::int64_t> ends;
  for (auto _ : state) benchmark::DoNotOptimize(simulate(graph, times, ends).makespan);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(graph.nodes().size()));
}

void floor_plain_pass(benchmark::State& state) {
  const auto stages = static_cast<std::size_t>(state.range(0));
  const auto operations = 2 * stages * static_cast<std::size_t>(state.range(1));
  std::vector<std::int64_t> durations(operations, 100);
  std::vector<std::int64_t> ends(operations, 0);
  for (auto _ : state) {
    std::int64_t free = 0;
    for (std::size_t k = stages; k < operations; ++k)
      ends[k] = free = std::max(free, ends[k - stages]) + durations[k];
    benchmark::DoNotOptimize(free);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(operations));
}

void prepare_1f1b(benchmark::State& state) {
  const schedule_shape shape{.stages = static_cast<std::size_t>(state.range(0)),
                             .microbatches = static_cast<std::size_t>(state.range(1))};
  for (auto _ : state) benchmark::DoNotOptimize(operation_graph(shape).nodes().size());
  state.SetItemsProcessed(state.iterations() * 2 * state.range(0) * state.range(1));
}

}  // namespace

BENCHMARK(floor_plain_pass)->Args({8, 64});
BENCHMARK(simulate_1f1b)->Args({8, 64})->Args({32, 512});
BENCHMARK(prepare_1f1b)->Args({8, 64});
