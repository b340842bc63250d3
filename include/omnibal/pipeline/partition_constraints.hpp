// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which layers may form a stage when some must share one and some must not: stages are intervals,
/// so layers that belong together forbid the cuts between them, and layers that must part bound
/// how far back a stage may reach.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

class cut_rules {
 public:
  /// O(layers · pairs). Precondition: the problem is valid.
  explicit cut_rules(const pipeline_problem& problem)
      : may_cut_(problem.layers.size() + 1, true), first_begin_(problem.layers.size() + 1, 0) {
    for (const layer_pair& pair : problem.together) {
      const auto [low, high] = std::minmax(pair.first, pair.second);
      for (std::size_t cut = low + 1; cut <= high; ++cut) may_cut_[cut] = false;
    }
    for (const layer_pair& pair : problem.apart) {
      const auto [low, high] = std::minmax(pair.first, pair.second);
      for (std::size_t end = high + 1; end < first_begin_.size(); ++end)
        first_begin_[end] = std::max(first_begin_[end], low + 1);
    }
  }

  /// Whether a stage may begin or end after `cut` layers.
  [[nodiscard]] bool may_cut(std::size_t cut) const noexcept { return may_cut_[cut]; }

  /// The first layer with which a stage may begin that ends before layer `end`. Never falls as
  /// `end` grows.
  [[nodiscard]] std::size_t first_begin(std::size_t end) const noexcept {
    return first_begin_[end];
  }

  [[nodiscard]] bool allows(std::size_t begin, std::size_t end) const noexcept {
    return may_cut_[begin] && may_cut_[end] && begin >= first_begin_[end];
  }

  /// Whether any partition into `stages` stages is allowed. O(stages · layers²).
  [[nodiscard]] bool allow_partition(std::size_t stages) const {
    const std::size_t layers = may_cut_.size() - 1;
    std::vector<bool> before(layers + 1, false);
    before[0] = true;
    for (std::size_t stage = 0; stage < stages; ++stage) {
      std::vector<bool> now(layers + 1, false);
      for (std::size_t end = 1; end <= layers; ++end)
        for (std::size_t begin = first_begin_[end]; begin < end && !now[end]; ++begin)
          now[end] = before[begin] && allows(begin, end);
      before = now;
    }
    return before[layers];
  }

 private:
  std::vector<bool> may_cut_;
  std::vector<std::size_t> first_begin_;
};

}  // namespace omnibal::inline v0
