// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/pattern_planner.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE pattern_planner::pattern_planner(std::span<const sample_bundle> bundles,
                                                plane_point corner, plane_cost cost)
    : bundles_(bundles), cost_(cost), knapsack_(sizes(bundles), corner) {}

OMNIBAL_INLINE std::vector<planned_pattern> pattern_planner::plan() {
  std::vector<std::uint64_t> counts;
  for (const sample_bundle& bundle : bundles_) bundle_count_ += counts.emplace_back(bundle.count);
  cutting_stock_program program = fewest_packs_program(knapsack_, counts);
  set_pattern_costs(program);
  program.change_costs([&](const pack_pattern& pattern) { return cost_of(pattern); });
  program.solve([&](std::span<const std::int64_t> values) { return find(values); },
                turns_for(bundles_.size()));
  std::vector<planned_pattern> plan;
  for (std::size_t k = 0; k < program.size(); ++k) {
    const wide_integer packs = wide_integer{program.amounts()[k]} * bundle_count_;
    const auto rounded = static_cast<std::int64_t>((packs + fixed::one / 2) / fixed::one);
    if (rounded > 0)
      plan.push_back(
          {.copies = program.basis()[k].copies, .packs = static_cast<std::uint64_t>(rounded)});
  }
  return plan;
}

OMNIBAL_INLINE std::vector<plane_point> pattern_planner::sizes(
    std::span<const sample_bundle> bundles) {
  std::vector<plane_point> all;
  for (const sample_bundle& bundle : bundles) all.push_back(bundle.size);
  return all;
}

OMNIBAL_INLINE void pattern_planner::set_pattern_costs(const cutting_stock_program& program) {
  wide_integer cost = 0;
  wide_integer packs = 0;
  for (const sample_bundle& bundle : bundles_)
    cost += wide_integer{cost_(bundle.size)} * bundle.count;
  for (const std::int64_t amount : program.amounts()) packs += wide_integer{amount};
  const wide_integer mean = cost * fixed::one / std::max<wide_integer>(packs * bundle_count_, 1);
  pattern_costs_.resize(knapsack_.points());
  for (std::size_t k = 0; k < pattern_costs_.size(); ++k) {
    const wide_integer deviation = cost_(knapsack_.point(k)) - mean;
    const wide_integer relative = (deviation < 0 ? -deviation : deviation) * deviation_weight /
                                  std::max<wide_integer>(mean, 1);
    pattern_costs_[k] = fixed::one + fixed::bounded(relative);
  }
}

OMNIBAL_INLINE std::int64_t pattern_planner::cost_of(const pack_pattern& pattern) const noexcept {
  plane_point size;
  for (std::size_t k = 0; k < bundles_.size(); ++k) {
    size.row += static_cast<std::uint32_t>(pattern.copies[k]) * bundles_[k].size.row;
    size.column += static_cast<std::uint32_t>(pattern.copies[k]) * bundles_[k].size.column;
  }
  return pattern_costs_[knapsack_.index(size)];
}

OMNIBAL_INLINE pack_pattern pattern_planner::find(std::span<const std::int64_t> values) {
  knapsack_.solve_exactly(values);
  std::size_t best = 0;
  const auto gain = [&](std::size_t k) { return knapsack_.values()[k] - pattern_costs_[k]; };
  for (std::size_t k = 1; k < pattern_costs_.size(); ++k)
    if (gain(k) > gain(best)) best = k;
  pack_pattern pattern = knapsack_.pattern(knapsack_.point(best), values);
  pattern.cost = pattern_costs_[best];
  return pattern;
}

}  // namespace omnibal::inline v0::detail
