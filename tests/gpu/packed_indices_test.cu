// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/error.cuh>
#include <omnibal/gpu/packed_indices.cuh>

#include "catch.hpp"
#include "gpu/device_array.hpp"
#include "gpu/packed_indices_oracle.hpp"

namespace {

namespace gpu = omnibal::gpu;
using omnibal::invalid_input;
using omnibal::gpu::packed_summary;

/// The arrays of one pack on the device.
template <typename Position>
struct device_pack {
  device_pack(const std::vector<std::int32_t>& lengths_of_pack, std::size_t slots,
              std::size_t offset = 0)
      : lengths(lengths_of_pack),
        cu_seqlens(lengths_of_pack.size() + 1, offset),
        summary(sizeof(packed_summary)),
        position_ids(slots, offset),
        sequence_index(slots, offset) {}

  [[nodiscard]] gpu::packed_indices_arrays<Position> arrays() const {
    return {.cu_seqlens = cu_seqlens.span(),
            .summary = reinterpret_cast<packed_summary*>(summary.span().data()),
            .position_ids = position_ids.span(),
            .sequence_index = sequence_index.span()};
  }

  void require_equal(const packed_indices_oracle::indices& expected) const {
    REQUIRE(cu_seqlens.get() == expected.cu_seqlens);
    const std::vector<Position> positions = position_ids.get();
    REQUIRE(std::equal(positions.begin(), positions.end(), expected.position_ids.begin(),
                       expected.position_ids.end()));
    REQUIRE(sequence_index.get() == expected.sequence_index);
    REQUIRE(cu_seqlens.surroundings_untouched());
    REQUIRE(position_ids.surroundings_untouched());
    REQUIRE(sequence_index.surroundings_untouched());
  }

  device_array<std::int32_t> lengths;
  device_array<std::int32_t> cu_seqlens;
  device_array<unsigned char> summary;
  device_array<Position> position_ids;
  device_array<std::int32_t> sequence_index;
};

template <typename Position>
void compare_with_oracle(std::size_t offset) {
  for (const auto& pack : packed_indices_oracle::packs()) {
    const auto expected = packed_indices_oracle::indices_of(pack);
    const device_pack<Position> device(pack.lengths, pack.slots, offset);
    const packed_summary summary =
        gpu::packed_indices<Position>(device.lengths.span(), device.arrays());
    device.require_equal(expected);
    REQUIRE(summary.tokens == expected.cu_seqlens.back());
    REQUIRE(summary.max_seqlen == expected.max_seqlen);
    REQUIRE(summary.first_negative == -1);
  }
}

}  // namespace

TEST_CASE("indices equal the plain ones, in 64 and in 32 bits") {
  compare_with_oracle<std::int64_t>(0);
  compare_with_oracle<std::int32_t>(0);
}

TEST_CASE("arrays need not be aligned") {
  compare_with_oracle<std::int64_t>(1);
  compare_with_oracle<std::int32_t>(3);
}

TEST_CASE("arrays that are not wanted are left out") {
  const std::vector<std::int32_t> lengths = {3, 0, 2};
  const device_pack<std::int64_t> device(lengths, 5);
  auto arrays = device.arrays();
  arrays.position_ids = {};
  gpu::packed_indices<std::int64_t>(device.lengths.span(), arrays);
  CHECK(device.sequence_index.get() == std::vector<std::int32_t>{0, 0, 0, 2, 2});
  arrays.sequence_index = {};
  CHECK(gpu::packed_indices<std::int64_t>(device.lengths.span(), arrays).max_seqlen == 3);
  CHECK(device.position_ids.surroundings_untouched());
}

TEST_CASE("a negative length is an error that names it") {
  const device_pack<std::int64_t> device({4, 1, -3, 2}, 10);
  try {
    gpu::packed_indices<std::int64_t>(device.lengths.span(), device.arrays());
    FAIL("nothing was thrown");
  } catch (const invalid_input& error) {
    CHECK(error.what() == std::string("lengths[2] = -3: must not be negative"));
  }
}

TEST_CASE("more tokens than slots or than int32 counts are an error") {
  const device_pack<std::int64_t> one_slot_short({4, 3}, 6);
  CHECK_THROWS_AS(
      gpu::packed_indices<std::int64_t>(one_slot_short.lengths.span(), one_slot_short.arrays()),
      invalid_input);
  CHECK(one_slot_short.position_ids.surroundings_untouched());
  const device_pack<std::int32_t> overflow({INT32_MAX, 1, 7}, 5000);
  CHECK_THROWS_AS(gpu::packed_indices<std::int32_t>(overflow.lengths.span(), overflow.arrays()),
                  invalid_input);
  CHECK(overflow.cu_seqlens.get() == std::vector<std::int32_t>{0, INT32_MAX, INT32_MAX, INT32_MAX});
}

TEST_CASE("arrays of sizes that do not go together are an error") {
  const device_pack<std::int64_t> device({4, 3}, 7);
  const auto refused = [&](auto change) {
    auto arrays = device.arrays();
    change(arrays);
    CHECK_THROWS_AS(gpu::packed_indices<std::int64_t>(device.lengths.span(), arrays),
                    invalid_input);
    CHECK(gpu::packed_indices_async<std::int64_t>(device.lengths.span(), arrays, nullptr) ==
          cudaErrorInvalidValue);
  };
  refused([](auto& arrays) { arrays.cu_seqlens = arrays.cu_seqlens.first(2); });
  refused([](auto& arrays) { arrays.summary = nullptr; });
  refused([](auto& arrays) { arrays.sequence_index = arrays.sequence_index.first(6); });
}

TEST_CASE("a captured graph makes the indices of whatever lengths there are when it runs") {
  for (const std::uint32_t documents : {100U, 20'000U}) {
    const auto first = packed_indices_oracle::random_pack(documents, 9, 5, 1);
    auto second = packed_indices_oracle::random_pack(documents, 9, 0, 2);
    second.slots = first.slots;
    device_pack<std::int64_t> device(first.lengths, first.slots);
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    gpu::require(cudaStreamCreate(&stream), "stream");
    gpu::require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin");
    gpu::require(
        gpu::packed_indices_async<std::int64_t>(device.lengths.span(), device.arrays(), stream),
        "capture");
    gpu::require(cudaStreamEndCapture(stream, &graph), "end");
    gpu::require(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    for (const auto& pack : {first, second}) {
      device.lengths.set(pack.lengths);
      gpu::require(cudaGraphLaunch(executable, stream), "launch");
      gpu::require(cudaStreamSynchronize(stream), "run");
      auto expected = packed_indices_oracle::indices_of(pack);
      // Where the pack is too long for its slots, the tokens behind them are left out.
      expected.position_ids.resize(pack.slots);
      expected.sequence_index.resize(pack.slots);
      device.require_equal(expected);
    }
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
  }
}
