// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE plane_knapsack::plane_knapsack(std::vector<plane_point> items, plane_point corner)
    : items_(std::move(items)), corner_(corner), best_((corner.row + 1) * width()) {}

OMNIBAL_INLINE std::int32_t plane_knapsack::most_copies(std::size_t k) const noexcept {
  std::uint32_t most = std::numeric_limits<std::uint16_t>::max();
  if (items_[k].row > 0) most = corner_.row / items_[k].row;
  if (items_[k].column > 0) most = std::min(most, corner_.column / items_[k].column);
  return static_cast<std::int32_t>(most);
}

OMNIBAL_INLINE void plane_knapsack::solve_within(std::span<const std::int64_t> item_values) {
  std::fill(best_.begin(), best_.end(), 0);
  raise(item_values);
}

OMNIBAL_INLINE void plane_knapsack::solve_exactly(std::span<const std::int64_t> item_values) {
  std::fill(best_.begin(), best_.end(), unreachable);
  best_[0] = 0;
  raise(item_values);
}

OMNIBAL_INLINE pack_pattern
plane_knapsack::pattern(plane_point size, std::span<const std::int64_t> item_values) const {
  pack_pattern found{.copies = std::vector<std::int32_t>(items_.size())};
  for (std::size_t k = last_item(size, item_values); k < items_.size();
       k = last_item(size, item_values)) {
    ++found.copies[k];
    size = {size.row - items_[k].row, size.column - items_[k].column};
  }
  return found;
}

OMNIBAL_INLINE void plane_knapsack::raise(std::span<const std::int64_t> item_values) noexcept {
  for (std::size_t k = 0; k < items_.size(); ++k)
    for (std::uint32_t row = items_[k].row; row <= corner_.row; ++row)
      raise_row(row, items_[k], item_values[k]);
}

OMNIBAL_INLINE void plane_knapsack::raise_row(std::uint32_t row, plane_point item,
                                              std::int64_t value) noexcept {
  std::int64_t* const to = &best_[index({row, item.column})];
  const std::int64_t* const from = &best_[index({row - item.row, 0})];
  const std::size_t count = width() - item.column;
  for (std::size_t k = 0; k < count; ++k) to[k] = std::max(to[k], from[k] + value);
}

OMNIBAL_INLINE std::size_t plane_knapsack::last_item(
    plane_point size, std::span<const std::int64_t> item_values) const noexcept {
  for (std::size_t k = 0; k < items_.size(); ++k) {
    const plane_point item = items_[k];
    if (item.row > size.row || item.column > size.column) continue;
    if (value({size.row - item.row, size.column - item.column}) + item_values[k] == value(size))
      return k;
  }
  return items_.size();
}

}  // namespace omnibal::inline v0::detail
