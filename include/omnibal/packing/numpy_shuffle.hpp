// SPDX-License-Identifier: Apache-2.0
/// @file
/// NumPy's legacy shuffle, numpy.random.RandomState(seed).shuffle, which the published OmniBal
/// implementation uses: with it pack_isf reproduces the paper's packs byte for byte.
/// Sources: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 1998 (the generator; its
/// 2002 seeding); NumPy's documentation of RandomState (masked rejection, swaps from the end).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// MT19937, generated in blocks of 624 words: the same words as std::mt19937, about three times as
/// fast when the compiler vectorises the loops.
class mersenne_twister {
 public:
  static constexpr std::size_t block_size = 624;

  explicit constexpr mersenne_twister(std::uint32_t seed) noexcept {
    state_[0] = seed;
    for (std::uint32_t k = 1; k < block_size; ++k)
      state_[k] = 1812433253U * (state_[k - 1] ^ (state_[k - 1] >> 30)) + k;
  }

  /// Writes the next 624 words.
  constexpr void next_block(std::span<std::uint32_t, block_size> words) noexcept {
    advance();
    for (std::size_t k = 0; k < block_size; ++k) words[k] = temper(state_[k]);
  }

 private:
  static constexpr std::size_t shift = 397;

  // The recurrence reads `shift` words ahead, cyclically; the last word is computed separately
  // because its successor is the first word, already advanced. Compilers can vectorise the loops
  // because no iteration reads what a nearby one wrote.
  constexpr void advance() noexcept {
    for (std::size_t k = 0; k < block_size - shift; ++k)
      state_[k] = state_[k + shift] ^ twist(state_[k], state_[k + 1]);
    for (std::size_t k = block_size - shift; k < block_size - 1; ++k)
      state_[k] = state_[k + shift - block_size] ^ twist(state_[k], state_[k + 1]);
    state_[block_size - 1] = state_[shift - 1] ^ twist(state_[block_size - 1], state_[0]);
  }

  static constexpr std::uint32_t twist(std::uint32_t upper, std::uint32_t lower) noexcept {
    const std::uint32_t joined = (upper & 0x80000000U) | (lower & 0x7FFFFFFFU);
    return (joined >> 1) ^ ((0U - (lower & 1U)) & 0x9908B0DFU);
  }

  static constexpr std::uint32_t temper(std::uint32_t word) noexcept {
    word ^= word >> 11;
    word ^= (word << 7) & 0x9D2C5680U;
    word ^= (word << 15) & 0xEFC60000U;
    return word ^ (word >> 18);
  }

  std::array<std::uint32_t, block_size> state_{};
};

/// Shuffles as numpy.random.RandomState(seed).shuffle does, one call after the other.
class numpy_stream {
 public:
  explicit constexpr numpy_stream(std::uint32_t seed) noexcept : generator_(seed) {}

  /// A random permutation in place. Precondition: at most 2³² − 1 items. O(n).
  template <typename Item>
  constexpr void shuffle(std::span<Item> items) noexcept {
    std::array<std::uint32_t, batch_size> partners;
    for (std::size_t last = items.size(); last-- > 1;) {
      const auto count = draw_partners(static_cast<std::uint32_t>(last), partners);
      for (std::uint32_t k = 0; k < count; ++k) std::swap(items[last - k], items[partners[k]]);
      last -= count - 1;
    }
  }

 private:
  static constexpr std::size_t batch_size = 512;

  // Draws the partners of last, last − 1, …: as many as share the bit mask of `last`, at most a
  // batch. A rejected draw is overwritten by the next one, which needs no branch that the processor
  // could mispredict.
  constexpr std::uint32_t draw_partners(std::uint32_t last,
                                        std::array<std::uint32_t, batch_size>& partners) noexcept {
    const std::uint32_t mask = ~0U >> std::countl_zero(last);
    const std::uint32_t wanted =
        std::min(last - (mask >> 1), static_cast<std::uint32_t>(batch_size));
    std::uint32_t accepted = 0;
    while (accepted < wanted) {
      if (next_ == words_.size()) refill();
      const std::size_t tries = std::min<std::size_t>(wanted - accepted, words_.size() - next_);
      for (const std::uint32_t word : std::span(words_).subspan(next_, tries)) {
        partners[accepted] = word & mask;
        accepted += (word & mask) <= last - accepted ? 1U : 0U;
      }
      next_ += tries;
    }
    return wanted;
  }

  constexpr void refill() noexcept {
    generator_.next_block(words_);
    next_ = 0;
  }

  mersenne_twister generator_;
  std::array<std::uint32_t, mersenne_twister::block_size> words_{};
  std::size_t next_ = mersenne_twister::block_size;
};

}  // namespace omnibal::inline v0
