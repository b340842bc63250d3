// SPDX-License-Identifier: Apache-2.0
// Host forms of packed-batch indices beside what trainers write: a loop over tokens for position
// ids, a look at every cell of the mask for its blocks (create_block_mask), lists that grow by one
// entry a token for rotary positions (get_rope_index). The loops are C++ too: the Python ones pay
// for the interpreter besides.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/indices.hpp>

using namespace omnibal::indices;

namespace {

using integers = std::vector<std::int64_t>;

/// Documents of 100 to 1,600 tokens that fill a row.
integers documents_of(std::int64_t slots) {
  integers lengths;
  for (std::int64_t i = 0; slots > 0; ++i) {
    lengths.push_back(std::min(slots, 100 + i * 7919 % 1500));
    slots -= lengths.back();
  }
  return lengths;
}

void position_ids(benchmark::State& state) {
  const integers lengths = documents_of(state.range(0));
  integers positions(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    const auto laid = lay_row(lengths);
    fill_tokens(laid.row(), {}, {.position_ids = positions});
    benchmark::DoNotOptimize(positions.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void position_ids_by_appending(benchmark::State& state) {
  const integers lengths = documents_of(state.range(0));
  for (auto _ : state) {
    integers positions;
    for (const std::int64_t length : lengths)
      for (std::int64_t i = 0; i < length; ++i) positions.push_back(i);
    benchmark::DoNotOptimize(positions.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void block_lists(benchmark::State& state) {
  const auto laid = lay_row(documents_of(state.range(0)));
  std::vector<std::int32_t> first(static_cast<std::size_t>(state.range(0)));
  std::vector<std::int32_t> limit(first.size());
  for (auto _ : state) {
    fill_tokens(laid.row(), {}, {.first_query = first, .limit_query = limit});
    benchmark::DoNotOptimize(list_blocks(first, limit, 128, 128));
  }
}

void block_counts_by_cells(benchmark::State& state) {
  const std::int64_t slots = state.range(0);
  const auto laid = lay_row(documents_of(slots));
  std::vector<std::int32_t> sequence(static_cast<std::size_t>(slots));
  fill_tokens(laid.row(), {}, {.sequence_index = sequence});
  const auto blocks = static_cast<std::size_t>((slots + 127) / 128);
  for (auto _ : state) {
    std::vector<std::int32_t> seen(blocks * blocks);
    for (std::size_t q = 0; q < sequence.size(); ++q)
      for (std::size_t k = 0; k < sequence.size(); ++k)
        seen[q / 128 * blocks + k / 128] += k <= q && sequence[q] == sequence[k] ? 1 : 0;
    benchmark::DoNotOptimize(seen.data());
  }
}

/// 64 images of 16 × 16 cells, each between runs of text.
struct image_text {
  std::vector<token_type> types;
  std::vector<image_grid> grids;

  explicit image_text(std::int64_t slots) : grids(64, {1, 32, 32}) {
    const auto text = static_cast<std::size_t>(slots / 64 - 256);
    for (std::size_t image = 0; image < grids.size(); ++image) {
      types.insert(types.end(), text, token_type::text);
      types.insert(types.end(), 256, token_type::image);
    }
  }
};

void rotary_positions(benchmark::State& state) {
  const image_text input(state.range(0));
  const auto laid = lay_row(integers{state.range(0)});
  integers positions(3 * input.types.size());
  for (auto _ : state) {
    const auto placed = place_images(laid.row(), {.types = input.types, .images = input.grids});
    fill_rope_positions(laid.row(), placed, positions);
    benchmark::DoNotOptimize(positions.data());
  }
}

void rotary_positions_by_appending(benchmark::State& state) {
  const image_text input(state.range(0));
  for (auto _ : state) {
    std::array<integers, 3> positions;
    std::int64_t p = 0;
    std::size_t slot = 0;
    while (slot < input.types.size()) {
      if (input.types[slot] == token_type::text) {
        for (integers& axis : positions) axis.push_back(p);
        ++p, ++slot;
        continue;
      }
      for (std::int64_t cell = 0; cell < 256; ++cell, ++slot) {
        positions[0].push_back(p);
        positions[1].push_back(p + cell / 16);
        positions[2].push_back(p + cell % 16);
      }
      p += 16;
    }
    benchmark::DoNotOptimize(positions.data());
  }
}

}  // namespace

BENCHMARK(position_ids)->Arg(8192)->Arg(131072);
BENCHMARK(position_ids_by_appending)->Arg(8192)->Arg(131072);
BENCHMARK(block_lists)->Arg(8192)->Arg(131072)->Unit(benchmark::kMillisecond);
BENCHMARK(block_counts_by_cells)->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(rotary_positions)->Arg(32768)->Unit(benchmark::kMillisecond);
BENCHMARK(rotary_positions_by_appending)->Arg(32768)->Unit(benchmark::kMillisecond);
