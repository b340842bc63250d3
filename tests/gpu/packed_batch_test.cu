// SPDX-License-Identifier: Apache-2.0
/// @file
/// All arrays of a pack from kernels, in one call, are those of the host for every consumer.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/packed_batch.cuh>
#include <omnibal/indices/packed_batch.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;
using indices::batch_consumer;

struct device_lines {
  explicit device_lines(std::size_t lines) : count(lines), places(lines * lines) {}
  [[nodiscard]] gpu::device_block_list list() const { return {count.span(), places.span()}; }
  void require_equal(const indices::block_list& host) const {
    REQUIRE(count.get() == host.count);
    REQUIRE(places.get() == host.indices);
  }
  device_array<std::int32_t> count, places;
};

/// Every array that some consumer takes.
struct batch_on_device {
  batch_on_device(const indices::packed_batch_options& options, std::size_t documents)
      : cu_seqlens(static_cast<std::size_t>(options.documents) + 2),
        cu_seqlens_padded(cu_seqlens.span().size()),
        summary(1),
        position_ids(local(options), 1),
        source_slot(local(options)),
        global_slot(local(options)),
        labels(local(options)),
        sequence_index(local(options)),
        padding_mask(local(options)),
        loss_weights(local(options), 1),
        label_of_slot(static_cast<std::size_t>(options.slots)),
        label_count(documents),
        weight(documents),
        sums(1),
        cu_seqlens_rank(documents + 1),
        first(static_cast<std::size_t>(options.slots)),
        limit(static_cast<std::size_t>(options.slots)),
        kv(lines(options)),
        full_kv(lines(options)),
        q(lines(options)),
        full_q(lines(options)) {}

  [[nodiscard]] gpu::device_packed_batch arrays(
      const indices::packed_batch_options& options) const {
    gpu::device_packed_batch batch{
        .documents = {cu_seqlens.span(), cu_seqlens_padded.span(), summary.span().data()},
        .tokens = {.position_ids = position_ids.span(),
                   .sequence_index = sequence_index.span(),
                   .padding_mask = padding_mask.span(),
                   .source_slot = source_slot.span(),
                   .global_slot = global_slot.span()},
        .label_of_slot = label_of_slot.span(),
        .weights = {label_count.span(), weight.span(), sums.span().data()},
        .cu_seqlens_rank = cu_seqlens_rank.span(),
        .first_query = first.span(),
        .limit_query = limit.span(),
        .blocks = {kv.list(), full_kv.list(), q.list(), full_q.list()}};
    if (indices::takes_labels(options.consumer)) batch.tokens.labels = labels.span();
    if (indices::weighs_losses(options.consumer)) batch.tokens.loss_weights = loss_weights.span();
    return batch;
  }

  [[nodiscard]] static std::size_t local(const indices::packed_batch_options& options) {
    return static_cast<std::size_t>(options.slots / options.ranks);
  }
  [[nodiscard]] static std::size_t lines(const indices::packed_batch_options& options) {
    return static_cast<std::size_t>((options.slots + options.block - 1) / options.block);
  }

  device_array<std::int32_t> cu_seqlens, cu_seqlens_padded;
  device_array<gpu::row_summary> summary;
  device_array<std::int64_t> position_ids, source_slot, global_slot, labels;
  device_array<std::int32_t> sequence_index;
  device_array<std::uint8_t> padding_mask;
  device_array<float> loss_weights;
  device_array<std::int64_t> label_of_slot;
  device_array<std::int32_t> label_count;
  device_array<float> weight;
  device_array<indices::weight_sums> sums;
  device_array<std::int32_t> cu_seqlens_rank, first, limit;
  device_lines kv, full_kv, q, full_q;
};

void compare_batches(const indices::packed_batch_options& options, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int64_t> tokens;
  for (int d = 0; d < 30; ++d)
    tokens.push_back(static_cast<std::int64_t>(random() % 5 == 0 ? 0 : 1 + random() % 90));
  const std::vector<std::uint32_t> pack{3, 29, 0, 11, 12, 5, 7};
  std::vector<std::int32_t> lengths;
  for (const std::uint32_t sample : pack)
    lengths.push_back(static_cast<std::int32_t>(tokens[sample]));
  std::vector<std::int64_t> labels(std::accumulate(lengths.begin(), lengths.end(), std::size_t{0}));
  for (auto& label : labels) label = random() % 4 == 0 ? -100 : 5;
  const indices::packed_batch host = indices::make_packed_batch(pack, tokens, labels, options);

  const device_array<std::int32_t> given(lengths);
  const device_array<std::int64_t> given_labels(labels);
  const batch_on_device device(options, lengths.size());
  const device_array<std::int32_t> image_first(
      std::vector<std::int32_t>(options.image_first.begin(), options.image_first.end()));
  indices::packed_batch_options on_device = options;
  on_device.image_first = image_first.span();
  const gpu::row_summary row =
      gpu::make_packed_batch(given.span(), given_labels.span(), on_device, device.arrays(options));
  REQUIRE(row.tokens == host.summary.tokens);
  REQUIRE(device.cu_seqlens.get() == host.cu_seqlens);
  REQUIRE(device.cu_seqlens_padded.get() == host.cu_seqlens_padded);
  const auto equal = [](const auto& found, const auto& expected) {
    REQUIRE((expected.empty() || found.get() == expected));
  };
  equal(device.position_ids, host.position_ids);
  equal(device.sequence_index, host.sequence_index);
  equal(device.padding_mask, host.padding_mask);
  equal(device.source_slot, host.source_slot);
  equal(device.global_slot, host.global_slot);
  equal(device.labels, host.labels);
  equal(device.loss_weights, host.loss_weights);
  equal(device.cu_seqlens_rank, host.cu_seqlens_rank);
  if (indices::weighs_losses(options.consumer))
    REQUIRE(device.sums.get()[0].all == Approx(host.loss_weight_sum).epsilon(1e-13));
  if (!host.blocks) return;
  device.kv.require_equal(host.blocks->kv);
  device.full_kv.require_equal(host.blocks->full_kv);
  device.q.require_equal(host.blocks->q);
  device.full_q.require_equal(host.blocks->full_q);
}

}  // namespace

TEST_CASE("kernels make the batch of every consumer") {
  std::uint32_t seed = 0;
  for (const auto consumer :
       {batch_consumer::flash_attention, batch_consumer::transformers, batch_consumer::internvl,
        batch_consumer::megatron, batch_consumer::flex_attention})
    for (const auto weighting :
         {indices::loss_weighting::token, indices::loss_weighting::square_root})
      compare_batches({.consumer = consumer,
                       .slots = 1024,
                       .documents = 9,
                       .multiple = 4,
                       .weighting = weighting,
                       .mask = indices::mask_kind::causal_window,
                       .mask_parameter = 40,
                       .block = 16},
                      ++seed);
}

TEST_CASE("kernels make the masks of images") {
  std::vector<std::int32_t> image_first(700);
  for (std::int32_t slot = 0; slot < 700; ++slot)
    image_first[static_cast<std::size_t>(slot)] = slot % 50 < 30 ? slot / 50 * 50 : slot;
  for (const auto mask : {indices::mask_kind::prefix, indices::mask_kind::prefix_window})
    compare_batches({.consumer = batch_consumer::flex_attention,
                     .slots = 700,
                     .documents = 8,
                     .multiple = 2,
                     .mask = mask,
                     .mask_parameter = mask == indices::mask_kind::prefix ? 0 : 20,
                     .image_first = image_first,
                     .block = 16},
                    77);
}

TEST_CASE("each rank of megatron has its part") {
  for (std::int64_t rank = 0; rank < 4; ++rank)
    compare_batches({.consumer = batch_consumer::megatron,
                     .slots = 1024,
                     .documents = 7,
                     .multiple = 8,
                     .ranks = 4,
                     .rank = rank,
                     .weighting = indices::loss_weighting::sample},
                    static_cast<std::uint32_t>(rank));
}

TEST_CASE("batches whose options do not go together are refused") {
  const indices::packed_batch_options options{.slots = 64, .documents = 2};
  const device_array<std::int32_t> lengths(std::vector<std::int32_t>{40, 30});
  const batch_on_device device(options, 2);
  CHECK_THROWS_WITH(gpu::make_packed_batch(lengths.span(), {}, options, device.arrays(options)),
                    Catch::Matchers::Contains("slots = 64"));
  indices::packed_batch_options split = options;
  split.ranks = 2;
  CHECK_THROWS_WITH(gpu::make_packed_batch(lengths.span(), {}, split, device.arrays(options)),
                    Catch::Matchers::Contains("ranks"));
  gpu::device_packed_batch short_offsets = device.arrays(options);
  short_offsets.documents.cu_seqlens_padded = {};
  CHECK_THROWS_WITH(gpu::make_packed_batch(lengths.span(), {}, options, short_offsets),
                    Catch::Matchers::Contains("cu_seqlens_padded"));
}

TEST_CASE("a batch without labels takes one kernel, up to 2,048 documents") {
  for (const std::size_t documents : {2048U, 2049U}) {
    const indices::packed_batch_options options{.slots = 4096,
                                                .documents = static_cast<std::int64_t>(documents)};
    const device_array<std::int32_t> given(std::vector<std::int32_t>(documents, 1));
    const batch_on_device device(options, documents);
    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    gpu::require(cudaStreamCreate(&stream), "stream");
    gpu::require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin");
    gpu::require(
        gpu::make_packed_batch_async(given.span(), {}, options, device.arrays(options), stream),
        "batch");
    gpu::require(cudaStreamEndCapture(stream, &graph), "end");
    std::size_t kernels = 0;
    gpu::require(cudaGraphGetNodes(graph, nullptr, &kernels), "nodes");
    CHECK(kernels == (documents == 2048 ? 1 : 2));
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
  }
}

TEST_CASE("a captured batch takes other lengths") {
  const indices::packed_batch_options options{
      .consumer = batch_consumer::internvl, .slots = 512, .documents = 3};
  std::vector<std::int32_t> lengths{100, 0, 300};
  const device_array<std::int32_t> given(lengths);
  const device_array<std::int64_t> labels(std::vector<std::int64_t>(512, 4));
  const batch_on_device device(options, 3);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  gpu::require(cudaStreamCreate(&stream), "stream");
  gpu::require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin");
  gpu::require(gpu::make_packed_batch_async(given.span(), labels.span(), options,
                                            device.arrays(options), stream),
               "batch");
  gpu::require(cudaStreamEndCapture(stream, &graph), "end");
  gpu::require(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
  for (const std::int32_t first : {100, 212, 0}) {
    lengths[0] = first;
    given.set(lengths);
    gpu::require(cudaGraphLaunch(executable, stream), "launch");
    gpu::require(cudaStreamSynchronize(stream), "run");
    const std::vector<std::int64_t> tokens(lengths.begin(), lengths.end());
    const std::vector<std::uint32_t> pack{0, 1, 2};
    const indices::packed_batch host = indices::make_packed_batch(
        pack, tokens, std::vector<std::int64_t>(static_cast<std::size_t>(first) + 300, 4), options);
    CHECK(device.cu_seqlens.get() == host.cu_seqlens);
    CHECK(device.labels.get() == host.labels);
    CHECK(device.loss_weights.get() == host.loss_weights);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}
