// SPDX-License-Identifier: Apache-2.0
/// @file
/// Each barrier of the kernels is needed: without it the emulator finds a race, or results are
/// wrong.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/gpu/packed_indices.cuh>

#include "catch.hpp"
#include "emulator/mutants.hpp"
#include "gpu/packed_indices_oracle.hpp"

namespace {

namespace gpu = omnibal::gpu;

/// Whether the indices of a pack of many tiles are right and nothing else is wrong.
bool is_right() {
  const auto pack = packed_indices_oracle::random_pack(5000, 5, 300, 7);
  const auto expected = packed_indices_oracle::indices_of(pack);
  const std::size_t documents = pack.lengths.size();
  std::int32_t* numbers = nullptr;
  gpu::packed_summary* summary = nullptr;
  REQUIRE(cudaMalloc(&numbers, (2 * documents + 1 + 2 * pack.slots) * sizeof(std::int32_t)) ==
          cudaSuccess);
  REQUIRE(cudaMalloc(&summary, sizeof *summary) == cudaSuccess);
  cudaMemcpy(numbers, pack.lengths.data(), documents * sizeof(std::int32_t),
             cudaMemcpyHostToDevice);
  std::int32_t* const cu_seqlens = numbers + documents;
  std::int32_t* const positions = cu_seqlens + documents + 1;
  bool right = true;
  try {
    gpu::packed_indices<std::int32_t>({numbers, documents},
                                      {.cu_seqlens = {cu_seqlens, documents + 1},
                                       .summary = summary,
                                       .position_ids = {positions, pack.slots},
                                       .sequence_index = {positions + pack.slots, pack.slots}});
    right = std::vector(cu_seqlens, positions) == expected.cu_seqlens &&
            std::vector<std::int64_t>(positions, positions + pack.slots) == expected.position_ids;
  } catch (const gpu::cuda_error&) {
    right = false;
  }
  cudaDeviceReset();
  cudaFree(numbers);
  cudaFree(summary);
  return right;
}

}  // namespace

TEST_CASE("each barrier of the kernels of packed_indices is needed") {
  REQUIRE(is_right());
  const mutants::barriers barriers = mutants::barriers_of(is_right);
  CHECK(barriers.met.size() == 4);
  CHECK(barriers.needless == std::set<std::string>{});
}
