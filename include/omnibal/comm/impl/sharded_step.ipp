// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE shard shard_of(std::size_t elements, std::size_t ranks, std::size_t rank) {
  if (rank >= ranks)
    throw invalid_input("rank", rank, "must be a rank below " + std::to_string(ranks));
  const std::size_t blocks = elements / shard_block + (elements % shard_block != 0 ? 1 : 0);
  const auto begin = [&](std::size_t r) {
    const std::size_t before = blocks / ranks * r + std::min(r, blocks % ranks);
    return std::min(before, elements / shard_block + 1) * shard_block;
  };
  const std::size_t first = std::min(begin(rank), elements);
  return {first, std::min(begin(rank + 1), elements) - first};
}

OMNIBAL_INLINE std::vector<shard_piece> recut_shard(std::size_t elements, std::size_t old_ranks,
                                                    std::size_t ranks, std::size_t rank) {
  const shard wanted = shard_of(elements, ranks, rank);
  std::vector<shard_piece> pieces;
  for (std::size_t r = 0; r < old_ranks; ++r) {
    const shard old = shard_of(elements, old_ranks, r);
    const std::size_t first = std::max(old.first, wanted.first);
    const std::size_t end = std::min(old.first + old.count, wanted.first + wanted.count);
    if (first < end) pieces.push_back({r, first - old.first, end - first});
  }
  return pieces;
}

namespace detail {

OMNIBAL_INLINE std::vector<double> block_squares(std::span<const float> values) {
  std::vector<double> squares(values.size() / shard_block + (values.size() % shard_block ? 1 : 0));
  for (std::size_t i = 0; i < values.size(); ++i)
    squares[i / shard_block] += double{values[i]} * values[i];
  return squares;
}

}  // namespace detail

}  // namespace omnibal::inline v0
