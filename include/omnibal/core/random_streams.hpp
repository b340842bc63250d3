// SPDX-License-Identifier: Apache-2.0
/// @file
/// The registry of random streams: one number per purpose, so that no two purposes draw from the
/// same stream under the same seed.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include <omnibal/config.hpp>
#include <omnibal/core/random.hpp>

namespace omnibal::inline v0 {

enum class random_purpose : std::uint64_t {
  length_table = 0,  ///< 0: rows, 1: which of them are text-only.
  isf_pass = 1,
  balanced_epoch = 2,
  dispatch_epoch = 3,
  sequence_parallel_epoch = 4,
  dispatch_ranks = 7,
  mixture_pass = 8,
  mixture_epoch = 9,
  partition_walk = 10,
  isf_epoch = 11,
};

/// The stream for pass or epoch `index` of a purpose.
[[nodiscard]] constexpr random_stream stream_for(std::uint64_t seed, random_purpose purpose,
                                                 std::uint64_t index) noexcept {
  return random_stream(seed, (static_cast<std::uint64_t>(purpose) << 56) ^ index);
}

/// A seed of 64 bits.
[[nodiscard]] constexpr std::uint64_t draw_seed(random_stream& random) noexcept {
  const std::uint64_t high = random();
  return high << 32 | random();
}

/// A new independent stream, seeded from `random`: with one per part of the work, the parts can be
/// done in any order.
[[nodiscard]] constexpr random_stream fork_stream(random_stream& random) noexcept {
  return random_stream(draw_seed(random));
}

/// The same permutation as shuffle_randomly(), faster for items that do not fit the cache: the
/// partners of many items are drawn first, so that the processor can overlap their exchanges.
/// Precondition: at most 2³² − 1 items.
template <typename Item>
void shuffle_fast(std::span<Item> items, random_stream& random) noexcept {
  std::array<std::uint32_t, 256> partners;
  for (auto left = static_cast<std::uint32_t>(items.size()); left > 1;) {
    const auto count = std::min(left - 1, static_cast<std::uint32_t>(partners.size()));
    for (std::uint32_t k = 0; k < count; ++k) partners[k] = uniform_below(random, left - k);
    for (std::uint32_t k = 0; k < count; ++k) std::swap(items[left - 1 - k], items[partners[k]]);
    left -= count;
  }
}

}  // namespace omnibal::inline v0
