// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random numbers that are the same on every platform and for every number of threads: the
/// generator is counter-based, so any part of a stream can be computed independently.
/// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011
/// (Philox4x32 with ten rounds; the known answers of its authors are in the tests).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <ranges>
#include <utility>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// One block of four random words for a 128-bit counter under a 64-bit key. Ten rounds.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(
    std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) noexcept {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t first = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// A stream of 32-bit words under a seed. Streams of one seed with different numbers are
/// independent: give each purpose, pass or thread its own. Models uniform_random_bit_generator.
class random_stream {
 public:
  using result_type = std::uint32_t;

  explicit constexpr random_stream(std::uint64_t seed, std::uint64_t stream = 0) noexcept
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        stream_(stream) {}

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return std::numeric_limits<result_type>::max(); }

  constexpr result_type operator()() noexcept {
    if (next_ == block_.size()) refill();
    return block_[next_++];
  }

 private:
  constexpr void refill() noexcept {
    block_ = philox4x32(
        {static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32),
         static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
        key_);
    ++counter_;
    next_ = 0;
  }

  std::array<std::uint32_t, 2> key_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  std::size_t next_ = 4;
};

/// An unbiased draw from 0 … bound − 1, bound > 0. Lemire, "Fast random integer generation in an
/// interval", ACM TOMACS 2019: one multiplication, a division only in a rare case.
[[nodiscard]] constexpr std::uint32_t uniform_below(random_stream& random,
                                                    std::uint32_t bound) noexcept {
  std::uint64_t product = std::uint64_t{random()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = (0U - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold)
      product = std::uint64_t{random()} * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

/// A uniformly random permutation in place (Fisher–Yates). O(n) draws.
/// Precondition: at most 2³² − 1 elements.
template <std::ranges::random_access_range Range>
constexpr void shuffle_randomly(Range&& range, random_stream& random) noexcept {
  const auto begin = std::ranges::begin(range);
  for (auto i = static_cast<std::uint32_t>(std::ranges::size(range)); i > 1; --i)
    std::ranges::swap(begin[i - 1], begin[uniform_below(random, i)]);
}

}  // namespace omnibal::inline v0
