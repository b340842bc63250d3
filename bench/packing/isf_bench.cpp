// SPDX-License-Identifier: Apache-2.0
// Sampling and filtering with the published stream on 1.2 M samples at (9, 4096), 50 iterations,
// beside its floor: the swaps of all its shuffles, alone, on 32-bit indices. The figure is the
// ratio of the two.
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/numpy_shuffle.hpp>

using namespace omnibal;

namespace {

constexpr std::uint32_t iterations = 50;
constexpr std::uint32_t seed = 1024;
constexpr loads<2> capacity = {9, 4096};
constexpr loads<2> threshold = {9, 3968};

/// Samples shaped like published tables: 1, 3, 4 or 5 tiles of 256 tokens, and some text.
std::vector<loads<2, std::int32_t>> generated_samples(std::size_t count) {
  random_stream random(1);
  std::vector<loads<2, std::int32_t>> samples(count);
  for (auto& sample : samples) {
    const std::uint32_t draw = uniform_below(random, 100);
    const std::int32_t tiles = draw < 9 ? 1 : draw < 43 ? 3 : draw < 44 ? 4 : 5;
    const auto text = static_cast<std::int32_t>(40 + uniform_below(random, 160));
    sample = {tiles, 256 * tiles + text};
  }
  return samples;
}

/// How many samples each pass shuffles, by the definition read literally.
std::vector<std::size_t> shuffled_counts(const std::vector<loads<2, std::int32_t>>& samples) {
  std::vector<std::uint32_t> pool(samples.size());
  std::iota(pool.begin(), pool.end(), 0U);
  std::vector<std::size_t> counts;
  for (std::uint32_t pass = 1; pass <= iterations; ++pass) {
    counts.push_back(pool.size());
    numpy_stream(pass == 1 ? seed : seed + pass - 2).shuffle(std::span(pool));
    std::vector<std::uint32_t> left;
    std::size_t begin = 0;
    loads<2> sum = {0, 0};
    const auto close = [&](std::size_t end) {
      if (sum[0] != threshold[0] && sum[1] < threshold[1])
        left.insert(left.end(), pool.begin() + static_cast<std::ptrdiff_t>(begin),
                    pool.begin() + static_cast<std::ptrdiff_t>(end));
      begin = end;
      sum = {0, 0};
    };
    for (std::size_t i = 0; i < pool.size(); ++i) {
      const auto& sample = samples[pool[i]];
      if (sum[0] + sample[0] > capacity[0] || sum[1] + sample[1] > capacity[1]) close(i);
      sum[0] += sample[0];
      sum[1] += sample[1];
    }
    close(pool.size());
    pool = std::move(left);
  }
  return counts;
}

void floor_masked_swaps(benchmark::State& state) {
  const auto samples = generated_samples(static_cast<std::size_t>(state.range(0)));
  const std::vector<std::size_t> counts = shuffled_counts(samples);
  std::vector<std::uint32_t> indices(samples.size());
  std::iota(indices.begin(), indices.end(), 0U);
  for (auto _ : state) {
    std::uint32_t pass_seed = seed;
    for (const std::size_t count : counts)
      numpy_stream(pass_seed++).shuffle(std::span(indices).first(count));
    benchmark::DoNotOptimize(indices.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(std::accumulate(
                                                   counts.begin(), counts.end(), std::size_t{0})));
}

void isf(benchmark::State& state, isf_stream stream) {
  const auto samples = generated_samples(static_cast<std::size_t>(state.range(0)));
  std::size_t packs = 0;
  for (auto _ : state)
    packs = pack_isf(samples, {.capacity = capacity, .seed = seed},
                     {.iterations = iterations,
                      .stream = stream,
                      .threshold = {threshold.begin(), threshold.end()}})
                .packs.size();
  state.counters["packs"] = static_cast<double>(packs);
}

}  // namespace

BENCHMARK(floor_masked_swaps)->Arg(1'200'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(isf, published, isf_stream::published)
    ->Arg(1'200'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(isf, native, isf_stream::native)->Arg(1'200'000)->Unit(benchmark::kMillisecond);
