// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels that count labels and weigh documents give what the host form gives.
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/weights.cuh>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/weights.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

void compare_weights(const std::vector<std::int64_t>& lengths, std::int64_t multiple,
                     const indices::label_policy& policy, indices::loss_weighting weighting) {
  auto laid = indices::lay_row(lengths, std::nullopt, multiple);
  laid = indices::lay_row(lengths, laid.row().slots + 9, multiple);
  indices::document_row row = laid.row();
  std::mt19937 random(static_cast<std::uint32_t>(row.slots));
  std::vector<std::int64_t> labels;
  for (std::int64_t slot = 0; slot < row.slots; ++slot)
    labels.push_back(random() % 3 == 0 ? -100 : 7);
  const std::size_t documents = lengths.size();
  std::vector<std::int32_t> counts(documents);
  std::vector<float> weights(documents);
  const indices::weight_sums host =
      indices::weigh_documents(row, labels, policy, weighting, {counts, weights});

  const device_array<std::int32_t> plain(laid.cu_seqlens), padded(laid.cu_seqlens_padded);
  const device_array<std::int64_t> given(labels);
  const device_array<std::int32_t> device_counts(documents, 1);
  const device_array<float> device_weights(documents, 1);
  const device_array<indices::weight_sums> sums(1);
  row.cu_seqlens = plain.span().data();
  row.cu_seqlens_padded = padded.span().data();
  const indices::weight_sums found =
      gpu::weigh_documents(row, given.span(), policy, weighting,
                           {device_counts.span(), device_weights.span(), sums.span().data()});
  REQUIRE(device_counts.get() == counts);
  REQUIRE(device_weights.get() == weights);
  REQUIRE(device_counts.surroundings_untouched());
  REQUIRE(device_weights.surroundings_untouched());
  // Added in another order.
  REQUIRE(found.all == Approx(host.all).epsilon(1e-13));
  REQUIRE(found.after_slot_0 == Approx(host.after_slot_0).epsilon(1e-13));
}

}  // namespace

TEST_CASE("labels of random documents are counted and weighed as on the host") {
  std::mt19937 random(5);
  std::uint32_t turn = 0;
  for (const std::size_t documents : {0U, 1U, 5U, 600U, 3000U}) {
    std::vector<std::int64_t> lengths;
    for (std::size_t d = 0; d < documents; ++d)
      lengths.push_back(static_cast<std::int64_t>(
          random() % 4 == 0 ? 0 : random() % (documents > 100 ? 10 : 5000)));
    for (const std::int64_t multiple : {1, 8}) {
      const indices::label_policy policy{
          .shift = turn % 2 == 0 ? indices::label_shift::unshifted : indices::label_shift::shifted,
          .first = turn % 3 == 0 ? indices::first_label::kept : indices::first_label::masked};
      compare_weights(lengths, multiple, policy, static_cast<indices::loss_weighting>(turn++ % 3));
    }
  }
}

TEST_CASE("the label of slot 0 is nobody's target") {
  for (const auto first : {indices::first_label::masked, indices::first_label::kept_in_slot_0,
                           indices::first_label::kept})
    compare_weights({0, 3, 0, 4}, 1, {.first = first}, indices::loss_weighting::sample);
}

TEST_CASE("documents end where tiles do") {
  for (const std::int64_t off : {-1, 0, 1})
    compare_weights({4096 + off, 4096, 1, 8192}, 1, {}, indices::loss_weighting::square_root);
}

TEST_CASE("arrays of weights have one entry a document") {
  const device_array<std::int32_t> offsets(std::vector<std::int32_t>{0, 2});
  const device_array<std::int64_t> labels(2);
  const device_array<std::int32_t> counts(2);
  const device_array<indices::weight_sums> sums(1);
  const indices::document_row row{offsets.span().data(), offsets.span().data(), 1, 2};
  CHECK_THROWS_WITH(
      gpu::weigh_documents(row, labels.span(), {}, {}, {counts.span(), {}, sums.span().data()}),
      Catch::Matchers::Contains("label_count = 2"));
}
