// SPDX-License-Identifier: Apache-2.0
/// @file
/// The unbounded knapsack that generates packing patterns: which copies of a few items have the
/// highest total value within a pack, for one or two resources in coarse units.
/// Source: Gilmore and Gomory, "The theory and computation of knapsack functions", Operations
/// Research 1966.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
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

/// The most valuable packs of each size up to a corner. With one resource the corner's row is 0.
/// Preconditions: no item is (0, 0) or beyond the corner; rows + columns < 2¹⁶.
class plane_knapsack {
 public:
  plane_knapsack(std::vector<plane_point> items, plane_point corner);

  [[nodiscard]] std::span<const plane_point> items() const noexcept { return items_; }
  [[nodiscard]] plane_point corner() const noexcept { return corner_; }

  /// The number of sizes from (0, 0) to the corner; they have the indices 0 … points() − 1.
  [[nodiscard]] std::size_t points() const noexcept { return best_.size(); }
  [[nodiscard]] std::size_t index(plane_point size) const noexcept {
    return size.row * width() + size.column;
  }
  [[nodiscard]] plane_point point(std::size_t index) const noexcept {
    return {.row = static_cast<std::uint32_t>(index / width()),
            .column = static_cast<std::uint32_t>(index % width())};
  }

  /// How many copies of a single item fit the corner.
  [[nodiscard]] std::int32_t most_copies(std::size_t k) const noexcept;

  /// Finds the highest value of packs of at most each size. O(rows · columns · items).
  void solve_within(std::span<const std::int64_t> item_values);

  /// Finds the highest value of packs of exactly each size. O(rows · columns · items).
  void solve_exactly(std::span<const std::int64_t> item_values);

  /// The highest value of a pack of this size; far below −2⁶⁰ when no items add up to it exactly.
  [[nodiscard]] std::int64_t value(plane_point size) const noexcept { return best_[index(size)]; }
  /// The same for all sizes, by index.
  [[nodiscard]] std::span<const std::int64_t> values() const noexcept { return best_; }

  /// A pack of the highest value for its size. `item_values` must be those of the last solve.
  [[nodiscard]] pack_pattern pattern(plane_point size,
                                     std::span<const std::int64_t> item_values) const;

 private:
  // Far below any value, and far enough from the lowest integer that values can be added to it.
  static constexpr std::int64_t unreachable = -(std::int64_t{1} << 62);

  [[nodiscard]] std::size_t width() const noexcept { return std::size_t{corner_.column} + 1; }

  // The recurrence of the dynamic program: a pack of each size, in ascending order, may contain one
  // more copy of an item.
  void raise(std::span<const std::int64_t> item_values) noexcept;

  void raise_row(std::uint32_t row, plane_point item, std::int64_t value) noexcept;

  // An item of a most valuable pack of this size, or items_.size() when that pack may be empty.
  [[nodiscard]] std::size_t last_item(plane_point size,
                                      std::span<const std::int64_t> item_values) const noexcept;

  std::vector<plane_point> items_;
  plane_point corner_;
  std::vector<std::int64_t> best_;  // by size, row after row
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/pattern_knapsack.ipp>
#endif
