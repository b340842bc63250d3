// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels that number slots give what the host forms give.
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/unpad.cuh>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/rows.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

void compare_unpadded(std::size_t rows, std::size_t columns, std::uint32_t one_in, bool reserves) {
  std::mt19937 random(static_cast<std::uint32_t>(rows * columns) + one_in);
  std::vector<std::uint8_t> mask(rows * columns), unused(reserves ? mask.size() : 0);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    mask[i] = random() % one_in == 0 ? 1 : 0;
    if (reserves) unused[i] = mask[i] == 0 && random() % 3 == 0 ? 1 : 0;
  }
  const indices::unpadded host = indices::unpad(mask, unused, rows);
  const device_array<std::uint8_t> device_mask(mask), device_unused(unused);
  const device_array<std::int64_t> places(host.indices.size(), 1);
  const device_array<std::int32_t> cu_seqlens(rows + 1, 1), cu_used(rows + 1), seqused(rows, 1);
  const device_array<gpu::mark_counts> tiles(
      gpu::mark_tiles(static_cast<std::int64_t>(mask.size())));
  gpu::unpad({device_mask.span(), device_unused.span(), static_cast<std::int64_t>(rows)},
             {places.span(), cu_seqlens.span(), cu_used.span(), seqused.span(), tiles.span()});
  REQUIRE(places.get() == host.indices);
  REQUIRE(cu_seqlens.get() == host.cu_seqlens);
  REQUIRE(seqused.get() == host.seqused);
  REQUIRE(places.surroundings_untouched());
  REQUIRE(cu_seqlens.surroundings_untouched());
  REQUIRE(seqused.surroundings_untouched());
}

struct scattered {
  std::vector<std::int64_t> source, slots;
  std::vector<std::int32_t> used;
};

scattered scatter_on_device(const std::vector<std::int64_t>& tokens,
                            const std::vector<std::uint8_t>& tile_used,
                            std::int64_t rows_per_tile) {
  const device_array<std::int64_t> given(tokens), source(tokens.size(), 1), slots(tokens.size());
  const device_array<std::uint8_t> used(tile_used);
  const device_array<std::int32_t> numbers(tile_used.size());
  const device_array<gpu::scatter_summary> summary(1);
  const auto tiles = [](std::size_t count) {
    return gpu::mark_tiles(static_cast<std::int64_t>(count));
  };
  const device_array<gpu::mark_counts> of_slots(tiles(tokens.size())),
      of_tiles(tiles(tile_used.size()));
  const gpu::scatter_summary found =
      gpu::plan_scatter(given.span(), 9, used.span(), rows_per_tile,
                        {summary.span().data(), numbers.span(), source.span(), slots.span(),
                         of_slots.span(), of_tiles.span()});
  REQUIRE(source.surroundings_untouched());
  scattered all{source.get(), slots.get(), numbers.get()};
  all.slots.resize(static_cast<std::size_t>(found.slots));
  all.used.resize(static_cast<std::size_t>(found.tiles));
  return all;
}

}  // namespace

TEST_CASE("set slots of random masks are found as on the host") {
  for (const bool reserves : {false, true})
    for (const std::uint32_t one_in : {1U, 2U, 50U}) {
      compare_unpadded(1, 10000, one_in, reserves);
      compare_unpadded(7, 1171, one_in, reserves);
      compare_unpadded(300, 40, one_in, reserves);
    }
}

TEST_CASE("masks of no rows, no columns, and of whole tiles") {
  compare_unpadded(0, 0, 1, false);
  compare_unpadded(5, 0, 1, false);
  for (const std::size_t columns : {4095U, 4096U, 4097U}) compare_unpadded(2, columns, 2, true);
}

TEST_CASE("places beyond the capacity are left out") {
  const device_array<std::uint8_t> mask(std::vector<std::uint8_t>{1, 0, 1, 1});
  const device_array<std::int64_t> places(2, 1);
  const device_array<std::int32_t> cu_seqlens(3), cu_used(3);
  const device_array<gpu::mark_counts> tiles(1);
  gpu::unpad({mask.span(), {}, 2},
             {places.span(), cu_seqlens.span(), cu_used.span(), {}, tiles.span()});
  CHECK(places.get() == std::vector<std::int64_t>{0, 2});
  CHECK(places.surroundings_untouched());
  CHECK(cu_seqlens.get() == std::vector<std::int32_t>{0, 1, 3});
  CHECK_THROWS_AS(gpu::unpad({mask.span(), {}, 3},
                             {places.span(), cu_seqlens.span(), cu_used.span(), {}, tiles.span()}),
                  omnibal::invalid_input);
}

TEST_CASE("tokens of rows have the places of the host") {
  const std::vector<std::int64_t> lengths{3, 0, 4, 2, 5};
  const std::vector<std::int64_t> row_of_document{0, 0, 1, 1, 3};
  const auto host = indices::places_in_rows(lengths, row_of_document, 11);
  const device_array<std::int32_t> cu_tokens(std::vector<std::int32_t>{0, 3, 9, 9, 14});
  const device_array<std::int64_t> places(host.size(), 1);
  gpu::places_in_rows(cu_tokens.span(), 11, places.span());
  CHECK(places.get() == host);
  CHECK(places.surroundings_untouched());
}

TEST_CASE("image tokens take the rows of used tiles as on the host") {
  std::mt19937 random(8);
  for (const std::size_t tiles : {0U, 1U, 30U, 5000U})
    for (const std::int64_t rows_per_tile : {1, 7}) {
      std::vector<std::uint8_t> used(tiles);
      std::size_t rows = 0;
      for (auto& tile : used) {
        tile = static_cast<std::uint8_t>(random() % 2);
        rows += tile * static_cast<std::size_t>(rows_per_tile);
      }
      std::vector<std::int64_t> tokens(2 * rows + 3, 1);
      for (std::size_t n = 0; n < rows; ++n) tokens[2 * n + random() % 2] = 9;
      const auto plan = indices::plan_scatter(tokens, 9, used, rows_per_tile);
      const scattered device = scatter_on_device(tokens, used, rows_per_tile);
      REQUIRE(device.source == indices::source_row_of_slot(plan, tokens.size()));
      REQUIRE(device.slots == plan.slots);
      for (const std::int32_t tile : device.used)
        REQUIRE(used[static_cast<std::size_t>(tile)] == 1);
    }
}

TEST_CASE("other numbers of slots than of rows are refused by both numbers") {
  CHECK_THROWS_WITH(
      scatter_on_device({9, 1, 9, 9}, {1, 0, 1}, 1),
      Catch::Matchers::Contains("rows of used tiles = 2") && Catch::Matchers::Contains("3"));
}
