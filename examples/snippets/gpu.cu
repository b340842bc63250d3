// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

// >>> docs/gpu.md
#include <omnibal/gpu/packed_indices.cuh>

// All pointers and spans are device memory; lengths are int32, one per document.
void make_indices(std::span<const std::int32_t> lengths, std::span<std::int32_t> cu_seqlens,
                  omnibal::gpu::packed_summary* summary, std::span<std::int64_t> position_ids,
                  std::span<std::int32_t> sequence_index, cudaStream_t stream) {
  const omnibal::gpu::packed_indices_arrays<std::int64_t> arrays = {
      .cu_seqlens = cu_seqlens,          // documents + 1
      .summary = summary,                // tokens, max_seqlen, first negative length
      .position_ids = position_ids,      // one per slot, int64 or int32; may be left out
      .sequence_index = sequence_index,  // one per slot, int32; may be left out
  };
  omnibal::gpu::packed_indices(lengths, arrays, stream);
}
// <<<

template <typename Value>
std::span<Value> on_device(std::size_t count) {
  Value* memory = nullptr;
  if (cudaMalloc(&memory, count * sizeof(Value)) != cudaSuccess) return {};
  return {memory, count};
}

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: there is no GPU");
    return 77;
  }
  const std::vector<std::int32_t> lengths = {3, 1, 4};
  const auto given = on_device<std::int32_t>(3);
  cudaMemcpy(given.data(), lengths.data(), 12, cudaMemcpyHostToDevice);
  const auto cu_seqlens = on_device<std::int32_t>(4);
  const auto position_ids = on_device<std::int64_t>(10);
  make_indices(given, cu_seqlens, on_device<omnibal::gpu::packed_summary>(1).data(), position_ids,
               on_device<std::int32_t>(10), nullptr);
  std::vector<std::int32_t> offsets(4);
  std::vector<std::int64_t> positions(10);
  cudaMemcpy(offsets.data(), cu_seqlens.data(), 16, cudaMemcpyDeviceToHost);
  cudaMemcpy(positions.data(), position_ids.data(), 80, cudaMemcpyDeviceToHost);
  const bool right = offsets == std::vector<std::int32_t>{0, 3, 4, 8} &&
                     positions == std::vector<std::int64_t>{0, 1, 2, 0, 0, 1, 2, 3, 0, 1};
  return right ? 0 : 1;
}
