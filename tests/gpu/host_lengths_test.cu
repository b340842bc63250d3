// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lengths in kernel parameters give what the same lengths in device memory give, and bad ones are
/// refused by name before anything is enqueued.
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/packed_batch.cuh>
#include <omnibal/gpu/packed_indices.cuh>
#include <omnibal/indices/documents.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;
using Catch::Matchers::ContainsSubstring;
using omnibal::invalid_input;

std::vector<std::int32_t> random_lengths(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> lengths(count);
  for (auto& length : lengths)
    length = random() % 3 == 0 ? 0 : static_cast<std::int32_t>(random() % 50);
  return lengths;
}

}  // namespace

TEST_CASE("offsets of lengths in kernel parameters are those of the host") {
  for (const std::size_t count : {0U, 1U, 31U, 511U, 512U, 513U, 999U, 1000U})
    for (const std::int64_t multiple : {1, 8}) {
      const auto lengths = random_lengths(count, static_cast<std::uint32_t>(count));
      const std::vector<std::int64_t> wide(lengths.begin(), lengths.end());
      const indices::document_layout layout{
          .documents = static_cast<std::int64_t>(count) + 3, .slots = 60'000, .multiple = multiple};
      std::vector<std::int32_t> plain(indices::offset_count(layout)), padded(plain.size());
      const indices::document_summary host = indices::lay_documents(wide, layout, {plain, padded});
      const device_array<std::int32_t> cu_seqlens(plain.size()), cu_seqlens_padded(plain.size());
      const device_array<gpu::row_summary> summary(1);
      const gpu::row_summary row =
          gpu::lay_documents(gpu::host_lengths{lengths}, layout,
                             {cu_seqlens.span(), cu_seqlens_padded.span(), summary.span().data()});
      REQUIRE(row.tokens == host.tokens);
      REQUIRE(row.longest == host.longest);
      REQUIRE(row.slots_used == host.slots_used);
      REQUIRE(cu_seqlens.get() == plain);
      REQUIRE(cu_seqlens_padded.get() == padded);
    }
}

TEST_CASE("lengths in kernel parameters may be freed when the call returns") {
  auto lengths = random_lengths(700, 5);
  const device_array<std::int32_t> given(lengths);
  const device_array<std::int32_t> expected(701), cu_seqlens(701);
  const device_array<gpu::packed_summary> summaries(2);
  const device_array<std::int64_t> positions(40'000), expected_positions(40'000);
  const device_array<std::int32_t> sequence(40'000), expected_sequence(40'000);
  gpu::packed_indices(std::span<const std::int32_t>(given.span()),
                      gpu::packed_indices_arrays<std::int64_t>{
                          expected.span(), summaries.span().data(), expected_positions.span(),
                          expected_sequence.span()});
  gpu::require(gpu::packed_indices_async(gpu::host_lengths{lengths},
                                         gpu::packed_indices_arrays<std::int64_t>{
                                             cu_seqlens.span(), summaries.span().data() + 1,
                                             positions.span(), sequence.span()},
                                         nullptr),
               "packed_indices_async");
  lengths.assign(lengths.size(), -1);
  gpu::require(cudaDeviceSynchronize(), "wait");
  CHECK(cu_seqlens.get() == expected.get());
  CHECK(positions.get() == expected_positions.get());
  CHECK(sequence.get() == expected_sequence.get());
  CHECK(summaries.get()[1].tokens == summaries.get()[0].tokens);
  CHECK(summaries.get()[1].max_seqlen == summaries.get()[0].max_seqlen);
}

TEST_CASE("a batch of lengths in kernel parameters is that of lengths in device memory") {
  const auto lengths = random_lengths(40, 9);
  const indices::packed_batch_options options{.consumer = indices::batch_consumer::flex_attention,
                                              .slots = 1536,
                                              .documents = 50,
                                              .multiple = 4};
  const device_array<std::int32_t> given(lengths);
  const auto make = [&](const auto& of) {
    const device_array<std::int32_t> cu_seqlens(52), padded(52), sequence(1536), first(1536);
    const device_array<std::int32_t> limit(1536), counts(4 * 12), places(4 * 144);
    const device_array<std::int64_t> positions(1536);
    const device_array<gpu::row_summary> summary(1);
    const auto list = [&](std::size_t n) {
      return gpu::device_block_list{counts.span().subspan(12 * n, 12),
                                    places.span().subspan(144 * n, 144)};
    };
    gpu::make_packed_batch(
        of, {}, options,
        {.documents = {cu_seqlens.span(), padded.span(), summary.span().data()},
         .tokens = {.position_ids = positions.span(), .sequence_index = sequence.span()},
         .first_query = first.span(),
         .limit_query = limit.span(),
         .blocks = {list(0), list(1), list(2), list(3)}});
    return std::vector{cu_seqlens.get(), padded.get(), sequence.get(), first.get(),
                       limit.get(),      counts.get(), places.get()};
  };
  const auto of_device = make(std::span<const std::int32_t>(given.span()));
  CHECK(make(gpu::host_lengths{lengths}) == of_device);
  CHECK(of_device[0][1] == lengths[0]);
}

TEST_CASE("bad lengths in host memory are refused by name at once") {
  const device_array<std::int32_t> cu_seqlens(1003);
  const device_array<gpu::row_summary> summary(1);
  const auto lay = [&](const std::vector<std::int32_t>& lengths, std::int64_t slots) {
    const indices::document_layout layout{.documents = 1001, .slots = slots, .multiple = 4};
    const gpu::device_document_arrays arrays{cu_seqlens.span(), {}, summary.span().data()};
    CHECK(gpu::lay_documents_async(gpu::host_lengths{lengths}, layout, arrays, nullptr) ==
          cudaErrorInvalidValue);
    gpu::lay_documents(gpu::host_lengths{lengths}, layout, arrays);
  };
  CHECK_THROWS_WITH(lay(std::vector<std::int32_t>(1001), 8),
                    ContainsSubstring("number of lengths in host memory = 1001") &&
                        ContainsSubstring("must be at most 1000"));
  CHECK_THROWS_WITH(lay({3, -2}, 8), ContainsSubstring("lengths[1] = -2"));
  CHECK_THROWS_WITH(lay({3, 5}, 11), ContainsSubstring("slots = 11") && ContainsSubstring("12"));
  CHECK_THROWS_AS(lay({INT32_MAX, INT32_MAX}, INT32_MAX), invalid_input);
  CHECK(cu_seqlens.get() == std::vector<std::int32_t>(1003, 0x7F7F7F7F));

  const device_array<gpu::packed_summary> pack(1);
  const device_array<std::int32_t> offsets(3), sequence(7);
  const std::vector<std::int32_t> lengths{4, 4};
  CHECK_THROWS_WITH(
      gpu::packed_indices(gpu::host_lengths{lengths},
                          gpu::packed_indices_arrays<std::int32_t>{
                              offsets.span(), pack.span().data(), {}, sequence.span()}),
      ContainsSubstring("sum of lengths = 8"));
}

TEST_CASE("a captured graph keeps the lengths of its capture") {
  std::vector<std::int32_t> lengths{3, 0, 5};
  const indices::document_layout layout{.documents = 4, .slots = 12};
  const device_array<std::int32_t> cu_seqlens(6);
  const device_array<gpu::row_summary> summary(1);
  cudaStream_t stream = nullptr;
  gpu::require(cudaStreamCreate(&stream), "stream");
  gpu::require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "capture");
  gpu::require(gpu::lay_documents_async(gpu::host_lengths{lengths}, layout,
                                        {cu_seqlens.span(), {}, summary.span().data()}, stream),
               "lay_documents_async");
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  gpu::require(cudaStreamEndCapture(stream, &graph), "end");
  gpu::require(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
  std::size_t nodes = 0;
  gpu::require(cudaGraphGetNodes(graph, nullptr, &nodes), "nodes");
  CHECK(nodes == 1);
  lengths = {9, 9, 9};
  gpu::require(cudaGraphLaunch(executable, stream), "launch");
  gpu::require(cudaStreamSynchronize(stream), "wait");
  CHECK(cu_seqlens.get() == std::vector<std::int32_t>{0, 3, 3, 8, 12, 12});
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}
