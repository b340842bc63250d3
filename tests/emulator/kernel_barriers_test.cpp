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
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/tokens.hpp>

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
