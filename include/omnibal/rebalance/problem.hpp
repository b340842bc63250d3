// SPDX-License-Identifier: Apache-2.0
/// @file
/// What run-time rebalancing is given and what it says: samples held by ranks, moves, and the plans
/// that no other plan beats in both largest cost and bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// A sample, and the rank that holds it now.
struct held_sample {
  std::uint32_t rank = 0;
  std::int64_t cost = 0;   ///< what it adds to the time of the rank that works on it, in any unit
  std::int64_t bytes = 0;  ///< what must be sent for another rank to work on it

  friend bool operator==(const held_sample&, const held_sample&) = default;
};

/// All samples of a step and where they are. A rank that holds nothing is one that no sample names.
struct rebalance_problem {
  std::uint32_t ranks = 1;
  std::vector<held_sample> samples = {};
};

/// Rank `from` sends sample number `sample` to rank `to`.
struct sample_move {
  std::uint32_t sample = 0;
  std::uint32_t from = 0;
  std::uint32_t to = 0;

  friend bool operator==(const sample_move&, const sample_move&) = default;
};

/// Throws invalid_input for zero ranks, 2³² − 1 samples or more, a rank that is not there, negative
/// costs or bytes, and costs or bytes whose sum over all samples is 2⁶³ or more. O(samples).
inline void validate(const rebalance_problem& problem);

/// What the rank that costs most costs, where sample s is worked on by ranks[s].
/// Precondition: the problem is valid and every rank named is there. O(samples + ranks).
[[nodiscard]] inline std::int64_t largest_cost(const rebalance_problem& problem,
                                               std::span<const std::uint32_t> ranks);

namespace detail {

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

}  // namespace detail

inline void validate(const rebalance_problem& problem) {
  if (problem.ranks == 0) throw invalid_input("ranks", 0, "must be at least 1");
  if (problem.samples.size() >= UINT32_MAX)
    throw invalid_input("number of samples", problem.samples.size(), "must be less than 2^32 - 1");
  std::int64_t cost = 0;
  std::int64_t bytes = 0;
  const auto add = [](std::int64_t& sum, std::string_view field, std::size_t s,
                      std::int64_t value) {
    if (value < 0) throw invalid_input(field, s, value, "must not be negative");
    const auto next = try_add(sum, value);
    if (!next) throw invalid_input(field, s, value, "makes the sum over all samples 2^63 or more");
    sum = *next;
  };
  for (std::size_t s = 0; s < problem.samples.size(); ++s) {
    const held_sample& sample = problem.samples[s];
    if (sample.rank >= problem.ranks)
      throw invalid_input(
          "rank", s, sample.rank,
          "must be less than the number of ranks, " + std::to_string(problem.ranks));
    add(cost, "cost", s, sample.cost);
    add(bytes, "bytes", s, sample.bytes);
  }
}

inline std::int64_t largest_cost(const rebalance_problem& problem,
                                 std::span<const std::uint32_t> ranks) {
  std::vector<std::int64_t> costs(problem.ranks);
  for (std::size_t s = 0; s < ranks.size(); ++s) costs[ranks[s]] += problem.samples[s].cost;
  return *std::ranges::max_element(costs);
}

}  // namespace omnibal::inline v0
