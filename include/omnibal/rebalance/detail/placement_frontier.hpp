// SPDX-License-Identifier: Apache-2.0
/// @file
/// The Pareto-optimal placements that a search has seen: cost against bytes moved.
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

/// A plan: who works on each sample, and what that comes to.
struct placement {
  std::int64_t cost = 0;   // of the dearest rank
  std::int64_t bytes = 0;  // of the samples that are not where they were
  std::vector<std::uint32_t> ranks = {};
};

/// The plans seen so far that no other plan seen beats: dearest first, bytes strictly ascending.
class placement_frontier {
 public:
  [[nodiscard]] std::span<const placement> points() const noexcept { return points_; }

  /// Whether a plan of this cost and these bytes is beaten by none, nor equalled.
  [[nodiscard]] bool improves(std::int64_t cost, std::int64_t bytes) const noexcept {
    return bytes < bytes_to_beat(cost);
  }

  /// A plan of this cost or more improves only with fewer bytes than this.
  [[nodiscard]] std::int64_t bytes_to_beat(std::int64_t cost) const noexcept {
    const auto next = first_at_most(cost);
    return next == points_.end() ? std::numeric_limits<std::int64_t>::max() : next->bytes;
  }

  /// A plan of these bytes or more improves only with a cost less than this.
  [[nodiscard]] std::int64_t cost_to_beat(std::int64_t bytes) const noexcept {
    const auto after =
        std::partition_point(points_.begin(), points_.end(),
                             [&](const placement& point) { return point.bytes <= bytes; });
    return after == points_.begin() ? std::numeric_limits<std::int64_t>::max()
                                    : std::prev(after)->cost;
  }

  /// Takes the plan in and drops those that it beats. Precondition: it improves.
  void insert(std::int64_t cost, std::int64_t bytes, std::span<const std::uint32_t> ranks) {
    // Beaten are those that cost as much or more and need as many bytes or more.
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
