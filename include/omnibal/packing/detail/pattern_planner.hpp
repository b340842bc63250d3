// SPDX-License-Identifier: Apache-2.0
/// @file
/// Chooses which classes of samples to combine: patterns of packs with nearly equal cost, and the
/// number of packs for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

/// Samples of a class that patterns use as one item, because a single one is too small for the
/// plane's units.
struct sample_bundle {
  plane_point size;           ///< the mean of their loads, in rounded units
  std::uint32_t samples = 1;  ///< per bundle
  std::uint64_t count = 0;    ///< number of bundles
};

/// A pattern and the number of packs that follow it.
struct planned_pattern {
  std::vector<std::int32_t> copies;  ///< bundles of each class
  std::uint64_t packs = 0;
};

/// The cost of one unit of each axis of the plane.
struct plane_cost {
  std::int64_t row = 0;
  std::int64_t column = 0;

  [[nodiscard]] std::int64_t operator()(plane_point size) const noexcept {
    return size.row * row + size.column * column;
  }
};

/// Finds patterns for all bundles with the fewest packs and costs near the mean: a deviation of 100
/// % from the mean cost counts as much as 1/256 of a pack.
class pattern_planner {
 public:
  pattern_planner(std::span<const sample_bundle> bundles, plane_point corner, plane_cost cost);

  [[nodiscard]] std::vector<planned_pattern> plan();

 private:
  static constexpr std::int64_t deviation_weight = fixed::one >> 8;

  [[nodiscard]] static std::vector<plane_point> sizes(std::span<const sample_bundle> bundles);

  // Sets the cost of a pattern by its size: one pack, plus the weighted deviation from the mean
  // cost of a pack in the program's solution.
  void set_pattern_costs(const cutting_stock_program& program);

  [[nodiscard]] std::int64_t cost_of(const pack_pattern& pattern) const noexcept;

  [[nodiscard]] pack_pattern find(std::span<const std::int64_t> values);

  std::span<const sample_bundle> bundles_;
  plane_cost cost_;
  plane_knapsack knapsack_;
  std::uint64_t bundle_count_ = 0;
  std::vector<std::int64_t> pattern_costs_;  // by size of the pack (fixed-point)
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/pattern_planner.ipp>
#endif
