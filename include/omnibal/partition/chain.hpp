// SPDX-License-Identifier: Apache-2.0
/// @file
/// Chain partitioning: cuts a sequence of weights into non-empty intervals of least largest sum
/// (the bottleneck problem, "chains on chains"). It gives the layer partition of a pipeline when
/// memory does not bind; otherwise use planner/plan_jointly.hpp.
///
///     const auto result = omnibal::partition_chain(std::vector{3, 1, 4, 1, 5}, 2);
///     // result.cuts is {0, 3, 5}, result.objective 8
///
/// Source: Pinar and Aykanat, "Fast optimal load balancing algorithms for 1D partitioning",
/// JPDC 2004 (probing by binary search on prefix sums, bisection on the integer answer).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search_status.hpp>

namespace omnibal::inline v0 {

/// The intervals found.
template <std::integral Weight>
struct chain_partition {
  search_status status = search_status::infeasible;  ///< Optimal, or infeasible: too few weights.
  Weight objective = 0;                              ///< Sum of the heaviest interval.
  Weight bound = 0;                                  ///< Proven lower bound: the objective itself.
  std::vector<std::size_t> cuts = {};  ///< Interval j is weights cuts[j] … cuts[j + 1] − 1.
};

namespace detail {

/// Prefix sums of validated weights: sums[i] is the sum of the first i.
template <std::ranges::random_access_range Range>
[[nodiscard]] auto weight_prefix_sums(const Range& weights) {
  using weight = std::ranges::range_value_t<Range>;
  std::vector<weight> sums = {0};
  sums.reserve(std::ranges::size(weights) + 1);
  for (const weight& one : weights) {
    if (one < 0) throw invalid_input("weights", sums.size() - 1, one, "must not be negative");
    sums.push_back(checked_add(sums.back(), one, "weights"));
  }
  return sums;
}

/// Greedy cuts into intervals of sum at most `limit`, each as long as possible while leaving one
/// weight for each interval after it; empty if not all weights fit.
template <std::integral Weight>
[[nodiscard]] std::vector<std::size_t> cuts_within(const std::vector<Weight>& sums,
                                                   std::size_t parts, Weight limit) {
  const std::size_t count = sums.size() - 1;
  std::vector<std::size_t> cuts = {0};
  cuts.reserve(parts + 1);
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = cuts.back();
    // Compared as a difference: sums[begin] + limit could overflow.
    const auto end =
        std::partition_point(sums.begin() + static_cast<std::ptrdiff_t>(begin), sums.end(),
                             [&](const Weight& sum) { return sum - sums[begin] <= limit; });
    const auto reach = static_cast<std::size_t>(end - sums.begin()) - 1;
    const std::size_t cut = std::min(reach, count - (parts - 1 - part));
    if (cut == begin) return {};
    cuts.push_back(cut);
  }
  return cuts.back() == count ? cuts : std::vector<std::size_t>{};
}

}  // namespace detail

/// Cuts `weights` into `parts` non-empty intervals of least largest sum. Always optimal; infeasible
/// if there are fewer weights than parts. Throws invalid_input if parts is 0, a weight is negative,
/// or their sum overflows. O(n + p · log n · log Σ).
template <std::ranges::random_access_range Range>
requires std::integral<std::ranges::range_value_t<Range>>
[[nodiscard]] chain_partition<std::ranges::range_value_t<Range>> partition_chain(
    const Range& weights, std::size_t parts) {
  using weight = std::ranges::range_value_t<Range>;
  if (parts == 0) throw invalid_input("parts", parts, "must be at least 1");
  const std::vector<weight> sums = detail::weight_prefix_sums(weights);
  const std::size_t count = sums.size() - 1;
  if (count < parts) return {};

  weight low = 0;
  for (std::size_t i = 0; i < count; ++i)
    low = std::max(low, static_cast<weight>(sums[i + 1] - sums[i]));
  weight high = sums.back();
  while (low < high) {
    const weight middle = static_cast<weight>(low + (high - low) / 2);
    if (detail::cuts_within(sums, parts, middle).empty())
      low = static_cast<weight>(middle + 1);
    else
      high = middle;
  }
  return {.status = search_status::optimal,
          .objective = low,
          .bound = low,
          .cuts = detail::cuts_within(sums, parts, low)};
}

}  // namespace omnibal::inline v0
