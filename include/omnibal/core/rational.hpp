// SPDX-License-Identifier: Apache-2.0
/// @file
/// Fractions of integers, compared exactly.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// numerator / denominator with a denominator of at least 1; not reduced.
struct rational {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;

  [[nodiscard]] constexpr double value() const noexcept {
    return static_cast<double>(numerator) / static_cast<double>(denominator);
  }
  friend constexpr bool operator<(const rational& left, const rational& right) noexcept {
    return static_cast<wide_integer>(left.numerator) * right.denominator <
           static_cast<wide_integer>(right.numerator) * left.denominator;
  }
  friend constexpr bool operator==(const rational& left, const rational& right) noexcept {
    return !(left < right) && !(right < left);
  }
};

namespace detail {

[[nodiscard]] constexpr wide_integer scale_rounding_up(std::int64_t value,
                                                       const rational& factor) noexcept {
  const wide_integer product = static_cast<wide_integer>(value) * factor.numerator;
  return (product + factor.denominator - 1) / factor.denominator;
}

}  // namespace detail

/// ⌈value · factor⌉. Preconditions: value ≥ 0, factor ≥ 0, the result fits.
[[nodiscard]] constexpr std::int64_t scaled_rounding_up(std::int64_t value,
                                                        const rational& factor) noexcept {
  return static_cast<std::int64_t>(detail::scale_rounding_up(value, factor));
}

/// The same; throws invalid_input naming `field` when the result does not fit.
[[nodiscard]] constexpr std::int64_t checked_scaled_rounding_up(std::int64_t value,
                                                                const rational& factor,
                                                                std::string_view field) {
  const wide_integer scaled = detail::scale_rounding_up(value, factor);
  if (scaled > std::numeric_limits<std::int64_t>::max())
    throw invalid_input(field, value, "times its factor is too large for 64 bits");
  return static_cast<std::int64_t>(scaled);
}

/// numerator / denominator in lowest terms. Throws invalid_input naming `field` when those do not
/// fit 64 bits. Preconditions: numerator ≥ 0, denominator ≥ 1.
[[nodiscard]] constexpr rational reduced(wide_integer numerator, wide_integer denominator,
                                         std::string_view field) {
  wide_integer divisor = numerator;
  for (wide_integer rest = denominator; rest != 0;) {
    const wide_integer next = divisor % rest;
    divisor = rest;
    rest = next;
  }
  numerator /= divisor;
  denominator /= divisor;
  constexpr wide_integer most = std::numeric_limits<std::int64_t>::max();
  if (numerator > most || denominator > most)
    throw invalid_input(field, "of this problem", "does not fit 64 bits; use coarser units");
  return {static_cast<std::int64_t>(numerator), static_cast<std::int64_t>(denominator)};
}

}  // namespace omnibal::inline v0
