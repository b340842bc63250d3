// SPDX-License-Identifier: Apache-2.0
/// @file
/// Integer arithmetic with overflow checks. Loads, times and bytes come from callers: wherever the
/// library sums or scales them, it calls one of these functions.
#pragma once

#include <concepts>
#include <limits>
#include <optional>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// A 128-bit integer for products of two 64-bit ones: bound proofs compare time x bytes.
__extension__ typedef __int128 wide_integer;

/// left + right, or std::nullopt when the type cannot hold it.
template <std::integral Integer>
[[nodiscard]] constexpr std::optional<Integer> try_add(Integer left, Integer right) noexcept {
  Integer sum{};
  if (__builtin_add_overflow(left, right, &sum)) return std::nullopt;
  return sum;
}

/// left * right, or std::nullopt when the type cannot hold it.
template <std::integral Integer>
[[nodiscard]] constexpr std::optional<Integer> try_multiply(Integer left, Integer right) noexcept {
  Integer product{};
  if (__builtin_mul_overflow(left, right, &product)) return std::nullopt;
  return product;
}

/// left + right; throws invalid_input naming `field` when the type cannot hold it.
template <std::integral Integer>
[[nodiscard]] constexpr Integer checked_add(Integer left, Integer right, std::string_view field) {
  if (const auto sum = try_add(left, right)) return *sum;
  throw invalid_input(field, right,
                      "makes a sum too large for its integer type; use coarser units");
}

/// left * right; throws invalid_input naming `field` when the type cannot hold it.
template <std::integral Integer>
[[nodiscard]] constexpr Integer checked_multiply(Integer left, Integer right,
                                                 std::string_view field) {
  if (const auto product = try_multiply(left, right)) return *product;
  throw invalid_input(field, right,
                      "makes a product too large for its integer type; use coarser units");
}

/// ⌈numerator / denominator⌉ for numerator ≥ 0 and denominator > 0.
template <std::integral Integer>
[[nodiscard]] constexpr Integer divide_rounding_up(Integer numerator,
                                                   Integer denominator) noexcept {
  return static_cast<Integer>(numerator / denominator + (numerator % denominator != 0 ? 1 : 0));
}

}  // namespace omnibal::inline v0
