// SPDX-License-Identifier: Apache-2.0
/// @file
/// How evenly a dispatch plan loads the ranks. Sums are exact; each figure is rounded at the end.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <span>

namespace omnibal::inline v0 {

/// Per resource: the mean over steps of 1 − mean / max over ranks; a step in which nobody has any
/// load counts 0, and so does no step at all. `packs` holds the loads of each pack (pack_loads).
/// Throws invalid_input where the plan names a pack that is not there. O(packs).
template <std::size_t Resources, std::integral Integer>
[[nodiscard]] std::array<double, Resources> dist_ratio(
    const dispatch_plan& plan, std::span<const std::array<Integer, Resources>> packs);

/// Σ over steps of the dearest rank's cost / Σ over steps of the mean rank's cost: by which factor
/// waiting for the slowest rank lengthens the work. 1 where nothing costs anything. O(packs).
template <std::integral Cost>
[[nodiscard]] double cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs);

namespace detail {

/// The sum over ranks and the largest rank of one step.
struct step_load {
  wide_integer sum = 0;
  wide_integer largest = 0;
};

/// What load(pack) adds up to on the ranks of a step.
template <typename Load>
[[nodiscard]] step_load measure_step(const dispatch_plan& plan, std::uint64_t step,
                                     std::size_t packs, const Load& load) {
  step_load measured;
  for (std::uint32_t rank = 0; rank < plan.ranks; ++rank) {
    wide_integer sum = 0;
    for (const std::uint32_t pack : plan.packs(step, rank)) {
      if (pack >= packs) throw invalid_input("plan", pack, "names a pack beyond the last");
      sum += load(pack);
    }
    measured.sum += sum;
    measured.largest = std::max(measured.largest, sum);
  }
  return measured;
}

}  // namespace detail

template <std::size_t Resources, std::integral Integer>
std::array<double, Resources> dist_ratio(const dispatch_plan& plan,
                                         std::span<const std::array<Integer, Resources>> packs) {
  std::array<double, Resources> ratios{};
  for (std::size_t r = 0; r < Resources; ++r) {
    for (std::uint64_t step = 0; step < plan.steps(); ++step) {
      const auto load = [&](std::uint32_t pack) { return packs[pack][r]; };
      const auto [sum, largest] = detail::measure_step(plan, step, packs.size(), load);
      if (largest == 0) continue;
      const wide_integer all_at_largest = largest * plan.ranks;
      ratios[r] += static_cast<double>(all_at_largest - sum) / static_cast<double>(all_at_largest);
    }
    if (plan.steps() > 0) ratios[r] /= static_cast<double>(plan.steps());
  }
  return ratios;
}

template <std::integral Cost>
double cost_ratio(const dispatch_plan& plan, std::span<const Cost> costs) {
  wide_integer sum = 0;
  wide_integer largest = 0;
  for (std::uint64_t step = 0; step < plan.steps(); ++step) {
    const auto cost = [&](std::uint32_t pack) { return costs[pack]; };
    const auto measured = detail::measure_step(plan, step, costs.size(), cost);
    sum += measured.sum;
    largest += measured.largest * plan.ranks;
  }
  return sum == 0 ? 1.0 : static_cast<double>(largest) / static_cast<double>(sum);
}

}  // namespace omnibal::inline v0
