// SPDX-License-Identifier: Apache-2.0
/// @file
/// The workload of a micro-batch (tiles, tokens, squared tokens) and costs that are linear in it.
///
/// Coefficients are rounded once from floating point to fixed point; everything computed from them
/// is integer arithmetic and the same on every platform. Costs of layers add up exactly: the cost
/// of a stage is the sum over its layers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// The size of a micro-batch.
struct workload {
  std::int64_t tiles = 0;           ///< Image tiles.
  std::int64_t tokens = 0;          ///< Tokens of the language model, image tokens included.
  std::int64_t squared_tokens = 0;  ///< Σ over sub-sequences of their length squared.

  friend constexpr workload operator+(const workload& left, const workload& right) noexcept {
    return {left.tiles + right.tiles, left.tokens + right.tokens,
            left.squared_tokens + right.squared_tokens};
  }
  friend bool operator==(const workload&, const workload&) = default;
};

/// The workload of one sample packed as a sub-sequence of its own.
[[nodiscard]] constexpr workload sample_workload(std::int64_t tiles, std::int64_t tokens) {
  return {tiles, tokens, checked_multiply(tokens, tokens, "tokens")};
}

/// A fixed-point number with 24 bits behind the point.
inline constexpr int fixed_point_bits = 24;

/// Rounds to fixed point, to nearest. Throws invalid_input naming `field` for values that are not
/// finite, negative or too large.
[[nodiscard]] std::int64_t to_fixed_point(double value, std::string_view field);

/// A cost per unit of workload, in fixed point: nanoseconds or bytes.
struct linear_cost {
  std::int64_t constant = 0;
  std::int64_t per_tile = 0;
  std::int64_t per_token = 0;
  std::int64_t per_squared_token = 0;

  /// constant + Σ coefficient · amount, rounded up to a whole unit. Throws invalid_input when that
  /// exceeds 64 bits.
  [[nodiscard]] constexpr std::int64_t of(const workload& work) const {
    const wide_integer sum = exactly(work);
    const wide_integer whole =
        (sum + (wide_integer{1} << fixed_point_bits) - 1) >> fixed_point_bits;
    if (whole > std::numeric_limits<std::int64_t>::max())
      throw invalid_input("cost", work.tokens,
                          "tokens in one micro-batch make a cost of more than 64 bits");
    return static_cast<std::int64_t>(whole);
  }

  /// The same in fixed point, not rounded.
  [[nodiscard]] constexpr wide_integer exactly(const workload& work) const noexcept {
    return wide_integer{constant} + wide_integer{per_tile} * work.tiles +
           wide_integer{per_token} * work.tokens +
           wide_integer{per_squared_token} * work.squared_tokens;
  }

  friend constexpr linear_cost operator+(const linear_cost& left, const linear_cost& right) {
    return {checked_add(left.constant, right.constant, "cost"),
            checked_add(left.per_tile, right.per_tile, "cost"),
            checked_add(left.per_token, right.per_token, "cost"),
            checked_add(left.per_squared_token, right.per_squared_token, "cost")};
  }
  friend bool operator==(const linear_cost&, const linear_cost&) = default;
};

/// The larger of the two for each coefficient: an upper bound on both costs.
[[nodiscard]] constexpr linear_cost larger(const linear_cost& left, const linear_cost& right) {
  return {std::max(left.constant, right.constant), std::max(left.per_tile, right.per_tile),
          std::max(left.per_token, right.per_token),
          std::max(left.per_squared_token, right.per_squared_token)};
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/workload.ipp>
#endif
