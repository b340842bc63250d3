// SPDX-License-Identifier: Apache-2.0
// Kernels of packed-batch indices beside a copy of as many bytes from device to device, timed by
// events around 20 calls. Documents are of 1,000 tokens. Fills the table of docs/gpu.md.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <omnibal/gpu/error.cuh>
#include <omnibal/gpu/laid_tokens.cuh>

#include "gpu/device_array.hpp"

using namespace omnibal;

namespace {

constexpr int calls = 20;

/// Milliseconds of a call, of `calls` one after the other.
template <typename Call>
float time_of(const Call& call) {
  cudaEvent_t begin{};
  cudaEvent_t end{};
  gpu::require(cudaEventCreate(&begin), "event");
  gpu::require(cudaEventCreate(&end), "event");
  gpu::require(cudaEventRecord(begin), "record");
  for (int i = 0; i < calls; ++i) gpu::require(call(), "call");
  gpu::require(cudaEventRecord(end), "record");
  gpu::require(cudaEventSynchronize(end), "wait");
  float milliseconds = 0;
  gpu::require(cudaEventElapsedTime(&milliseconds, begin, end), "time");
  static_cast<void>(cudaEventDestroy(begin));
  static_cast<void>(cudaEventDestroy(end));
  return milliseconds / calls;
}

/// A row with documents of 1,000 tokens, and arrays of 12 bytes a slot.
struct packed_row {
  explicit packed_row(std::int64_t slots)
      : layout{.documents = slots / 1000, .slots = slots},
        lengths(std::vector<std::int32_t>(static_cast<std::size_t>(layout.documents), 1000)),
        cu_seqlens(indices::offset_count(layout)),
        summary(1),
        positions(static_cast<std::size_t>(slots)),
        sequence(static_cast<std::size_t>(slots)) {}
  [[nodiscard]] gpu::device_document_arrays offsets() const {
    return {.cu_seqlens = cu_seqlens.span(), .summary = summary.span().data()};
  }
  [[nodiscard]] indices::token_arrays arrays() const {
    return {.position_ids = positions.span(), .sequence_index = sequence.span()};
  }

  indices::document_layout layout;
  device_array<std::int32_t> lengths, cu_seqlens;
  device_array<gpu::row_summary> summary;
  device_array<std::int64_t> positions;
  device_array<std::int32_t> sequence;
};

bool has_device(benchmark::State& state) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) return true;
  state.SkipWithError("there is no GPU");
  return false;
}

/// Offsets, positions and sequence index; in one launch where `fused`.
void lay_and_fill(benchmark::State& state, bool fused) {
  if (!has_device(state)) return;
  const packed_row row(state.range(0));
  const auto given = std::span<const std::int32_t>(row.lengths.span());
  const auto call = [&]() -> cudaError_t {
    if (fused)
      return gpu::lay_and_fill_tokens_async(given, row.layout, row.offsets(), {}, row.arrays(),
                                            nullptr);
    const cudaError_t laid = gpu::lay_documents_async(given, row.layout, row.offsets(), nullptr);
    if (laid != cudaSuccess) return laid;
    return gpu::fill_tokens_async(gpu::row_of(row.offsets(), given.size(), row.layout.slots),
                                  indices::whole{row.layout.slots}, 0, {}, row.arrays(), nullptr);
  };
  const auto bytes = static_cast<std::size_t>(row.layout.slots) * 12;
  const device_array<unsigned char> from(bytes);
  const device_array<unsigned char> to(bytes);
  time_of(call);
  float ours = 0;
  float copy = 0;
  for (auto _ : state) {
    ours = time_of(call);
    copy = time_of([&] {
      return cudaMemcpyAsync(to.span().data(), from.span().data(), bytes, cudaMemcpyDeviceToDevice);
    });
    state.SetIterationTime(static_cast<double>(ours) * 1e-3);
  }
  state.counters["microseconds"] = static_cast<double>(ours) * 1e3;
  // A copy reads and writes each byte; these kernels only write it.
  state.counters["of the copy's bytes per second"] = static_cast<double>(copy / (2 * ours));
  cudaDeviceProp properties{};
  gpu::require(cudaGetDeviceProperties(&properties, 0), "device");
  state.SetLabel(properties.name);
}

void one_launch(benchmark::State& state) { lay_and_fill(state, true); }
void two_launches(benchmark::State& state) { lay_and_fill(state, false); }

}  // namespace

BENCHMARK(one_launch)->UseManualTime()->Arg(8192)->Arg(32768)->Arg(131072)->Arg(2'000'000);
BENCHMARK(two_launches)
    ->UseManualTime()
    ->Arg(8192)
    ->Arg(32768)
    ->Arg(131072)
    ->Arg(2'000'000)
    ->Arg(16 << 20)
    ->Arg(64 << 20);
