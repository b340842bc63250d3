// SPDX-License-Identifier: Apache-2.0
// Communication between two ranks that are threads, each beside the way that it replaces: all
// fields of a balanced exchange in one all_to_all beside one per field, gradients in buckets beside
// one reduction per tensor. And what a watchdog costs while nothing is late.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/comm.hpp>

using namespace omnibal;

namespace {

constexpr std::size_t ranks_count = 2;
constexpr int repetitions = 8;

/// Prepares what a rank repeats.
using rank_body = std::function<std::function<void()>(thread_communicator&, thread_channel&)>;

/// Seconds of one repetition on rank 0, all ranks starting together.
double measure(const rank_body& prepare) {
  double seconds = 0;
  run_as_ranks(ranks_count, [&](thread_communicator& ranks) {
    thread_channel channel = open_thread_channel(ranks);
    const std::function<void()> repeated = prepare(ranks, channel);
    repeated();
    barrier(ranks);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i) repeated();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    if (ranks.rank() == 0) seconds = taken.count() / repetitions;
  });
  return seconds;
}

void run(benchmark::State& state, const rank_body& prepare) {
  for (auto _ : state) state.SetIterationTime(measure(prepare));
}

/// Rank 0 has all of 64 samples, of eight fields each; half of them move.
void exchange_fields(benchmark::State& state, bool at_once) {
  constexpr std::size_t fields = 8;
  constexpr std::size_t count = 64;
  const auto bytes = static_cast<std::size_t>(state.range(0)) / (fields * count);
  run(state, [=](thread_communicator& ranks, thread_channel& channel) {
    const std::size_t own = ranks.rank() == 0 ? count : 0;
    exchange_samples samples{
        .costs = std::vector<std::int64_t>(own, 1),
        .bytes = std::vector<std::vector<std::int64_t>>(
            fields, std::vector<std::int64_t>(own, static_cast<std::int64_t>(bytes)))};
    exchange_plan plan = plan_exchange(ranks, samples);
    std::vector<std::byte> values(own * bytes);
    return [=, &channel, plan = std::move(plan), values = std::move(values)] {
      std::vector<field_bytes> all;
      for (std::size_t f = 0; f < fields; ++f) all.push_back({f, values});
      if (at_once) {
        benchmark::DoNotOptimize(exchange(channel, plan, all));
        return;
      }
      for (const field_bytes& field : all)
        benchmark::DoNotOptimize(exchange(channel, plan, std::span(&field, 1)));
    };
  });
}
BENCHMARK_CAPTURE(exchange_fields, one_per_field, false)
    ->RangeMultiplier(32)
    ->Range(1 << 16, 1 << 26)
    ->UseManualTime();
BENCHMARK_CAPTURE(exchange_fields, all_at_once, true)
    ->RangeMultiplier(32)
    ->Range(1 << 16, 1 << 26)
    ->UseManualTime();

/// Tensors of as many floats as given, 8 Mi of them in all.
void reduce_gradients(benchmark::State& state, bool in_buckets) {
  constexpr std::size_t total = 1U << 23U;
  const auto count = static_cast<std::size_t>(state.range(0));
  run(state, [=](thread_communicator&, thread_channel& channel) {
    return [=, &channel, values = std::vector<float>(total)]() mutable {
      const std::vector<std::size_t> counts(total / count, count);
      if (in_buckets) {
        gradient_buckets<thread_channel> buckets(channel, view_of(values), counts);
        for (std::size_t p = counts.size(); p-- > 0;) buckets.ready(p);
        buckets.finish();
        return;
      }
      std::vector<thread_channel::ticket> tickets;
      for (std::size_t p = counts.size(); p-- > 0;)
        tickets.push_back(
            channel.all_reduce(view_of(values).part(p * count, count), reduction::sum));
      for (thread_channel::ticket& each : tickets) each.wait();
    };
  });
}
BENCHMARK_CAPTURE(reduce_gradients, one_per_tensor, false)
    ->Arg(1 << 12)
    ->Arg(1 << 16)
    ->UseManualTime();
BENCHMARK_CAPTURE(reduce_gradients, in_buckets, true)->Arg(1 << 12)->Arg(1 << 16)->UseManualTime();

/// Microseconds of computation per second of a watchdog over as many channels that are idle, looked
/// at every 100 ms or 10 ms. Their records are full.
void watchdog_idle(benchmark::State& state) {
  auto channels = make_thread_channels(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> nothing;
  for (std::size_t i = 0; i < flight_recorder::capacity; ++i) {
    std::vector<thread_channel::ticket> tickets;
    for (thread_channel& each : channels) tickets.push_back(each.broadcast(view_of(nothing), 0));
    for (bool is_done = false; !is_done;) {
      is_done = true;
      for (auto& each : tickets) is_done = each.done() && is_done;
    }
  }
  channel_watchdog watchdog(
      {.deadline = std::chrono::hours(1), .interval = std::chrono::milliseconds(state.range(1))});
  for (const thread_channel& channel : channels) watchdog.watch(channel);
  std::clock_t computed = 0;
  for (auto _ : state) {
    const std::clock_t begin = std::clock();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    computed += std::clock() - begin;
  }
  state.counters["us_per_s"] = 1e6 * static_cast<double>(computed) / CLOCKS_PER_SEC /
                               static_cast<double>(state.iterations());
}
BENCHMARK(watchdog_idle)
    ->Args({1, 100})
    ->Args({64, 100})
    ->Args({64, 10})
    ->Iterations(5)
    ->UseRealTime();

}  // namespace
