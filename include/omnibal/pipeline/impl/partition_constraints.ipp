// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
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
  if (!problem.fixed_cuts.empty()) begin_of_.assign(problem.schedule.total_stages(), any_layer);
  for (const fixed_cut& cut : problem.fixed_cuts) fix(cut);
}

OMNIBAL_INLINE void partition_constraints::fix(const fixed_cut& cut) {
  if (cut.stage >= begin_of_.size() ||
      (begin_of_[cut.stage] != any_layer && begin_of_[cut.stage] != cut.layer)) {
    contradicted_ = true;
    return;
  }
  begin_of_[cut.stage] = cut.layer;
}

OMNIBAL_INLINE bool partition_constraints::allow(std::span<const std::size_t> cuts) const noexcept {
  if (contradicted_) return false;
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j)
    if (cuts[j] >= cuts[j + 1] || !allows(j, cuts[j], cuts[j + 1])) return false;
  return true;
}

OMNIBAL_INLINE bool partition_constraints::allow_partition(std::size_t stages) const {
  if (contradicted_) return false;
  for (std::size_t stage = stages; stage < begin_of_.size(); ++stage)
    if (begin_of_[stage] != any_layer) return false;  // No such stage begins anywhere.
  const std::size_t layers = may_cut_.size() - 1;
  std::vector<bool> before(layers + 1, false);
  before[0] = true;
  for (std::size_t stage = 0; stage < stages; ++stage) {
    std::vector<bool> now(layers + 1, false);
    for (std::size_t end = 1; end <= layers; ++end)
      for (std::size_t begin = first_begin_[end]; begin < end && !now[end]; ++begin)
        now[end] = before[begin] && allows(stage, begin, end);
    before = now;
  }
  return before[layers];
}

OMNIBAL_INLINE infeasibility partition_constraints::impossibility(std::size_t stages) const {
  if (may_cut_.size() <= stages) return {.reason = infeasibility::cause::fewer_layers_than_stages};
  if (allow_partition(stages)) return {};
  infeasibility why{.reason = infeasibility::cause::rules};
  for (std::size_t fewer = stages; fewer-- > 1 && why.most_stages == 0;)
    if (allow_partition(fewer)) why.most_stages = fewer;
  return why;
}

OMNIBAL_INLINE infeasibility impossible_partition(const pipeline_problem& problem) {
  return partition_constraints(problem).impossibility(problem.schedule.total_stages());
}

}  // namespace omnibal::inline v0
