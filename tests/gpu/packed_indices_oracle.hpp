// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packed-attention indices in the plainest way, and packs to try them on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace packed_indices_oracle {

/// Lengths of documents and the number of slots they are laid out in.
struct pack {
  std::vector<std::int32_t> lengths;
  std::size_t slots = 0;
};

struct indices {
  std::vector<std::int32_t> cu_seqlens = {0};
  std::int32_t max_seqlen = 0;
  std::vector<std::int64_t> position_ids;
  std::vector<std::int32_t> sequence_index;
};

/// One document after the other, then the padding as one more. For valid lengths.
inline indices indices_of(const pack& pack) {
  indices made;
  const auto add_slot = [&](std::int64_t position, std::size_t document) {
    made.position_ids.push_back(position);
    made.sequence_index.push_back(static_cast<std::int32_t>(document));
  };
  for (std::size_t d = 0; d < pack.lengths.size(); ++d) {
    for (std::int32_t token = 0; token < pack.lengths[d]; ++token) add_slot(token, d);
    made.cu_seqlens.push_back(made.cu_seqlens.back() + pack.lengths[d]);
    made.max_seqlen = std::max(made.max_seqlen, pack.lengths[d]);
  }
  for (std::int64_t slot = 0; made.position_ids.size() < pack.slots; ++slot)
    add_slot(slot, pack.lengths.size());
  return made;
}

/// Lengths below `bound`, with `padding` slots after them.
inline pack random_pack(std::size_t documents, std::uint32_t bound, std::size_t padding,
                        std::uint32_t seed) {
  std::mt19937 random(seed);
  pack made{.lengths = {}, .slots = padding};
  for (std::size_t d = 0; d < documents; ++d) {
    made.lengths.push_back(static_cast<std::int32_t>(random() % bound));
    made.slots += static_cast<std::size_t>(made.lengths.back());
  }
  return made;
}

/// Packs of every kind: nothing, one, empty documents (more in a row than a tile has slots), one
/// huge, many of one token, lengths around tile and chunk limits, more than one block scans.
inline std::vector<pack> packs() {
  std::vector<pack> made = {
      {.lengths = {}, .slots = 0},
      {.lengths = {}, .slots = 10},
      {.lengths = {1}, .slots = 1},
      {.lengths = {0}, .slots = 0},
      {.lengths = {0, 0, 0}, .slots = 5},
      {.lengths = {3, 0, 0, 4, 0}, .slots = 7},
      {.lengths = {0, 5, 1, 2}, .slots = 21},
      {.lengths = {100'001}, .slots = 100'001},
      {.lengths = {4096, 4096}, .slots = 8192},
      {.lengths = {4095, 1, 4097, 4}, .slots = 8200},
      {.lengths = std::vector<std::int32_t>(9000, 1), .slots = 9003},
      {.lengths = std::vector<std::int32_t>(10'000, 0), .slots = 3},
  };
  made.push_back({.lengths = std::vector<std::int32_t>(20'000, 0), .slots = 5000});
  made.back().lengths[7] = 3000;
  made.back().lengths[19'000] = 1500;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    made.push_back(random_pack(1 + 37 * seed, 3, seed, seed));
    made.push_back(random_pack(1 + 5 * seed, 900, 17 * seed, 100 + seed));
  }
  for (const std::uint32_t documents : {2048U, 2049U, 16'384U, 16'385U, 50'000U})
    made.push_back(random_pack(documents, 20, 11, documents));
  return made;
}

}  // namespace packed_indices_oracle
