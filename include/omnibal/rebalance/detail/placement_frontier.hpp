// SPDX-License-Identifier: Apache-2.0
/// @file
/// The Pareto-optimal placements among those that a search has found: cost against bytes moved.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// A placement: the rank of each sample, with its cost and bytes.
struct placement {
  std::int64_t cost = 0;   // of the slowest rank
  std::int64_t bytes = 0;  // of the samples that are not at their owner
  std::vector<std::uint32_t> ranks = {};
};

/// The placements found so far that no other one dominates: costs descending, bytes strictly
/// ascending.
class placement_frontier {
 public:
  [[nodiscard]] std::span<const placement> points() const noexcept { return points_; }

  /// Whether no placement in the frontier dominates or equals this cost and these bytes.
  [[nodiscard]] bool improves(std::int64_t cost, std::int64_t bytes) const noexcept {
    return bytes < bytes_limit(cost);
  }

  /// A placement of at least this cost improves the frontier only with fewer bytes than this.
  [[nodiscard]] std::int64_t bytes_limit(std::int64_t cost) const noexcept {
    const auto next = first_at_most(cost);
    return next == points_.end() ? std::numeric_limits<std::int64_t>::max() : next->bytes;
  }

  /// A placement of at least these bytes improves the frontier only with a cost less than this.
  [[nodiscard]] std::int64_t cost_limit(std::int64_t bytes) const noexcept {
    const auto after =
        std::partition_point(points_.begin(), points_.end(),
                             [&](const placement& point) { return point.bytes <= bytes; });
    return after == points_.begin() ? std::numeric_limits<std::int64_t>::max()
                                    : std::prev(after)->cost;
  }

  /// Inserts a placement and removes those that it dominates. Precondition: it improves.
  void insert(std::int64_t cost, std::int64_t bytes, std::span<const std::uint32_t> ranks) {
    // Dominated are those of at least this cost and at least these bytes.
    const auto end =
        std::ranges::find_if(points_, [&](const placement& point) { return point.cost < cost; });
    const auto begin = std::find_if(points_.begin(), end,
                                    [&](const placement& point) { return point.bytes >= bytes; });
    placement point{.cost = cost, .bytes = bytes, .ranks = {ranks.begin(), ranks.end()}};
    points_.insert(points_.erase(begin, end), std::move(point));
  }

 private:
  [[nodiscard]] std::vector<placement>::const_iterator first_at_most(
      std::int64_t cost) const noexcept {
    return std::partition_point(points_.begin(), points_.end(),
                                [&](const placement& point) { return point.cost > cost; });
  }

  std::vector<placement> points_;
};

}  // namespace omnibal::inline v0::detail
