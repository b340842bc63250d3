// SPDX-License-Identifier: Apache-2.0
/// @file
/// The functions of which the kernels are made, run through Thrust: on the host where this is
/// compiled for a host back end, so that they are tested on machines without a GPU too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/tabulate_output_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/scan.h>

#include <omnibal/gpu/packed_summary.hpp>

#include "catch.hpp"
#include "gpu/packed_indices_oracle.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace detail = omnibal::gpu::detail;
using omnibal::gpu::packed_summary;

struct scanned {
  std::vector<std::int32_t> cu_seqlens;
  packed_summary summary;
};

template <typename Value>
std::vector<Value> to_host(const thrust::device_vector<Value>& values) {
  std::vector<Value> copy(values.size());
  // Thrust takes the address of the first element, also where there is none.
  if (values.empty()) return copy;
  thrust::copy(values.begin(), values.end(), copy.begin());
  return copy;
}

scanned scan(const std::vector<std::int32_t>& lengths) {
  const thrust::device_vector<std::int32_t> device_lengths(lengths.begin(), lengths.end());
  thrust::device_vector<std::int32_t> cu_seqlens(lengths.size() + 1, -1);
  thrust::device_vector<packed_summary> summary(1);
  const auto documents = static_cast<std::int32_t>(lengths.size());
  const auto inputs = thrust::make_transform_iterator(
      thrust::make_counting_iterator(std::int32_t{0}),
      detail::summarize_document<>{thrust::raw_pointer_cast(device_lengths.data())});
  const detail::store_summary store{thrust::raw_pointer_cast(cu_seqlens.data()),
                                    thrust::raw_pointer_cast(summary.data()), documents};
  thrust::inclusive_scan(thrust::device, inputs, inputs + documents,
                         thrust::make_tabulate_output_iterator(store), detail::append_summary{});
  return {to_host(cu_seqlens), to_host(summary)[0]};
}

/// Fills a slot, for which it looks up the document.
struct fill_slot {
  const std::int32_t* cu_seqlens;
  std::int32_t documents;
  std::int64_t slots;
  detail::store_token<std::int32_t> store;

  OMNIBAL_HD void operator()(std::int64_t slot) const {
    const std::int32_t document = detail::document_of(cu_seqlens, documents, slot);
    store(slot, document, cu_seqlens[document],
          document < documents ? cu_seqlens[document + 1] : slots);
  }
};

struct filled {
  std::vector<std::int32_t> position_ids;
  std::vector<std::int32_t> sequence_index;
};

filled fill(const std::vector<std::int32_t>& cu_seqlens, std::size_t slots) {
  const thrust::device_vector<std::int32_t> device_cu(cu_seqlens.begin(), cu_seqlens.end());
  thrust::device_vector<std::int32_t> position_ids(slots, -1);
  thrust::device_vector<std::int32_t> sequence_index(slots, -1);
  const auto numbers = thrust::make_counting_iterator(std::int64_t{0});
  thrust::for_each(thrust::device, numbers, numbers + static_cast<std::int64_t>(slots),
                   fill_slot{thrust::raw_pointer_cast(device_cu.data()),
                             static_cast<std::int32_t>(cu_seqlens.size() - 1),
                             static_cast<std::int64_t>(slots),
                             {thrust::raw_pointer_cast(position_ids.data()),
                              thrust::raw_pointer_cast(sequence_index.data())}});
  return {to_host(position_ids), to_host(sequence_index)};
}

}  // namespace

TEST_CASE("a scan of the lengths gives offsets, the longest and the sum") {
  for (const auto& pack : packed_indices_oracle::packs()) {
    if (pack.lengths.empty()) continue;
    const auto expected = packed_indices_oracle::indices_of(pack);
    const scanned made = scan(pack.lengths);
    REQUIRE(made.cu_seqlens == expected.cu_seqlens);
    REQUIRE(made.summary.max_seqlen == expected.max_seqlen);
    REQUIRE(made.summary.tokens == expected.cu_seqlens.back());
    REQUIRE(made.summary.first_negative == -1);
    REQUIRE(gpu::is_valid(made.summary, static_cast<std::int64_t>(pack.slots)));
  }
}

TEST_CASE("every slot finds its document and its position") {
  for (const auto& pack : packed_indices_oracle::packs()) {
    const auto expected = packed_indices_oracle::indices_of(pack);
    const filled made = fill(expected.cu_seqlens, pack.slots);
    REQUIRE(std::equal(made.position_ids.begin(), made.position_ids.end(),
                       expected.position_ids.begin(), expected.position_ids.end()));
    REQUIRE(made.sequence_index == expected.sequence_index);
  }
}

TEST_CASE("the first negative length is found, and counts as empty") {
  const scanned made = scan({4, 0, -7, 5, -1});
  CHECK(made.summary.first_negative == 2);
  CHECK(made.summary.tokens == 9);
  CHECK(made.cu_seqlens == std::vector<std::int32_t>{0, 4, 4, 4, 9, 9});
  CHECK_FALSE(gpu::is_valid(made.summary, 100));
}

TEST_CASE("more tokens than int32 counts are found, and leave the offsets ascending") {
  const scanned made = scan({INT32_MAX - 1, 1, 1, INT32_MAX, 0});
  CHECK(made.summary.tokens == 2 * std::int64_t{INT32_MAX} + 1);
  CHECK(made.summary.max_seqlen == INT32_MAX);
  CHECK(made.cu_seqlens ==
        std::vector<std::int32_t>{0, INT32_MAX - 1, INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX});
  CHECK_FALSE(gpu::is_valid(made.summary, INT64_MAX));
}

TEST_CASE("a pack is valid up to the last slot and the last int32") {
  CHECK(gpu::is_valid({.tokens = 8, .max_seqlen = 8}, 8));
  CHECK_FALSE(gpu::is_valid({.tokens = 9, .max_seqlen = 9}, 8));
  CHECK(gpu::is_valid({.tokens = INT32_MAX, .max_seqlen = 1}, INT64_MAX));
  CHECK_FALSE(gpu::is_valid({.tokens = std::int64_t{INT32_MAX} + 1, .max_seqlen = 1}, INT64_MAX));
  CHECK(gpu::is_valid({}, 0));
}

TEST_CASE("slots near the end of int32 find their document") {
  const std::int32_t cu_seqlens[] = {0, 5, INT32_MAX - 2};
  CHECK(detail::document_of(cu_seqlens, 2, INT32_MAX - 3) == 1);
  CHECK(detail::document_of(cu_seqlens, 2, INT32_MAX - 2) == 2);
}

TEST_CASE("an empty pack is stored without a scan") {
  std::int32_t cu_seqlens = -1;
  packed_summary summary{.tokens = 5, .max_seqlen = 5, .first_negative = 5};
  detail::store_summary{&cu_seqlens, &summary, 0}.finish({}, 0, 1);
  CHECK(cu_seqlens == 0);
  CHECK(summary.tokens == 0);
  CHECK(summary.max_seqlen == 0);
  CHECK(summary.first_negative == -1);
}
