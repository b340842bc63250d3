// SPDX-License-Identifier: Apache-2.0
/// @file
/// A 64-bit fingerprint of a plan that is the same on every platform: XXH64 over the plan's
/// integers, each as eight little-endian bytes, so that it depends neither on the machine nor on
/// the width of an index type. Ranks compare it to detect different plans.
/// Source: Collet, "xxHash fast digest algorithm", specification 0.2.0, section XXH64 (known
/// answers are in the tests). Not cryptographic: it detects accidental differences, not
/// attacks.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>

namespace omnibal::inline v0 {

/// XXH64 of bytes added in pieces; the result does not depend on where the pieces are cut.
class hash_stream {
 public:
  explicit constexpr hash_stream(std::uint64_t seed = 0) noexcept
      : lanes_{seed + prime_1 + prime_2, seed + prime_2, seed, seed - prime_1}, seed_(seed) {}

  constexpr void add(std::span<const std::byte> bytes) noexcept {
    length_ += bytes.size();
    while (!bytes.empty()) {
      const std::size_t taken = std::min(bytes.size(), stripe_.size() - filled_);
      std::copy_n(bytes.begin(), taken, stripe_.begin() + static_cast<std::ptrdiff_t>(filled_));
      filled_ += taken;
      bytes = bytes.subspan(taken);
      if (filled_ == stripe_.size()) consume_stripe();
    }
  }

  /// The hash of all bytes so far; more may follow.
  [[nodiscard]] constexpr std::uint64_t value() const noexcept {
    return avalanche(with_tail((length_ < stripe_.size() ? seed_ + prime_5 : merged()) + length_));
  }

 private:
  static constexpr std::uint64_t prime_1 = 0x9E3779B185EBCA87;
  static constexpr std::uint64_t prime_2 = 0xC2B2AE3D27D4EB4F;
  static constexpr std::uint64_t prime_3 = 0x165667B19E3779F9;
  static constexpr std::uint64_t prime_4 = 0x85EBCA77C2B2AE63;
  static constexpr std::uint64_t prime_5 = 0x27D4EB2F165667C5;

  template <std::size_t Count>
  [[nodiscard]] constexpr std::uint64_t read(std::size_t at) const noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < Count; ++i)
      word |= std::to_integer<std::uint64_t>(stripe_[at + i]) << (8 * i);
    return word;
  }

  [[nodiscard]] static constexpr std::uint64_t round(std::uint64_t lane,
                                                     std::uint64_t word) noexcept {
    return std::rotl(lane + word * prime_2, 31) * prime_1;
  }

  constexpr void consume_stripe() noexcept {
    for (std::size_t i = 0; i < lanes_.size(); ++i) lanes_[i] = round(lanes_[i], read<8>(8 * i));
    filled_ = 0;
  }

  [[nodiscard]] constexpr std::uint64_t merged() const noexcept {
    std::uint64_t hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) +
                         std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * prime_1 + prime_4;
    return hash;
  }

  /// Mixes in the bytes of the last, incomplete stripe.
  [[nodiscard]] constexpr std::uint64_t with_tail(std::uint64_t hash) const noexcept {
    std::size_t at = 0;
    for (; at + 8 <= filled_; at += 8)
      hash = std::rotl(hash ^ round(0, read<8>(at)), 27) * prime_1 + prime_4;
    for (; at + 4 <= filled_; at += 4)
      hash = std::rotl(hash ^ (read<4>(at) * prime_1), 23) * prime_2 + prime_3;
    for (; at < filled_; ++at) hash = std::rotl(hash ^ (read<1>(at) * prime_5), 11) * prime_1;
    return hash;
  }

  [[nodiscard]] static constexpr std::uint64_t avalanche(std::uint64_t hash) noexcept {
    hash = (hash ^ (hash >> 33)) * prime_2;
    hash = (hash ^ (hash >> 29)) * prime_3;
    return hash ^ (hash >> 32);
  }

  std::array<std::uint64_t, 4> lanes_;
  std::uint64_t seed_;
  std::array<std::byte, 32> stripe_{};
  std::size_t filled_ = 0;
  std::uint64_t length_ = 0;
};

/// Adds an integer or an enumerator as eight little-endian bytes, negative ones sign-extended.
template <typename Number>
requires std::integral<Number> || std::is_enum_v<Number>
constexpr void add_to_hash(hash_stream& hash, Number number) noexcept {
  const auto word = static_cast<std::uint64_t>(number);
  std::array<std::byte, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>((word >> (8 * i)) & 0xFF);
  hash.add(bytes);
}

/// Adds the length of a text, then its bytes.
constexpr void add_to_hash(hash_stream& hash, std::string_view text) noexcept {
  add_to_hash(hash, text.size());
  for (const char letter : text) {
    const auto byte = static_cast<std::byte>(letter);
    hash.add(std::span(&byte, 1));
  }
}

/// Adds the number of integers in a range, then the integers.
template <std::ranges::sized_range Range>
requires std::integral<std::ranges::range_value_t<Range>> &&
    (!std::convertible_to<const Range&, std::string_view>)constexpr void add_to_hash(
        hash_stream& hash, const Range& numbers) noexcept {
  add_to_hash(hash, std::ranges::size(numbers));
  for (const auto number : numbers) add_to_hash(hash, number);
}

/// Adds the offsets, then the indices of a grouping.
template <std::unsigned_integral Index>
void add_to_hash(hash_stream& hash, const grouping<Index>& groups) noexcept {
  add_to_hash(hash, groups.offsets());
  add_to_hash(hash, groups.indices());
}

/// The hash of a plan made of integers, enumerators, texts, ranges of integers and groupings, in
/// this order. O(size of the plan).
template <typename... Parts>
[[nodiscard]] constexpr std::uint64_t plan_hash(const Parts&... parts) noexcept {
  hash_stream hash;
  (add_to_hash(hash, parts), ...);
  return hash.value();
}

}  // namespace omnibal::inline v0
