// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the weights, gradients and optimizer states of layers occupy on a device. Tied layers share
/// theirs: on one device the largest of them counts once, on different devices each counts where it
/// is, and their gradients must be reduced between those devices.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Layers begin … end − 1.
struct layer_range {
  std::size_t begin = 0;
  std::size_t end = 0;

  [[nodiscard]] constexpr bool holds(std::size_t l) const noexcept { return begin <= l && l < end; }
  friend bool operator==(const layer_range&, const layer_range&) = default;
};

class static_memory {
 public:
  /// O(layers + ties · layers). Precondition: the problem is valid.
  explicit static_memory(const pipeline_problem& problem) {
    before_.reserve(problem.layers.size() + 1);
    for (const layer& one : problem.layers) before_.push_back(before_.back() + one.static_bytes);
    group_ties(problem);
  }

  /// Static bytes of a device that holds these layers alone. O(tied layers).
  [[nodiscard]] std::int64_t bytes(const layer_range& layers) const {
    return bytes(std::span(&layers, 1));
  }

  /// Static bytes of a device that holds these ranges of layers, none twice.
  /// O(ranges · tied layers).
  [[nodiscard]] std::int64_t bytes(std::span<const layer_range> ranges) const {
    std::int64_t sum = 0;
    for (const layer_range& range : ranges) sum += before_[range.end] - before_[range.begin];
    for (const std::vector<std::size_t>& group : groups_) {
      std::int64_t all = 0;
      std::int64_t largest = 0;
      for (const std::size_t l : group) {
        if (std::ranges::none_of(ranges, [&](const layer_range& one) { return one.holds(l); }))
          continue;
        const std::int64_t own = before_[l + 1] - before_[l];
        all += own;
        largest = std::max(largest, own);
      }
      sum -= all - largest;
    }
    return sum;
  }

 private:
  /// Ties are transitive: whatever is connected by pairs is one group.
  void group_ties(const pipeline_problem& problem) {
    if (problem.tied.empty()) return;
    std::vector<std::size_t> group_of(problem.layers.size());
    std::iota(group_of.begin(), group_of.end(), std::size_t{0});
    for (const layer_pair& pair : problem.tied) {
      const std::size_t from = group_of[pair.second];
      const std::size_t to = group_of[pair.first];
      std::replace(group_of.begin(), group_of.end(), from, to);
    }
    std::vector<std::vector<std::size_t>> members(problem.layers.size());
    for (std::size_t l = 0; l < group_of.size(); ++l) members[group_of[l]].push_back(l);
    for (std::vector<std::size_t>& group : members)
      if (group.size() > 1) groups_.push_back(std::move(group));
  }

  std::vector<std::int64_t> before_ = {0};        ///< before_[l]: bytes of the first l layers.
  std::vector<std::vector<std::size_t>> groups_;  ///< Layers with the same weights.
};

/// The tied pairs that a plan puts on different devices: each costs a reduction of gradients
/// between them every step.
[[nodiscard]] inline std::vector<layer_pair> split_ties(const pipeline_problem& problem,
                                                        const pipeline_plan& plan) {
  const auto device = [&](std::size_t l) {
    const auto stage = std::ranges::upper_bound(plan.cuts, l) - plan.cuts.begin() - 1;
    return static_cast<std::size_t>(stage) % problem.schedule.stages;
  };
  std::vector<layer_pair> split;
  for (const layer_pair& pair : problem.tied)
    if (device(pair.first) != device(pair.second)) split.push_back(pair);
  return split;
}

}  // namespace omnibal::inline v0
