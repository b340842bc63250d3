// SPDX-License-Identifier: Apache-2.0
/// @file
/// Chain partitioning: cuts a sequence of weights into non-empty intervals of least largest sum
/// (the bottleneck problem, "chains on chains"). It gives the layer partition of a pipeline when
/// memory does not bind; otherwise use planner/plan_jointly.hpp.
///
///     const auto result = omnibal::partition_chain(std::vector{3, 1, 4, 1, 5}, 2);
///     // result.cuts is {0, 3, 5}, result.objective 8
///
/// Of partitions with the same largest sum it takes the one of least sum of squares, so that no
/// interval has weight 0 where that can be avoided, and of those the first in the lexical order of
/// cuts.
///
/// Source: Pinar and Aykanat, "Fast optimal load balancing algorithms for 1D partitioning",
/// JPDC 2004 (probing by binary search on prefix sums, bisection on the integer answer).
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
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
  /// Whether no partition with the same largest sum comes before this one by the rule above; false
  /// where there are too many to compare.
  bool tie_settled = false;
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

/// The first partition by the rule of ties among those into intervals of sum at most `limit`.
template <std::integral Weight>
class even_chain {
 public:
  /// `latest` are the greedy cuts within the limit, of which none can be later.
  even_chain(const std::vector<Weight>& sums, const std::vector<std::size_t>& latest, Weight limit)
      : sums_(sums), latest_(latest), limit_(limit), parts_(latest.size() - 1) {
    earliest_.assign(latest.size(), sums.size() - 1);
    for (std::size_t part = parts_; part-- > 0;) {
      const Weight end = sums[earliest_[part + 1]];
      const auto begin = std::partition_point(
          sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(earliest_[part + 1]),
          [&](const Weight& sum) { return end - sum > limit; });
      earliest_[part] = std::max(part, static_cast<std::size_t>(begin - sums.begin()));
    }
    earliest_.front() = 0;
  }

  /// Intervals that the search for the first one examines. O(parts).
  [[nodiscard]] bool is_small() const {
    constexpr std::size_t most = std::size_t{1} << 22;
    std::size_t intervals = 0;
    for (std::size_t part = 0; part < parts_; ++part) {
      const std::size_t begins = latest_[part] - earliest_[part] + 1;
      const std::size_t ends = latest_[part + 1] - earliest_[part + 1] + 1;
      if (ends > (most - intervals) / begins) return false;
      intervals += begins * ends;
    }
    return true;
  }

  /// Dynamic program over parts, from the last to the first.
  [[nodiscard]] std::vector<std::size_t> first() const {
    std::vector<std::vector<std::size_t>> next(parts_);
    std::vector<wide_integer> rest = {0};  // Of the parts behind, by their begin.
    for (std::size_t part = parts_; part-- > 0;) {
      std::vector<wide_integer> least(latest_[part] - earliest_[part] + 1, none);
      next[part].assign(least.size(), 0);
      for (std::size_t begin = earliest_[part]; begin <= latest_[part]; ++begin) {
        wide_integer& best = least[begin - earliest_[part]];
        for (std::size_t end = std::max(begin + 1, earliest_[part + 1]);
             end <= latest_[part + 1] && sums_[end] - sums_[begin] <= limit_; ++end) {
          const wide_integer after = rest[end - earliest_[part + 1]];
          const wide_integer squares = after == none ? none : square(begin, end) + after;
          if (squares >= best) continue;
          best = squares;
          next[part][begin - earliest_[part]] = end;
        }
      }
      rest = std::move(least);
    }
    std::vector<std::size_t> cuts = {0};
    for (std::size_t part = 0; part < parts_; ++part)
      cuts.push_back(next[part][cuts.back() - earliest_[part]]);
    return cuts;
  }

  /// Moves every cut to where the intervals beside it are most even, a bounded number of times.
  [[nodiscard]] std::vector<std::size_t> improved() const {
    constexpr int most_rounds = 50;
    std::vector<std::size_t> cuts = latest_;
    bool moved = true;
    for (int round = 0; round < most_rounds && moved; ++round) {
      moved = false;
      for (std::size_t j = 1; j < parts_; ++j) {
        const std::size_t best = most_even(cuts[j - 1], cuts[j + 1]);
        const auto squares = [&](std::size_t cut) {
          return square(cuts[j - 1], cut) + square(cut, cuts[j + 1]);
        };
        if (squares(best) >= squares(cuts[j])) continue;
        cuts[j] = best;
        moved = true;
      }
    }
    return cuts;
  }

 private:
  static constexpr wide_integer none = static_cast<wide_integer>(1) << 126;

  /// Σ of squares is at most the square of the sum, which fits.
  [[nodiscard]] wide_integer square(std::size_t begin, std::size_t end) const {
    const auto sum = static_cast<wide_integer>(sums_[end] - sums_[begin]);
    return sum * sum;
  }

  /// The cut of weights begin … end − 1 into the two most even intervals.
  [[nodiscard]] std::size_t most_even(std::size_t begin, std::size_t end) const {
    const auto at = [&](std::size_t i) { return sums_.begin() + static_cast<std::ptrdiff_t>(i); };
    const auto half = std::partition_point(at(begin + 1), at(end - 1), [&](const Weight& sum) {
      return sum - sums_[begin] < sums_[end] - sum;
    });
    const auto later = static_cast<std::size_t>(half - sums_.begin());
    if (later == begin + 1) return later;
    return square(begin, later - 1) + square(later - 1, end) <=
                   square(begin, later) + square(later, end)
               ? later - 1
               : later;
  }

  const std::vector<Weight>& sums_;
  const std::vector<std::size_t>& latest_;
  Weight limit_;
  std::size_t parts_;
  std::vector<std::size_t> earliest_;
};

}  // namespace detail

/// Cuts `weights` into `parts` non-empty intervals of least largest sum. Always optimal; infeasible
/// if there are fewer weights than parts. Throws invalid_input if parts is 0, a weight is negative,
/// or their sum overflows. O(n + p · log n · log Σ), and up to 2^22 intervals for ties.
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
  chain_partition<weight> found{.status = search_status::optimal, .objective = low, .bound = low};
  found.cuts = detail::cuts_within(sums, parts, low);
  constexpr wide_integer largest = std::numeric_limits<std::int64_t>::max();
  if (static_cast<wide_integer>(sums.back()) > largest) return found;  // Squares would overflow.
  const detail::even_chain<weight> ties(sums, found.cuts, low);
  found.tie_settled = ties.is_small();
  found.cuts = found.tie_settled ? ties.first() : ties.improved();
  return found;
}

}  // namespace omnibal::inline v0
