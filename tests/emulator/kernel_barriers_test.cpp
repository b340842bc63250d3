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

#include <omnibal/gpu/blocks.cuh>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/rope.cuh>
#include <omnibal/gpu/rows.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/gpu/unpad.cuh>
#include <omnibal/gpu/weights.cuh>
#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/rope.hpp>
#include <omnibal/indices/rows.hpp>
#include <omnibal/indices/tokens.hpp>
#include <omnibal/indices/weights.hpp>

#include "catch.hpp"
#include "emulator/mutants.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

/// Whether the row and the tokens of many documents are right and nothing else is wrong.
bool tokens_are_right() {
  std::vector<std::int32_t> lengths;
  for (int d = 0; d < 5000; ++d) lengths.push_back(d * 7 % 5);
  const auto laid = indices::lay_row(std::vector<std::int64_t>(lengths.begin(), lengths.end()));
  const indices::document_layout layout{.documents = 5000, .slots = laid.summary.slots_used};
  const device_array<std::int32_t> device_lengths(lengths);
  const device_array<std::int32_t> cu_seqlens(5002);
  const device_array<gpu::row_summary> summary(1);
  const auto slots = static_cast<std::size_t>(layout.slots);
  const device_array<std::int32_t> positions(slots);
  const gpu::device_document_arrays arrays{.cu_seqlens = cu_seqlens.span(),
                                           .summary = summary.span().data()};
  gpu::lay_documents(device_lengths.span(), layout, arrays);
  gpu::fill_tokens(gpu::row_of(arrays, 5000, layout.slots), indices::whole{layout.slots}, 0, {},
                   {.position_ids_int32 = positions.span()});
  std::vector<std::int32_t> expected(slots);
  indices::fill_tokens(laid.row(), {}, {.position_ids_int32 = expected});
  return positions.get() == expected;
}

/// Whether the blocks of keys that see some queries are right.
bool blocks_are_right(const std::vector<std::int32_t>& first,
                      const std::vector<std::int32_t>& limit, std::int64_t q_block,
                      std::int64_t k_block) {
  const auto host = indices::list_blocks(first, limit, q_block, k_block);
  const device_array<std::int32_t> device_first(first), device_limit(limit);
  const device_array<std::int32_t> kv(host.kv.count.size()), full_kv(host.kv.count.size()),
      q(host.q.count.size()), full_q(host.q.count.size());
  const std::size_t cells = host.kv.indices.size();
  const device_array<std::int32_t> of_kv(cells), of_full_kv(cells), of_q(cells), of_full_q(cells);
  gpu::list_blocks(device_first.span(), device_limit.span(), q_block, k_block,
                   {{kv.span(), of_kv.span()},
                    {full_kv.span(), of_full_kv.span()},
                    {q.span(), of_q.span()},
                    {full_q.span(), of_full_q.span()}});
  return of_kv.get() == host.kv.indices && of_full_kv.get() == host.full_kv.indices &&
         of_q.get() == host.q.indices && of_full_q.get() == host.full_q.indices;
}

bool blocks_are_right() {
  constexpr std::size_t slots = 1100;
  std::vector<std::int32_t> first(slots), limit(slots);
  // Two keys alone are seen, by a few queries and by many.
  first[5] = 800;
  limit[5] = 810;
  limit[300] = 600;
  if (!blocks_are_right(first, limit, 8, 700)) return false;
  limit.assign(slots, slots);
  for (std::size_t k = 0; k < slots; ++k) first[k] = static_cast<std::int32_t>(k);
  if (!blocks_are_right(first, limit, 8, 700)) return false;
  // Lines of more key blocks than are looked at together take many blocks: in one order alone.
  emulator::settings& options = emulator::the_device.grids.options;
  options = {.threads = emulator::order::reverse, .compare_orders = false};
  const bool long_lines_are_right = blocks_are_right(first, limit, 700, 1);
  options = {};
  return long_lines_are_right;
}

/// Whether weights of two documents a tile, and of many, are right.
bool weights_are_right() {
  std::vector<std::int64_t> lengths{3000, 3000, 4000};
  lengths.insert(lengths.end(), 2500, 1);
  const auto laid = indices::lay_row(lengths);
  const std::size_t documents = lengths.size();
  const std::vector<std::int64_t> labels(12500, 1);
  const device_array<std::int32_t> offsets(laid.cu_seqlens), counts(documents);
  const device_array<std::int64_t> device_labels(labels);
  const device_array<indices::weight_sums> sums(1);
  indices::document_row row = laid.row();
  row.cu_seqlens = row.cu_seqlens_padded = offsets.span().data();
  const auto found =
      gpu::weigh_documents(row, device_labels.span(), {.first = indices::first_label::kept},
                           indices::loss_weighting::token, {counts.span(), {}, sums.span().data()});
  return counts.get() == std::vector<std::int32_t>(lengths.begin(), lengths.end()) &&
         found.all == 12500 && found.after_slot_0 == 12499;
}

/// Whether places of set slots are right, in more tiles than a warp has lanes.
bool places_are_right() {
  std::vector<std::uint8_t> mask(150000);
  for (std::size_t slot = 0; slot < mask.size(); ++slot)
    mask[slot] = slot % 3 == 0 || slot / 700 % 2 == 0 ? 1 : 0;
  const indices::unpadded host = indices::unpad(mask, {}, 3);
  const device_array<std::uint8_t> device_mask(mask);
  const device_array<std::int64_t> places(host.indices.size());
  const device_array<std::int32_t> cu_seqlens(4), cu_used(4);
  const device_array<gpu::mark_counts> tiles(gpu::mark_tiles(150000));
  gpu::unpad({device_mask.span(), {}, 3},
             {places.span(), cu_seqlens.span(), cu_used.span(), {}, tiles.span()});
  return places.get() == host.indices && cu_seqlens.get() == host.cu_seqlens;
}

/// Whether positions are right of documents with more images than a block has threads.
bool rope_is_right() {
  const auto laid = indices::lay_row(std::vector<std::int64_t>{1000, 4000, 600});
  std::vector<indices::token_type> types(5600, indices::token_type::text);
  std::vector<indices::image_grid> images;
  for (std::size_t slot = 0; slot + 8 < types.size(); slot += 10 + slot % 3) {
    if (slot < 1000 && slot + 6 > 1000) continue;
    if (slot < 5000 && slot + 6 > 5000) continue;
    images.push_back({1, 2, 3});
    for (std::size_t i = slot; i < slot + 6; ++i) types[i] = indices::token_type::image;
  }
  const indices::rope_row placed =
      indices::place_images(laid.row(), {.merge = 1, .types = types, .images = images});
  std::vector<std::int64_t> expected(3 * types.size());
  indices::fill_rope_positions(laid.row(), placed, expected);

  const device_array<std::int32_t> offsets(laid.cu_seqlens);
  const device_array<indices::token_type> device_types(types);
  const device_array<indices::image_grid> device_images(images);
  const device_array<std::int64_t> positions(expected.size()), delta(3);
  const device_array<gpu::rope_summary> summary(1);
  const device_array<std::int32_t> cells(images.size() + 1), advances(images.size() + 1),
      no_cells(1), no_advances(1);
  const device_array<gpu::mark_counts> tiles(2);
  indices::document_row row = laid.row();
  row.cu_seqlens = row.cu_seqlens_padded = offsets.span().data();
  const auto place = [&] {
    gpu::place_images(row,
                      {.merge = 1, .types = device_types.span(), .images = device_images.span()},
                      {positions.span(),
                       summary.span().data(),
                       cells.span(),
                       advances.span(),
                       no_cells.span(),
                       no_advances.span(),
                       tiles.span(),
                       delta.span(),
                       {}});
  };
  place();
  if (positions.get() != expected || delta.get() != placed.delta) return false;
  // A grid that is not legal is remembered, whichever thread finds it first.
  images[7].h = -1;
  device_images.set(images);
  try {
    place();
  } catch (const omnibal::invalid_input&) {
    return summary.get()[0].first_bad_image == 7;
  }
  return false;
}

/// Whether the sources of few rows, many of each, are listed in order.
bool sources_are_right() {
  std::vector<std::int64_t> source;
  for (std::int64_t i = 0; i < 700; ++i) source.push_back(i % 2 == 0 ? i * i % 7 - 1 : 4 * i);
  const device_array<std::int64_t> given(source);
  const device_array<std::int32_t> cu_places(3001), places(700), next(3000);
  gpu::invert_sources(given.span(), {cu_places.span(), places.span(), next.span()});
  std::vector<std::int32_t> expected;
  for (std::int64_t row = 0; row < 3000; ++row)
    for (std::size_t i = 0; i < source.size(); ++i)
      if (source[i] == row) expected.push_back(static_cast<std::int32_t>(i));
  std::vector<std::int32_t> found = places.get();
  found.resize(expected.size());
  return found == expected;
}

void each_is_needed(bool (*is_right)(), std::size_t number) {
  REQUIRE(is_right());
  const mutants::barriers barriers = mutants::barriers_of(is_right);
  CHECK(barriers.met.size() == number);
  CHECK(barriers.needless == std::set<std::string>{});
}

}  // namespace

TEST_CASE("each barrier of the kernels of documents and tokens is needed") {
  each_is_needed(tokens_are_right, 4);
}

TEST_CASE("each barrier of the kernels of blocks is needed") {
  each_is_needed(blocks_are_right, 5);
}

TEST_CASE("each barrier of the kernels of weights is needed") {
  each_is_needed(weights_are_right, 4);
}

TEST_CASE("each barrier of the kernels that number slots is needed") {
  each_is_needed(places_are_right, 4);
}

TEST_CASE("each barrier of the kernels of M-RoPE is needed") { each_is_needed(rope_is_right, 7); }

TEST_CASE("each barrier of the kernels that list sources is needed") {
  each_is_needed(sources_are_right, 4);
}
