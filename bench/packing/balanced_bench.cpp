// SPDX-License-Identifier: Apache-2.0
// The balanced packer on samples drawn from the published tables (from a table shaped like them
// where those are not there), beside its floor: one shuffle of the 32-bit indices and one gather of
// the loads. The figures are the ratio of the two, packs over the bound, the variation of the
// packs' costs, and the resident bytes a sample that packing needs beside its input, the result
// included (true of large tables, whose memory goes back to the system at once).
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#include "packing/length_tables.hpp"
#include "shared/published_tables.hpp"

using namespace omnibal;

namespace {

/// The most bytes that were resident since the last forget_most_resident().
std::int64_t most_resident() {
  std::ifstream status("/proc/self/status");
  std::int64_t kibibytes = 0;
  for (std::string word; status >> word;)
    if (word == "VmHWM:") status >> kibibytes;
  return kibibytes * 1024;
}
void forget_most_resident() { std::ofstream("/proc/self/clear_refs") << 5; }

using sample_table = std::vector<loads<2, std::int32_t>>;

/// Draws with replacement from ai2d and chartqa.
sample_table tiled_samples(std::size_t count) {
  const auto published = published_tables({"ai2d", "chartqa"});
  const length_table source = published ? *published : tiled_table(30'000, 1);
  random_stream random(2);
  sample_table samples(count);
  for (auto& sample : samples) {
    const auto& drawn = source[uniform_below(random, static_cast<std::uint32_t>(source.size()))];
    sample = {static_cast<std::int32_t>(drawn[0]), static_cast<std::int32_t>(drawn[1])};
  }
  return samples;
}

/// A text-only row: log-normal tokens, median 350, σ = 1, clipped to 20 … 4000.
std::int32_t text_tokens(random_stream& random) {
  const auto uniform = [&] { return (random() + 0.5) / 4294967296.0; };
  const double normal = std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307 * uniform());
  return static_cast<std::int32_t>(std::clamp(std::round(350 * std::exp(normal)), 20.0, 4000.0));
}

/// Half tiled samples, half text-only rows.
sample_table mixed_samples(std::size_t count) {
  sample_table samples = tiled_samples(count);
  random_stream random(3);
  for (std::size_t k = 0; k < count; k += 2) samples[k] = {0, text_tokens(random)};
  return samples;
}

std::vector<loads<1, std::int32_t>> text_samples(std::size_t count) {
  random_stream random(4);
  std::vector<loads<1, std::int32_t>> samples(count);
  for (auto& sample : samples) sample = {text_tokens(random)};
  return samples;
}

template <typename Samples>
void floor_of(benchmark::State& state, Samples (*make)(std::size_t)) {
  const auto samples = make(static_cast<std::size_t>(state.range(0)));
  std::vector<std::uint32_t> indices(samples.size());
  std::iota(indices.begin(), indices.end(), 0U);
  auto gathered = samples;
  random_stream random(1);
  for (auto _ : state) {
    shuffle_fast(std::span(indices), random);
    for (std::size_t k = 0; k < indices.size(); ++k) gathered[k] = samples[indices[k]];
    benchmark::DoNotOptimize(gathered.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

/// Standard deviation / mean of what packs cost: tiles, tokens and squared tokens of InternVL 6+20B
/// in millions of operations.
double cost_variation(const packing_result& result, const sample_table& samples) {
  double sum = 0;
  double squares = 0;
  for (std::size_t k = 0; k < result.packs.size(); ++k) {
    double cost = 0;
    for (const std::uint32_t id : result.packs[k]) {
      const double tokens = samples[id][1];
      cost += 12.0e6 * samples[id][0] + 38.6e3 * tokens + 0.59 * tokens * tokens;
    }
    sum += cost;
    squares += cost * cost;
  }
  const double mean = sum / static_cast<double>(result.packs.size());
  return std::sqrt(squares / static_cast<double>(result.packs.size()) - mean * mean) / mean;
}
double cost_variation(const packing_result&, const std::vector<loads<1, std::int32_t>>&) {
  return 0;
}

template <typename Samples, std::size_t Resources>
void balanced(benchmark::State& state, Samples (*make)(std::size_t), loads<Resources> capacity,
              unsigned threads = 1) {
  const auto samples = make(static_cast<std::size_t>(state.range(0)));
  packing_result result;
  std::int64_t beside = 0;
  std::uint64_t epoch = 0;
  for (auto _ : state) {
    result = {};
    forget_most_resident();
    const std::int64_t before = most_resident();
    result = pack_balanced(samples, {.capacity = capacity, .epoch = epoch++, .threads = threads});
    beside = std::max(beside, most_resident() - before);
  }
  const auto count = static_cast<double>(samples.size());
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["packs"] = static_cast<double>(result.packs.size());
  state.counters["over_bound"] =
      static_cast<double>(result.packs.size()) / static_cast<double>(result.bound);
  state.counters["cost_variation"] = cost_variation(result, samples);
  state.counters["bytes_a_sample"] = static_cast<double>(beside) / count;
}

/// By rounds.
void level_mixed(benchmark::State& state) {
  const auto samples = mixed_samples(2'400'000);
  const loads<2> capacity{10, 4096};
  packing_result result = pack_balanced(samples, {.capacity = capacity, .threads = 1});
  const grouping<std::uint32_t> packs = result.packs;
  for (auto _ : state)
    result.packs = improve_by_swaps(
        packs, samples,
        {.capacity = capacity, .rounds = static_cast<std::uint32_t>(state.range(0))});
  state.counters["cost_variation"] = cost_variation(result, samples);
}

}  // namespace

BENCHMARK_CAPTURE(floor_of, tiled, tiled_samples)
    ->Arg(1'000'000)
    ->Arg(1'200'000)
    ->Arg(12'000'000)
    ->Arg(100'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, 9, tiled_samples, loads<2>{9, 4096})
    ->Arg(1'200'000)
    ->Arg(12'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, 13, tiled_samples, loads<2>{13, 4416})
    ->Arg(1'200'000)
    ->Arg(12'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, 18, tiled_samples, loads<2>{18, 6016})
    ->Arg(1'000'000)
    ->Arg(1'200'000)
    ->Arg(12'000'000)
    ->Arg(100'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, 18 by all threads, tiled_samples, loads<2>{18, 6016}, 0U)
    ->Arg(12'000'000)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(floor_of, mixed, mixed_samples)
    ->Arg(2'400'000)
    ->Arg(12'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, mixed, mixed_samples, loads<2>{10, 4096})
    ->Arg(2'400'000)
    ->Arg(12'000'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(level_mixed)->Arg(1)->Arg(16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(floor_of, text, text_samples)->Arg(1'200'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, text, text_samples, loads<1>{4096})
    ->Arg(1'200'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(balanced, text in long packs, text_samples, loads<1>{32768})
    ->Arg(1'200'000)
    ->Unit(benchmark::kMillisecond);
