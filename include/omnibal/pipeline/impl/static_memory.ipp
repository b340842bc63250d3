// SPDX-License-Identifier: Apache-2.0
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
#include <omnibal/pipeline/static_memory.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE static_memory::static_memory(const pipeline_problem& problem) {
  before_.reserve(problem.layers.size() + 1);
  for (const pipeline_layer& one : problem.layers)
    before_.push_back(before_.back() + one.static_bytes);
  group_ties(problem);
}

OMNIBAL_INLINE std::int64_t static_memory::bytes(std::span<const layer_range> ranges) const {
  std::int64_t sum = 0;
  for (const layer_range& range : ranges) sum += before_[range.end] - before_[range.begin];
  for (const std::vector<std::size_t>& group : groups_) {
    std::int64_t all = 0;
    std::int64_t largest = 0;
    for (const std::size_t l : group) {
      if (std::ranges::none_of(ranges, [&](const layer_range& one) { return one.contains(l); }))
        continue;
      const std::int64_t own = before_[l + 1] - before_[l];
      all += own;
      largest = std::max(largest, own);
    }
    sum -= all - largest;
  }
  return sum;
}

OMNIBAL_INLINE void static_memory::group_ties(const pipeline_problem& problem) {
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

OMNIBAL_INLINE std::vector<layer_pair> split_ties(const pipeline_problem& problem,
                                                  const pipeline_plan& plan) {
  const auto device = [&](std::size_t l) {
    const auto stage = std::ranges::upper_bound(plan.cuts, l) - plan.cuts.begin() - 1;
    return problem.schedule.device(static_cast<std::size_t>(stage));
  };
  std::vector<layer_pair> split;
  for (const layer_pair& pair : problem.tied)
    if (device(pair.first) != device(pair.second)) split.push_back(pair);
  return split;
}

}  // namespace omnibal::inline v0
