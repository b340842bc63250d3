// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE partition_constraints::partition_constraints(const pipeline_problem& problem)
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

OMNIBAL_INLINE bool partition_constraints::allow_partition(std::size_t stages) const {
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

OMNIBAL_INLINE infeasibility impossible_partition(const pipeline_problem& problem) {
  const std::size_t stages = problem.schedule.total_stages();
  if (problem.layers.size() < stages)
    return {.reason = infeasibility::cause::fewer_layers_than_stages};
  if (!partition_constraints(problem).allow_partition(stages))
    return {.reason = infeasibility::cause::rules};
  return {};
}

}  // namespace omnibal::inline v0
