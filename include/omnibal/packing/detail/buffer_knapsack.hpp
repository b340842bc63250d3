// SPDX-License-Identifier: Apache-2.0
/// @file
/// The knapsack of a streaming packer: which buffered samples have the highest total value within
/// the slack of a pack.
/// Source: Bellman, "Dynamic Programming", 1957; copies in bundles of powers of two.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

/// Samples of a cell that are chosen together or not at all.
struct cell_bundle {
  std::uint32_t cell = 0;
  std::uint32_t samples = 1;
  plane_point size;        ///< of all of them together, not (0, 0)
  std::int32_t value = 0;  ///< of all of them together, positive
};

/// The most valuable choice of bundles for every size up to a corner, each bundle at most once.
/// Precondition: any choice that fits the corner has a value less than 2³¹.
class buffer_knapsack {
 public:
  /// O(bundles · points up to the corner).
  void solve(plane_point corner, std::vector<cell_bundle> bundles) {
    corner_ = corner;
    bundles_ = std::move(bundles);
    const std::size_t points = (corner_.row + std::size_t{1}) * width();
    values_.resize(points * (bundles_.size() + 1));
    std::fill_n(values_.begin(), points, 0);
    for (std::size_t k = 0; k < bundles_.size(); ++k)
      add(bundles_[k], &values_[k * points], &values_[(k + 1) * points]);
  }

  /// Calls visit(bundle) for each bundle of the most valuable choice for this size, in reverse
  /// order.
  template <typename Visit>
  void choose(plane_point size, const Visit& visit) const {
    const std::size_t points = (corner_.row + std::size_t{1}) * width();
    for (std::size_t k = bundles_.size(); k-- > 0;) {
      const std::size_t at = size.row * width() + size.column;
      if (values_[(k + 1) * points + at] == values_[k * points + at]) continue;
      size = {size.row - bundles_[k].size.row, size.column - bundles_[k].size.column};
      visit(bundles_[k]);
    }
  }

 private:
  [[nodiscard]] std::size_t width() const noexcept { return std::size_t{corner_.column} + 1; }

  void add(const cell_bundle& bundle, const std::int32_t* without, std::int32_t* with) noexcept {
    const std::size_t unreached = std::min(bundle.size.row, corner_.row + 1) * width();
    std::copy_n(without, unreached, with);
    for (std::uint32_t row = bundle.size.row; row <= corner_.row; ++row) {
      const std::int32_t* const same = without + row * width();
      const std::int32_t* const less = without + (row - bundle.size.row) * width();
      std::int32_t* const to = with + row * width();
      const std::size_t first = std::min<std::size_t>(bundle.size.column, width());
      std::copy_n(same, first, to);
      const std::int32_t value = bundle.value;
      for (std::size_t k = first; k < width(); ++k)
        to[k] = std::max(same[k], less[k - first] + value);
    }
  }

  plane_point corner_;
  std::vector<cell_bundle> bundles_;
  std::vector<std::int32_t> values_;  // by number of bundles considered, then by size
};

}  // namespace omnibal::inline v0::detail
