// SPDX-License-Identifier: Apache-2.0
/// @file
/// Formats of numbers: what is stored, and what is computed with.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <omnibal/comm/tensor.hpp>

namespace omnibal::trainer {

/// A number stored in 16 bits. It takes a float rounded to nearest, ties to even, and is a float in
/// every expression.
class bf16_number {
 public:
  constexpr bf16_number() = default;
  constexpr bf16_number(float value) noexcept : stored_(to_bf16(value)) {}

  constexpr operator float() const noexcept { return to_float(stored_); }
  constexpr bf16_number& operator+=(float term) noexcept { return *this = float{*this} + term; }

  [[nodiscard]] constexpr std::uint16_t bits() const noexcept { return stored_.bits; }

 private:
  bf16 stored_ = {};
};
static_assert(sizeof(bf16_number) == 2 && std::is_trivially_copyable_v<bf16_number>);

/// What sums of such numbers are computed in: float for bf16_number, otherwise the number itself.
template <typename Real>
using wide = std::conditional_t<std::same_as<Real, bf16_number>, float, Real>;

}  // namespace omnibal::trainer
