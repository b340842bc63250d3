// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets of single consumers, inverses of splits and arrays of prefix trees from kernels are
/// those of the host.
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/offsets.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/gpu/tree.cuh>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/offsets.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tree.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

std::vector<std::int64_t> random_lengths(std::size_t documents, std::uint32_t longest) {
  std::mt19937 random(static_cast<std::uint32_t>(documents) + longest);
  std::vector<std::int64_t> lengths;
  for (std::size_t d = 0; d < documents; ++d)
    lengths.push_back(static_cast<std::int64_t>(random() % 4 == 0 ? 0 : random() % longest));
  return lengths;
}

/// A row on the host with a copy of its offsets on the device.
struct both_rows {
  both_rows(const std::vector<std::int64_t>& lengths, std::int64_t multiple)
      : laid(indices::lay_row(lengths, std::nullopt, multiple)),
        plain(laid.cu_seqlens),
        padded(laid.cu_seqlens_padded),
        host(laid.row()),
        device(host) {
    device.cu_seqlens = plain.span().data();
    device.cu_seqlens_padded = padded.span().data();
  }
  indices::laid_documents laid;
  device_array<std::int32_t> plain, padded;
  indices::document_row host, device;
};

template <typename Split>
void compare_inverse(const Split& host, const Split& device, std::int64_t slots) {
  std::vector<std::int64_t> expected(static_cast<std::size_t>(slots));
  indices::invert_split(host, expected);
  const device_array<std::int64_t> place(expected.size(), 1);
  gpu::invert_split(device, place.span());
  REQUIRE(place.get() == expected);
  REQUIRE(place.surroundings_untouched());
}

}  // namespace

TEST_CASE("each rank of zigzag has the offsets of the host, and splits their inverses") {
  for (const std::size_t documents : {0U, 1U, 700U})
    for (const std::int64_t ranks : {1, 3}) {
      const both_rows row(random_lengths(documents, 90), 2 * ranks);
      for (std::int64_t rank = 0; rank < ranks; ++rank) {
        const device_array<std::int32_t> offsets(documents + 1, 1);
        gpu::lay_rank({row.device, ranks}, rank, offsets.span());
        REQUIRE(offsets.get() == indices::zigzag_cu_seqlens({row.host, ranks}, rank));
        REQUIRE(offsets.surroundings_untouched());
      }
      const std::int64_t slots = row.host.slots;
      compare_inverse(indices::zigzag{row.host, ranks}, {row.device, ranks}, slots);
      if (slots == 0) continue;
      compare_inverse(indices::zigzag_row{slots, ranks}, {slots, ranks}, slots);
      compare_inverse(indices::contiguous{slots, ranks}, {slots, ranks}, slots);
      compare_inverse(indices::striped{slots, ranks}, {slots, ranks}, slots);
      compare_inverse(indices::zigzag_ring_ulysses{slots, ranks, 1}, {slots, ranks, 1}, slots);
    }
}

TEST_CASE("the inverse of a split brings every slot back") {
  const indices::zigzag_row split{24, 3};
  std::vector<std::int64_t> place(24);
  indices::invert_split(split, place);
  for (std::int64_t slot = 0; slot < 24; ++slot) {
    const std::int64_t at = place[static_cast<std::size_t>(slot)];
    CHECK(split.global(at / split.local_slots(), at % split.local_slots()) == slot);
  }
}

TEST_CASE("chunks of linear attention are those of the host") {
  for (const std::size_t documents : {0U, 1U, 5U, 900U})
    for (const std::int64_t chunk : {1, 7, 64}) {
      const auto lengths = random_lengths(documents, 200);
      const both_rows row(lengths, 1);
      const indices::chunk_offsets host = indices::lay_chunks(lengths, chunk);
      const std::size_t most = documents + static_cast<std::size_t>(row.host.slots / chunk);
      const device_array<std::int32_t> offsets(documents + 1, 1), pairs(2 * most, 1),
          begins(most + 1, 1);
      gpu::lay_chunks(row.device, chunk, {offsets.span(), pairs.span(), begins.span()});
      std::vector<std::int32_t> expected_pairs = host.indices;
      std::vector<std::int32_t> expected_begins = host.split_cu_seqlens;
      expected_pairs.resize(2 * most, -1);
      expected_begins.resize(most + 1, host.split_cu_seqlens.back());
      REQUIRE(offsets.get() == host.offsets);
      REQUIRE(pairs.get() == expected_pairs);
      REQUIRE(begins.get() == expected_begins);
      REQUIRE(begins.surroundings_untouched());
      REQUIRE(pairs.surroundings_untouched());
    }
}

TEST_CASE("capacity for fewer chunks than there may be is refused") {
  const both_rows row({10, 10}, 1);
  const device_array<std::int32_t> offsets(3), pairs(6);
  CHECK_THROWS_WITH(
      gpu::lay_chunks(row.device, 4, {offsets.span(), pairs.span(), {}}),
      Catch::Matchers::Contains("capacity of chunks = 3") && Catch::Matchers::Contains("7"));
}

TEST_CASE("element offsets repeat the last document's end") {
  const both_rows q_row({3, 0, 5}, 4);
  const both_rows kv_row({9, 1, 2}, 1);
  const device_array<std::int32_t> q(6, 1), k(2, 1), stats(5);
  gpu::ragged_offsets<std::int32_t>(q_row.device, kv_row.device,
                                    {.q = 10, .k = 3, .v = 1, .o = 1, .stats = 2},
                                    {.q = q.span(), .k = k.span(), .stats = stats.span()});
  CHECK(q.get() == std::vector<std::int32_t>{0, 40, 40, 120, 120, 120});
  CHECK(k.get() == std::vector<std::int32_t>{0, 27});
  CHECK(stats.get() == std::vector<std::int32_t>{0, 8, 8, 24, 24});
  CHECK(q.surroundings_untouched());
  CHECK(k.surroundings_untouched());
}

TEST_CASE("offsets that int32 may not hold are refused, int64 holds them") {
  const both_rows row({1 << 20}, 1);
  const indices::ragged_multipliers elements{.q = 1, .k = 1, .v = 1, .o = 4096, .stats = 1};
  const device_array<std::int32_t> narrow(2);
  CHECK_THROWS_WITH(
      gpu::ragged_offsets<std::int32_t>(row.device, row.device, elements, {.o = narrow.span()}),
      Catch::Matchers::Contains("o = 4096"));
  const device_array<std::int64_t> wide(2);
  gpu::ragged_offsets<std::int64_t>(row.device, row.device, elements, {.o = wide.span()});
  CHECK(wide.get() == std::vector<std::int64_t>{0, std::int64_t{1} << 32});
}

TEST_CASE("tile-padded offsets are those of the functor") {
  const both_rows row(random_lengths(600, 70), 1);
  const device_array<std::int32_t> offsets(600, 1);
  gpu::tile_padded_offsets(row.device, 128, offsets.span());
  const indices::tile_padded_offset expected{row.host.cu_seqlens, 128};
  const std::vector<std::int32_t> found = offsets.get();
  for (std::size_t d = 0; d < 600; ++d) REQUIRE(found[d] == expected(static_cast<std::int64_t>(d)));
  CHECK(offsets.surroundings_untouched());
  CHECK_THROWS_AS(gpu::tile_padded_offsets(row.device, INT32_MAX, offsets.span()),
                  omnibal::invalid_input);
}

TEST_CASE("slots of prefix trees have the depths and subtrees of the host") {
  std::mt19937 random(2);
  for (const std::size_t sequences : {0U, 1U, 4U, 60U}) {
    std::vector<std::vector<std::int64_t>> all(sequences);
    for (auto& sequence : all)
      for (std::size_t i = random() % 40; i > 0; --i)
        sequence.push_back(static_cast<std::int64_t>(random() % 10 == 0 ? random() % 3 : 0));
    for (const auto order :
         {indices::tree_order::preorder, indices::tree_order::first_appearance}) {
      const indices::tree_row tree = indices::lay_tree(all, 2000, order);
      const device_array<indices::tree_run> runs(tree.runs);
      const device_array<std::int64_t> positions(2000, 1);
      const device_array<std::int32_t> first(2000, 1), limit(2000, 1);
      gpu::fill_tree(runs.span(), static_cast<std::int64_t>(tree.tokens.size()), 2000,
                     {positions.span(), first.span(), limit.span()});
      REQUIRE(positions.get() == tree.position_ids);
      REQUIRE(limit.get() == tree.subtree_end);
      std::vector<std::int32_t> own(2000);
      std::iota(own.begin(), own.end(), 0);
      REQUIRE(first.get() == own);
      REQUIRE(positions.surroundings_untouched());
      REQUIRE(limit.surroundings_untouched());
    }
  }
}
