// SPDX-License-Identifier: Apache-2.0
// What a channel over NCCL costs on the host, over a fake NCCL that carries nothing out on a
// device: an operation through the channel beside the same calls of NCCL by hand, and a watchdog
// over channels that are idle, or that wait for an operation.
#include <chrono>
#include <cstddef>
#include <ctime>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "comm/nccl/fake_nccl.hpp"

using namespace omnibal;

namespace {

constexpr std::size_t count = 4;

/// A call of NCCL that is not blocking has ended when a look says so.
void settle(ncclComm_t comm) {
  for (ncclResult_t state = ncclInProgress; state == ncclInProgress;)
    ncclCommGetAsyncError(comm, &state);
}

void forget_calls(benchmark::State& state) {
  if (fake::all.log.size() < (1U << 16U)) return;
  state.PauseTiming();
  fake::all.log.clear();
  state.ResumeTiming();
}

enum class by { hand, hand_with_event, channel };

/// One all_reduce of four floats, enqueued; nobody waits for it.
void enqueue(benchmark::State& state, by how) {
  fake::all.reset();
  nccl_channel channel(make_nccl_id(), 0, 1);
  ncclComm_t comm = channel.handle();
  std::vector<float> values(count);
  for (auto _ : state) {
    if (how == by::channel) {
      benchmark::DoNotOptimize(channel.all_reduce(view_of(values), reduction::sum, nullptr));
    } else {
      ncclAllReduce(values.data(), values.data(), count, ncclFloat32, ncclSum, comm, nullptr);
      settle(comm);
      if (how == by::hand_with_event) {
        cudaEvent_t event = nullptr;
        cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
        cudaEventRecord(event, nullptr);
        benchmark::DoNotOptimize(cudaEventQuery(event));
        cudaEventDestroy(event);
      }
    }
    forget_calls(state);
  }
}
BENCHMARK_CAPTURE(enqueue, by_hand, by::hand);
BENCHMARK_CAPTURE(enqueue, by_hand_with_event, by::hand_with_event);
BENCHMARK_CAPTURE(enqueue, by_channel, by::channel);

/// Microseconds of computation per second of a watchdog over as many channels, looked at every
/// 100 ms. Where they wait, each has an operation that its stream has not begun.
void watchdog(benchmark::State& state, bool waits) {
  fake::all.reset();
  std::vector<nccl_channel> channels;
  std::vector<float> values(count);
  channel_watchdog watchdog({.deadline = std::chrono::hours(1)});
  for (int i = 0; i < state.range(0); ++i) {
    channels.emplace_back(make_nccl_id(), 0, 1);
    watchdog.watch(channels.back());
  }
  fake::all.holds_streams = waits;
  if (waits)
    for (nccl_channel& each : channels)
      benchmark::DoNotOptimize(each.all_reduce(view_of(values), reduction::sum, nullptr));
  std::clock_t computed = 0;
  for (auto _ : state) {
    const std::clock_t begin = std::clock();
    std::this_thread::sleep_for(std::chrono::seconds(1));
    computed += std::clock() - begin;
  }
  fake::all.holds_streams = false;
  state.counters["us_per_s"] = 1e6 * static_cast<double>(computed) / CLOCKS_PER_SEC /
                               static_cast<double>(state.iterations());
}
BENCHMARK_CAPTURE(watchdog, idle, false)->Arg(1)->Arg(64)->Iterations(5)->UseRealTime();
BENCHMARK_CAPTURE(watchdog, waits, true)->Arg(1)->Arg(64)->Iterations(5)->UseRealTime();

}  // namespace
