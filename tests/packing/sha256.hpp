// SPDX-License-Identifier: Apache-2.0
/// @file
/// SHA-256 (FIPS 180-4), for comparing packs with published hashes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sha256_detail {

/// The first 32 bits of the fractional part of a root of a prime, by integer search.
constexpr std::uint32_t root_fraction(std::uint64_t prime, int degree) {
  // The largest root with 36 bits whose power does not exceed prime · 2^(32 · degree).
  __extension__ typedef unsigned __int128 wide;
  std::uint64_t root = 0;
  for (std::uint64_t bit = std::uint64_t{1} << 36; bit > 0; bit >>= 1) {
    const wide candidate = root | bit;
    const bool fits = degree == 2 ? candidate * candidate <= wide{prime} << 64
                                  : candidate * candidate <= (wide{prime} << 96) / candidate;
    if (fits) root |= bit;
  }
  return static_cast<std::uint32_t>(root);
}

template <std::size_t Count>
constexpr std::array<std::uint32_t, Count> root_fractions(int degree) {
  std::array<std::uint32_t, Count> fractions{};
  std::size_t found = 0;
  for (std::uint64_t number = 2; found < Count; ++number) {
    bool prime = true;
    for (std::uint64_t divisor = 2; divisor * divisor <= number; ++divisor)
      prime &= number % divisor != 0;
    if (prime) fractions[found++] = root_fraction(number, degree);
  }
  return fractions;
}

inline constexpr auto round_constants = root_fractions<64>(3);

constexpr void compress(std::array<std::uint32_t, 8>& state, std::string_view block) {
  std::array<std::uint32_t, 64> words{};
  for (std::size_t k = 0; k < 64; ++k)
    words[k / 4] = words[k / 4] << 8 | static_cast<unsigned char>(block[k]);
  for (std::size_t k = 16; k < 64; ++k) {
    const std::uint32_t a = words[k - 15];
    const std::uint32_t b = words[k - 2];
    words[k] = words[k - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + words[k - 7] +
               (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t k = 0; k < 64; ++k) {
    const std::uint32_t first = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                ((e & f) ^ (~e & g)) + round_constants[k] + words[k];
    const std::uint32_t second =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
  }
  const std::array<std::uint32_t, 8> added{a, b, c, d, e, f, g, h};
  for (std::size_t k = 0; k < 8; ++k) state[k] += added[k];
}

}  // namespace sha256_detail

/// The digest of a text as 64 hexadecimal digits.
inline std::string sha256(std::string text) {
  auto state = sha256_detail::root_fractions<8>(2);
  const std::uint64_t bits = text.size() * 8;
  text += '\x80';
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8);
  for (int shift = 56; shift >= 0; shift -= 8) text += static_cast<char>(bits >> shift & 255U);
  for (std::size_t first = 0; first < text.size(); first += 64)
    sha256_detail::compress(state, std::string_view(text).substr(first, 64));
  std::string digits;
  for (const std::uint32_t word : state)
    for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[word >> shift & 15U];
  return digits;
}
