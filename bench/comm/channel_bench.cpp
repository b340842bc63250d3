// SPDX-License-Identifier: Apache-2.0
// Communication between ranks that are threads, each beside the way that it replaces: all
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

#include "comm/channel_programs.hpp"

using namespace omnibal;

namespace {

constexpr int repetitions = 8;

/// Prepares what a rank repeats.
using rank_body = std::function<std::function<void()>(thread_communicator&, thread_channel&)>;

/// Seconds of one repetition until the slowest rank has ended, all ranks starting together.
double measure(std::size_t ranks_count, const rank_body& prepare) {
  double seconds = 0;
  run_as_ranks(ranks_count, [&](thread_communicator& ranks) {
    thread_channel channel = open_thread_channel(ranks);
    const std::function<void()> repeated = prepare(ranks, channel);
    repeated();
    barrier(ranks);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i) repeated();
    barrier(ranks);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    if (ranks.rank() == 0) seconds = taken.count() / repetitions;
  });
  return seconds;
}

/// The second argument is the number of ranks.
void run(benchmark::State& state, const rank_body& prepare) {
  const auto ranks_count = static_cast<std::size_t>(state.range(1));
  for (auto _ : state) state.SetIterationTime(measure(ranks_count, prepare));
}

void exchange_fields(benchmark::State& state, bool at_once) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  run(state, [=](thread_communicator& ranks, thread_channel& channel) {
    return channel_programs::exchange(ranks, channel, bytes, at_once);
  });
}
BENCHMARK_CAPTURE(exchange_fields, one_per_field, false)
    ->ArgNames({"bytes", "ranks"})
    ->ArgsProduct({{1 << 16, 1 << 21, 1 << 26}, {2, 4}})
    ->MinTime(0.1)
    ->UseManualTime();
BENCHMARK_CAPTURE(exchange_fields, all_at_once, true)
    ->ArgNames({"bytes", "ranks"})
    ->ArgsProduct({{1 << 16, 1 << 21, 1 << 26}, {2, 4}})
    ->MinTime(0.1)
    ->UseManualTime();

void reduce_gradients(benchmark::State& state, bool in_buckets) {
  const auto count = static_cast<std::size_t>(state.range(0));
  run(state, [=](thread_communicator&, thread_channel& channel) {
    return channel_programs::reduction(channel, count, in_buckets);
  });
}
BENCHMARK_CAPTURE(reduce_gradients, one_per_tensor, false)
    ->ArgNames({"floats", "ranks"})
    ->ArgsProduct({{1 << 12, 1 << 16}, {2, 4}})
    ->MinTime(0.1)
    ->UseManualTime();
BENCHMARK_CAPTURE(reduce_gradients, in_buckets, true)
    ->ArgNames({"floats", "ranks"})
    ->ArgsProduct({{1 << 12, 1 << 16}, {2, 4}})
    ->MinTime(0.1)
    ->UseManualTime();

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
