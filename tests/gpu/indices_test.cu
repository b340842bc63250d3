// SPDX-License-Identifier: Apache-2.0
/// @file
/// Kernels give what the host forms give, on random rows and at the borders.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/laid_tokens.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;
using omnibal::invalid_input;

/// A row on the host, and what is asked of it.
struct random_row {
  std::vector<std::int32_t> lengths;
  indices::document_layout layout;
  std::vector<std::int64_t> labels;
};

random_row make_row(std::size_t documents, std::uint32_t longest, std::int64_t multiple,
                    std::int64_t slots_are_multiple_of, std::uint32_t seed) {
  std::mt19937 random(seed);
  random_row row;
  row.layout.multiple = multiple;
  for (std::size_t d = 0; d < documents; ++d) {
    row.lengths.push_back(static_cast<std::int32_t>(random() % (longest + 1)));
    if (random() % 5 == 0) row.lengths.back() = 0;
    row.layout.slots += indices::round_up(row.lengths.back(), multiple);
  }
  row.layout.documents = static_cast<std::int64_t>(documents + random() % 3);
  row.layout.slots = indices::round_up(row.layout.slots + static_cast<std::int64_t>(random() % 100),
                                       slots_are_multiple_of);
  for (std::int64_t slot = 0; slot < row.layout.slots; ++slot)
    row.labels.push_back(random() % 4 == 0 ? -100 : static_cast<std::int64_t>(random() % 1000));
  return row;
}

std::vector<std::int64_t> wide(const std::vector<std::int32_t>& values) {
  return {values.begin(), values.end()};
}

/// The arrays of a rank: plain vectors, or device memory in the second form.
struct host_tokens {
  explicit host_tokens(std::size_t n)
      : position_ids(n),
        position_ids_int32(n),
        sequence_index(n),
        padding_mask(n),
        source_slot(n),
        global_slot(n),
        labels(n),
        loss_weights(n),
        first_query(n),
        limit_query(n) {}
  [[nodiscard]] indices::token_arrays arrays() {
    return {position_ids, position_ids_int32, sequence_index, padding_mask,
            source_slot,  global_slot,        labels,         loss_weights,
            first_query,  limit_query};
  }
  std::vector<std::int64_t> position_ids;
  std::vector<std::int32_t> position_ids_int32, sequence_index;
  std::vector<std::uint8_t> padding_mask;
  std::vector<std::int64_t> source_slot, global_slot, labels;
  std::vector<float> loss_weights;
  std::vector<std::int32_t> first_query, limit_query;
};

struct device_tokens {
  explicit device_tokens(std::size_t n)
      : position_ids(n, 1),
        position_ids_int32(n, 3),
        sequence_index(n),
        padding_mask(n, 5),
        source_slot(n),
        global_slot(n),
        labels(n, 1),
        loss_weights(n, 1),
        first_query(n),
        limit_query(n, 2) {}
  [[nodiscard]] indices::token_arrays arrays() const {
    return {position_ids.span(), position_ids_int32.span(), sequence_index.span(),
            padding_mask.span(), source_slot.span(),        global_slot.span(),
            labels.span(),       loss_weights.span(),       first_query.span(),
            limit_query.span()};
  }
  void require_equal(const host_tokens& host) const {
    const auto equal = [](const auto& device, const auto& expected) {
      REQUIRE(device.get() == expected);
      REQUIRE(device.surroundings_untouched());
    };
    equal(position_ids, host.position_ids);
    equal(position_ids_int32, host.position_ids_int32);
    equal(sequence_index, host.sequence_index);
    equal(padding_mask, host.padding_mask);
    equal(source_slot, host.source_slot);
    equal(global_slot, host.global_slot);
    equal(labels, host.labels);
    equal(loss_weights, host.loss_weights);
    equal(first_query, host.first_query);
    equal(limit_query, host.limit_query);
  }
  device_array<std::int64_t> position_ids;
  device_array<std::int32_t> position_ids_int32, sequence_index;
  device_array<std::uint8_t> padding_mask;
  device_array<std::int64_t> source_slot, global_slot, labels;
  device_array<float> loss_weights;
  device_array<std::int32_t> first_query, limit_query;
};

/// A row laid on the host and on the device.
struct laid_row {
  explicit laid_row(const random_row& row)
      : lengths(row.lengths),
        cu_seqlens(indices::offset_count(row.layout)),
        cu_seqlens_padded(indices::offset_count(row.layout), 1),
        summary(sizeof(gpu::row_summary)),
        host_offsets(2, std::vector<std::int32_t>(indices::offset_count(row.layout))) {}

  [[nodiscard]] gpu::device_document_arrays arrays() const {
    return {.cu_seqlens = cu_seqlens.span(),
            .cu_seqlens_padded = cu_seqlens_padded.span(),
            .summary = reinterpret_cast<gpu::row_summary*>(summary.span().data())};
  }

  device_array<std::int32_t> lengths;
  device_array<std::int32_t> cu_seqlens;
  device_array<std::int32_t> cu_seqlens_padded;
  device_array<unsigned char> summary;
  std::vector<std::vector<std::int32_t>> host_offsets;
};

void compare_offsets(const random_row& row, laid_row& laid) {
  const auto host = indices::lay_documents(wide(row.lengths), row.layout,
                                           {laid.host_offsets[0], laid.host_offsets[1]});
  const gpu::row_summary device =
      gpu::lay_documents(laid.lengths.span(), row.layout, laid.arrays());
  REQUIRE(laid.cu_seqlens.get() == laid.host_offsets[0]);
  REQUIRE(laid.cu_seqlens_padded.get() == laid.host_offsets[1]);
  REQUIRE(laid.cu_seqlens.surroundings_untouched());
  REQUIRE(laid.cu_seqlens_padded.surroundings_untouched());
  REQUIRE(device.tokens == host.tokens);
  REQUIRE(device.slots_used == host.slots_used);
  REQUIRE(device.longest == host.longest);
}

template <typename MakeSplit>
void compare_tokens(const random_row& row, laid_row& laid, std::int64_t ranks,
                    indices::token_inputs inputs, MakeSplit make_split) {
  const auto n = row.lengths.size();
  const indices::document_row on_device = gpu::row_of(laid.arrays(), n, row.layout.slots);
  indices::document_row on_host = on_device;
  on_host.cu_seqlens = laid.host_offsets[0].data();
  on_host.cu_seqlens_padded = laid.host_offsets[1].data();
  const device_array<std::int64_t> labels(row.labels);
  std::vector<float> weights(n);
  for (std::size_t d = 0; d < n; ++d) weights[d] = 1.0F / static_cast<float>(d + 1);
  const device_array<float> device_weights(weights);
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const auto local = static_cast<std::size_t>(make_split(on_host).local_slots());
    host_tokens host(local);
    const device_tokens device(local);
    inputs.labels = row.labels;
    inputs.document_weight = weights;
    // The tail has no weight: none of its labels counts.
    indices::fill_tokens(on_host, make_split(on_host), rank, inputs, host.arrays());
    inputs.labels = labels.span();
    inputs.document_weight = device_weights.span();
    gpu::fill_tokens(on_device, make_split(on_device), rank, inputs, device.arrays());
    device.require_equal(host);
  }
}

/// Documents and tokens in one launch, or in two beyond what one launch takes.
void compare_laid_tokens(const random_row& row, indices::token_inputs inputs) {
  laid_row laid(row);
  const auto host_summary = indices::lay_documents(wide(row.lengths), row.layout,
                                                   {laid.host_offsets[0], laid.host_offsets[1]});
  const indices::document_row on_host{.cu_seqlens = laid.host_offsets[0].data(),
                                      .cu_seqlens_padded = laid.host_offsets[1].data(),
                                      .documents = static_cast<std::int32_t>(row.lengths.size()),
                                      .slots = row.layout.slots};
  host_tokens host(static_cast<std::size_t>(row.layout.slots));
  const device_tokens device(static_cast<std::size_t>(row.layout.slots));
  const device_array<std::int64_t> labels(row.labels);
  inputs.labels = row.labels;
  indices::fill_tokens(on_host, indices::whole{row.layout.slots}, 0, inputs, host.arrays());
  inputs.labels = labels.span();
  const gpu::row_summary found = gpu::lay_and_fill_tokens(laid.lengths.span(), row.layout,
                                                          laid.arrays(), inputs, device.arrays());
  device.require_equal(host);
  REQUIRE(laid.cu_seqlens.get() == laid.host_offsets[0]);
  REQUIRE(laid.cu_seqlens_padded.get() == laid.host_offsets[1]);
  REQUIRE(laid.cu_seqlens.surroundings_untouched());
  REQUIRE(laid.cu_seqlens_padded.surroundings_untouched());
  REQUIRE(found.tokens == host_summary.tokens);
  REQUIRE(found.slots_used == host_summary.slots_used);
  REQUIRE(found.longest == host_summary.longest);
  REQUIRE(found.first_negative == -1);
}

}  // namespace

TEST_CASE("documents and tokens of random rows are those of the host") {
  std::uint32_t seed = 0;
  for (const std::size_t documents : {0U, 1U, 2U, 33U, 700U}) {
    for (const std::int64_t multiple : {1, 8}) {
      random_row row = make_row(documents, documents > 100 ? 12 : 700, multiple, 1, ++seed);
      if (documents == 33) row.layout.tail = indices::tail_policy::left_out;
      laid_row laid(row);
      compare_offsets(row, laid);
      const indices::token_inputs inputs{
          .zero_in_padding = seed % 2 == 0,
          .label = {.shift = seed % 3 == 0 ? indices::label_shift::shifted
                                           : indices::label_shift::unshifted},
          .mask = static_cast<indices::mask_kind>(seed % 5),
          .mask_parameter = 7};
      compare_tokens(row, laid, 1, inputs, [](const auto& on) { return indices::whole{on.slots}; });
      compare_laid_tokens(row, inputs);
    }
  }
}

TEST_CASE("documents and tokens in one launch are those of the host, at the borders too") {
  for (const std::int32_t size : {32, 2048, 4096})
    for (const std::int32_t off : {-1, 0, 1}) {
      random_row row{.lengths = {size + off, 1, size, 0, 5}, .layout = {}, .labels = {}};
      row.layout.documents = 6;
      row.layout.slots = 2 * size + off + 6;
      row.labels.assign(static_cast<std::size_t>(row.layout.slots), 1);
      compare_laid_tokens(row, {});
    }
  for (const std::size_t documents : {255U, 256U, 257U, 2047U, 2048U, 2049U})
    for (const std::uint32_t longest : {0U, 5U})
      compare_laid_tokens(make_row(documents, longest, longest == 0 ? 1 : 4, 1, 9), {});
}

TEST_CASE("one launch refuses what two refuse, and leaves readers in bounds") {
  random_row row{.lengths = {4, -3, 2}, .layout = {}, .labels = {}};
  row.layout.documents = 3;
  row.layout.slots = 5;
  const laid_row laid(row);
  const device_tokens tokens(5);
  const indices::token_arrays wanted{.sequence_index = tokens.sequence_index.span()};
  CHECK_THROWS_WITH(
      gpu::lay_and_fill_tokens(laid.lengths.span(), row.layout, laid.arrays(), {}, wanted),
      "lengths[1] = -3: must not be negative");
  CHECK(laid.cu_seqlens.get() == std::vector<std::int32_t>{0, 4, 4, 5, 5});
  CHECK(tokens.sequence_index.get() == std::vector<std::int32_t>{0, 0, 0, 0, 2});
  const auto refused = [&](const indices::document_layout& layout,
                           const gpu::device_document_arrays& documents) {
    CHECK(gpu::lay_and_fill_tokens_async(laid.lengths.span(), layout, documents, {}, wanted,
                                         nullptr) == cudaErrorInvalidValue);
    CHECK_THROWS_AS(gpu::lay_and_fill_tokens(laid.lengths.span(), layout, documents, {}, wanted),
                    invalid_input);
  };
  gpu::device_document_arrays without = laid.arrays();
  without.cu_seqlens = {};
  refused(row.layout, without);
  indices::document_layout padded = row.layout;
  padded.multiple = 2;
  without = laid.arrays();
  without.cu_seqlens_padded = {};
  refused(padded, without);
  indices::document_layout longer = row.layout;
  longer.slots = 6;
  refused(longer, laid.arrays());
}

TEST_CASE("tiles, blocks and warps end where documents do, and one before and behind") {
  for (const std::int32_t size : {32, 512, 2048, 4096})
    for (const std::int32_t off : {-1, 0, 1}) {
      random_row row{.lengths = {size + off, 1, size, 0, 5}, .layout = {}, .labels = {}};
      row.layout.documents = 5;
      row.layout.slots = 2 * size + off + 6;
      row.labels.assign(static_cast<std::size_t>(row.layout.slots), 1);
      laid_row laid(row);
      compare_offsets(row, laid);
      compare_tokens(row, laid, 1, {}, [](const auto& on) { return indices::whole{on.slots}; });
    }
  for (const std::size_t documents : {2047U, 2048U, 2049U, 5000U}) {
    const random_row row = make_row(documents, 2, 1, 1, 9);
    laid_row laid(row);
    compare_offsets(row, laid);
    compare_tokens(row, laid, 1, {}, [](const auto& on) { return indices::whole{on.slots}; });
  }
}

TEST_CASE("ranks of every split get what the host gives them") {
  const random_row row = make_row(20, 60, 8, 48, 77);
  laid_row laid(row);
  compare_offsets(row, laid);
  const indices::token_inputs inputs{.label = {.shift = indices::label_shift::shifted}};
  compare_tokens(row, laid, 4, inputs, [](const auto& on) {
    return indices::contiguous{on.slots, 4};
  });
  compare_tokens(row, laid, 4, inputs, [](const auto& on) {
    return indices::striped{on.slots, 4};
  });
  compare_tokens(row, laid, 4, inputs, [](const auto& on) {
    return indices::zigzag_row{on.slots, 4};
  });
  compare_tokens(row, laid, 4, inputs, [](const auto& on) {
    return indices::zigzag_ring_ulysses{on.slots, 2, 2};
  });
  compare_tokens(row, laid, 4, inputs, [](const auto& on) { return indices::zigzag{on, 4}; });
}

TEST_CASE("wrong rows are refused by name, and leave readers in bounds") {
  random_row row{.lengths = {4, -3, 2}, .layout = {}, .labels = {}};
  row.layout.documents = 3;
  row.layout.slots = 5;
  const laid_row laid(row);
  CHECK_THROWS_WITH(gpu::lay_documents(laid.lengths.span(), row.layout, laid.arrays()),
                    "lengths[1] = -3: must not be negative");
  CHECK(laid.cu_seqlens.get() == std::vector<std::int32_t>{0, 4, 4, 5, 5});
  random_row long_row = row;
  long_row.lengths = {INT32_MAX, INT32_MAX, 1};
  const laid_row overflow(long_row);
  CHECK_THROWS_WITH(gpu::lay_documents(overflow.lengths.span(), row.layout, overflow.arrays()),
                    "slots = 5: must be at least what the documents need, 4294967295");
  CHECK(overflow.cu_seqlens_padded.get() == std::vector<std::int32_t>{0, 5, 5, 5, 5});
  row.layout.documents = 2;
  CHECK_THROWS_AS(gpu::lay_documents(laid.lengths.span(), row.layout, laid.arrays()),
                  invalid_input);
  CHECK(gpu::lay_documents_async(laid.lengths.span(), row.layout, laid.arrays(), nullptr) ==
        cudaErrorInvalidValue);
}

TEST_CASE("a captured graph has two kernels and takes other lengths") {
  random_row row = make_row(50, 40, 4, 1, 5);
  laid_row laid(row);
  const device_tokens tokens(static_cast<std::size_t>(row.layout.slots));
  const device_array<std::int64_t> labels(row.labels);
  const auto on_device = gpu::row_of(laid.arrays(), row.lengths.size(), row.layout.slots);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  gpu::require(cudaStreamCreate(&stream), "stream");
  gpu::require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin");
  gpu::require(gpu::lay_documents_async(laid.lengths.span(), row.layout, laid.arrays(), stream),
               "documents");
  gpu::require(gpu::fill_tokens_async(on_device, indices::whole{row.layout.slots}, 0,
                                      {.labels = labels.span()}, tokens.arrays(), stream),
               "tokens");
  gpu::require(cudaStreamEndCapture(stream, &graph), "end");
  std::size_t kernels = 0;
  gpu::require(cudaGraphGetNodes(graph, nullptr, &kernels), "nodes");
  CHECK(kernels == 2);
  gpu::require(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
  for (const bool reversed : {false, true}) {
    if (reversed) std::reverse(row.lengths.begin(), row.lengths.end());
    laid.lengths.set(row.lengths);
    gpu::require(cudaGraphLaunch(executable, stream), "launch");
    gpu::require(cudaStreamSynchronize(stream), "run");
    std::vector<std::int32_t> plain(indices::offset_count(row.layout));
    auto padded = plain;
    indices::lay_documents(wide(row.lengths), row.layout, {plain, padded});
    host_tokens expected(static_cast<std::size_t>(row.layout.slots));
    indices::fill_tokens({plain.data(), padded.data(), on_device.documents, row.layout.slots},
                         {.labels = row.labels}, expected.arrays());
    tokens.require_equal(expected);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}
