// SPDX-License-Identifier: Apache-2.0
// Communication between the processes of an MPI program, each beside the way that it replaces: all
// fields of a balanced exchange in one all_to_all beside one per field, gradients in buckets beside
// one reduction per tensor. Rank 0 prints; all ranks run the same numbers of iterations.
//
//     mpirun --allow-run-as-root -n 2 build/release/bench/comm_mpi_channel_bench
#include <cstddef>
#include <functional>
#include <vector>

#include <benchmark/benchmark.h>
#include <mpi.h>

#include <omnibal/comm/mpi_channel.hpp>

#include "comm/channel_programs.hpp"

using namespace omnibal;

namespace {

/// Prepares what a rank repeats.
using rank_body = std::function<std::function<void()>(mpi_communicator&, mpi_channel&)>;

/// Seconds of one repetition on the slowest rank, all ranks starting together.
double measure(int repetitions, const rank_body& prepare) {
  mpi_communicator ranks;
  mpi_channel channel;
  const std::function<void()> repeated = prepare(ranks, channel);
  repeated();
  barrier(ranks);
  const double begin = MPI_Wtime();
  for (int i = 0; i < repetitions; ++i) repeated();
  const double own = (MPI_Wtime() - begin) / repetitions;
  double slowest = 0;
  MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

void exchange_fields(benchmark::State& state, bool at_once) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  for (auto _ : state)
    state.SetIterationTime(measure(8, [=](mpi_communicator& ranks, mpi_channel& channel) {
      return channel_programs::exchange(ranks, channel, bytes, at_once);
    }));
}
void exchange_sizes(benchmark::internal::Benchmark* of) {
  of->ArgName("bytes")->Arg(1 << 16)->Arg(1 << 21)->Arg(1 << 26)->Iterations(5)->UseManualTime();
}
BENCHMARK_CAPTURE(exchange_fields, one_per_field, false)->Apply(exchange_sizes);
BENCHMARK_CAPTURE(exchange_fields, all_at_once, true)->Apply(exchange_sizes);

void reduce_gradients(benchmark::State& state, bool in_buckets) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state)
    state.SetIterationTime(measure(2, [=](mpi_communicator&, mpi_channel& channel) {
      return channel_programs::reduction(channel, count, in_buckets);
    }));
}
void gradient_sizes(benchmark::internal::Benchmark* of) {
  of->ArgName("floats")->Arg(1 << 12)->Arg(1 << 16)->Iterations(1)->UseManualTime();
}
BENCHMARK_CAPTURE(reduce_gradients, one_per_tensor, false)->Apply(gradient_sizes);
BENCHMARK_CAPTURE(reduce_gradients, in_buckets, true)->Apply(gradient_sizes);

/// Of the ranks that print nothing.
class silent_reporter : public benchmark::BenchmarkReporter {
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  benchmark::Initialize(&argc, argv);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  silent_reporter silent;
  if (rank == 0)
    benchmark::RunSpecifiedBenchmarks();
  else
    benchmark::RunSpecifiedBenchmarks(&silent);
  MPI_Finalize();
  return 0;
}
