// SPDX-License-Identifier: Apache-2.0
/// @file
/// The knapsack that generates packing patterns: which copies of a few items fill a pack at the
/// highest price, in one or two resources measured in coarse units.
/// Source: Gilmore and Gomory, "The theory and computation of knapsack functions", Operations
/// Research 1966.
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

namespace omnibal::inline v0::detail {

/// Loads of two resources in coarse units.
struct plane_point {
  std::uint32_t row = 0;
  std::uint32_t column = 0;

  friend bool operator==(const plane_point&, const plane_point&) = default;
};

/// The best packs of each size up to a corner. With one resource the corner's row is 0.
/// Preconditions: no item is (0, 0) or beyond the corner; rows + columns < 2¹⁶.
class plane_knapsack {
 public:
  plane_knapsack(std::vector<plane_point> items, plane_point corner)
      : items_(std::move(items)), corner_(corner), best_((corner.row + 1) * width()) {}

  [[nodiscard]] std::span<const plane_point> items() const noexcept { return items_; }
  [[nodiscard]] plane_point corner() const noexcept { return corner_; }

  /// Sizes from (0, 0) to the corner have numbers from 0 to points() − 1.
  [[nodiscard]] std::size_t points() const noexcept { return best_.size(); }
  [[nodiscard]] std::size_t index(plane_point size) const noexcept {
    return size.row * width() + size.column;
  }
  [[nodiscard]] plane_point point(std::size_t index) const noexcept {
    return {.row = static_cast<std::uint32_t>(index / width()),
            .column = static_cast<std::uint32_t>(index % width())};
  }

  /// How many of an item alone fit the corner.
  [[nodiscard]] std::int32_t most_copies(std::size_t k) const noexcept {
    std::uint32_t most = std::numeric_limits<std::uint16_t>::max();
    if (items_[k].row > 0) most = corner_.row / items_[k].row;
    if (items_[k].column > 0) most = std::min(most, corner_.column / items_[k].column);
    return static_cast<std::int32_t>(most);
  }

  /// Prices packs of at most each size. O(rows · columns · items).
  void price_within(std::span<const std::int64_t> prices) {
    std::ranges::fill(best_, 0);
    raise(prices);
  }

  /// Prices packs of exactly each size. O(rows · columns · items).
  void price_exactly(std::span<const std::int64_t> prices) {
    std::ranges::fill(best_, unreachable);
    best_[0] = 0;
    raise(prices);
  }

  /// The highest price of a pack of this size; far below −2⁶⁰ where no items add up to it exactly.
  [[nodiscard]] std::int64_t price(plane_point size) const noexcept { return best_[index(size)]; }
  /// The same by number of the size.
  [[nodiscard]] std::span<const std::int64_t> prices() const noexcept { return best_; }

  /// A pack of the highest price for its size under the prices given last.
  [[nodiscard]] pack_pattern pattern(plane_point size, std::span<const std::int64_t> prices) const {
    pack_pattern found{.copies = std::vector<std::int32_t>(items_.size())};
    for (std::size_t k = last_item(size, prices); k < items_.size(); k = last_item(size, prices)) {
      ++found.copies[k];
      size = {size.row - items_[k].row, size.column - items_[k].column};
    }
    return found;
  }

 private:
  // Far below any price, and far enough from the end to have prices added.
  static constexpr std::int64_t unreachable = -(std::int64_t{1} << 62);

  [[nodiscard]] std::size_t width() const noexcept { return std::size_t{corner_.column} + 1; }

  // Each size in turn may end with one more of an item.
  void raise(std::span<const std::int64_t> prices) noexcept {
    for (std::size_t k = 0; k < items_.size(); ++k)
      for (std::uint32_t row = items_[k].row; row <= corner_.row; ++row)
        raise_row(row, items_[k], prices[k]);
  }

  void raise_row(std::uint32_t row, plane_point item, std::int64_t price) noexcept {
    std::int64_t* const to = &best_[index({row, item.column})];
    const std::int64_t* const from = &best_[index({row - item.row, 0})];
    const std::size_t count = width() - item.column;
    for (std::size_t k = 0; k < count; ++k) to[k] = std::max(to[k], from[k] + price);
  }

  // An item that a best pack of this size holds, or items_.size() where it may hold none.
  [[nodiscard]] std::size_t last_item(plane_point size,
                                      std::span<const std::int64_t> prices) const noexcept {
    for (std::size_t k = 0; k < items_.size(); ++k) {
      const plane_point item = items_[k];
      if (item.row > size.row || item.column > size.column) continue;
      if (price({size.row - item.row, size.column - item.column}) + prices[k] == price(size))
        return k;
    }
    return items_.size();
  }

  std::vector<plane_point> items_;
  plane_point corner_;
  std::vector<std::int64_t> best_;  // by size, row after row
};

}  // namespace omnibal::inline v0::detail
