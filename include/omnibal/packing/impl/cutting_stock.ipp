// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE std::span<std::int64_t> cutting_stock_program::row(std::size_t k) noexcept {
  return std::span(inverse_).subspan(k * size(), size());
}

OMNIBAL_INLINE std::span<const std::int64_t> cutting_stock_program::row(
    std::size_t k) const noexcept {
  return std::span(inverse_).subspan(k * size(), size());
}

OMNIBAL_INLINE cutting_stock_program::cutting_stock_program(std::vector<pack_pattern> basis,
                                                            std::vector<std::int64_t> demand)
    : basis_(std::move(basis)),
      demand_(std::move(demand)),
      inverse_(size() * size()),
      amounts_(size()),
      dual_values_(size()) {
  for (std::size_t k = 0; k < size(); ++k) row(k)[k] = fixed::one / basis_[k].copies[k];
  update();
}

OMNIBAL_INLINE std::int64_t cutting_stock_program::gain(
    const pack_pattern& pattern) const noexcept {
  std::int64_t gain = -pattern.cost;
  for (std::size_t k = 0; k < size(); ++k) gain += pattern.copies[k] * dual_values_[k];
  return gain;
}

OMNIBAL_INLINE bool cutting_stock_program::enter(pack_pattern pattern) {
  std::vector<std::int64_t> change(size());
  for (std::size_t i = 0; i < size(); ++i)
    for (std::size_t k = 0; k < size(); ++k) change[i] += row(i)[k] * pattern.copies[k];
  const std::size_t leaving = leaving_pattern(change);
  if (leaving == size()) return false;
  eliminate(leaving, change);
  basis_[leaving] = std::move(pattern);
  update();
  return true;
}

OMNIBAL_INLINE std::size_t cutting_stock_program::leaving_pattern(
    const std::vector<std::int64_t>& change) const noexcept {
  std::size_t first = size();
  for (std::size_t i = 0; i < size(); ++i) {
    if (change[i] < least_pivot) continue;
    const auto left = [&](std::size_t a, std::size_t b) {
      return wide_integer{std::max<std::int64_t>(amounts_[a], 0)} * change[b];
    };
    // Among equal ones the largest change has the smallest rounding error.
    if (first == size() || left(i, first) < left(first, i) ||
        (left(i, first) == left(first, i) && change[i] > change[first]))
      first = i;
  }
  return first;
}

OMNIBAL_INLINE void cutting_stock_program::eliminate(
    std::size_t leaving, const std::vector<std::int64_t>& change) noexcept {
  for (std::int64_t& value : row(leaving)) value = fixed::divide(value, change[leaving]);
  for (std::size_t i = 0; i < size(); ++i)
    for (std::size_t k = 0; i != leaving && k < size(); ++k)
      row(i)[k] = fixed::bounded(row(i)[k] - fixed::multiply(change[i], row(leaving)[k]));
}

OMNIBAL_INLINE void cutting_stock_program::refine() {
  const std::size_t n = size();
  std::vector<wide_integer> defect(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t j = 0; basis_[i].copies[k] != 0 && j < n; ++j)
        defect[k * n + j] -= basis_[i].copies[k] * row(i)[j];
  for (std::size_t k = 0; k < n; ++k) defect[k * n + k] += fixed::one;
  std::vector<std::int64_t> refined(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      wide_integer sum = row(i)[j];
      for (std::size_t k = 0; k < n; ++k)
        sum += fixed::multiply(row(i)[k], fixed::bounded(defect[k * n + j]));
      refined[i * n + j] = fixed::bounded(sum);
    }
  inverse_ = std::move(refined);
  update();
}

OMNIBAL_INLINE void cutting_stock_program::update() {
  for (std::size_t i = 0; i < size(); ++i) {
    wide_integer amount = 0;
    for (std::size_t k = 0; k < size(); ++k) amount += fixed::multiply(row(i)[k], demand_[k]);
    amounts_[i] = fixed::bounded(amount);
  }
  for (std::size_t k = 0; k < size(); ++k) {
    wide_integer value = 0;
    for (std::size_t i = 0; i < size(); ++i) value += fixed::multiply(basis_[i].cost, row(i)[k]);
    dual_values_[k] = fixed::bounded(value);
  }
}

}  // namespace omnibal::inline v0::detail
