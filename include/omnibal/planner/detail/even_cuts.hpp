// SPDX-License-Identifier: Apache-2.0
/// @file
/// Partitions from which searches start: of even times, layers and bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/partition/chain.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0::detail {

/// Cuts nearest to equal shares of the sum, every part non-empty. O(n).
[[nodiscard]] inline std::vector<std::size_t> rounded_shares(
    const std::vector<std::int64_t>& weights, std::size_t parts) {
  wide_integer sum = 0;
  for (const std::int64_t weight : weights) sum += weight;
  std::vector<std::size_t> cuts = {0};
  wide_integer before = 0;
  std::size_t l = 0;
  for (std::size_t part = 1; part < parts; ++part) {
    const wide_integer share = sum * part;
    const std::size_t last = weights.size() - (parts - part);
    for (; l < last; ++l) {
      const wide_integer after = before + weights[l];
      if (l > cuts.back() && 2 * share < (before + after) * parts) break;
      before = after;
    }
    cuts.push_back(l);
  }
  cuts.push_back(weights.size());
  return cuts;
}

/// Cuts that keep the constraints and whose largest sum is least; empty if there are none.
/// O(parts · n²).
[[nodiscard]] inline std::vector<std::size_t> allowed_cuts(const std::vector<std::int64_t>& weights,
                                                           std::size_t parts,
                                                           const partition_constraints& rules) {
  constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
  const std::size_t layers = weights.size();
  std::vector<std::vector<std::size_t>> begins(parts, std::vector<std::size_t>(layers + 1, 0));
  std::vector<std::int64_t> before(layers + 1, none);
  before[0] = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::vector<std::int64_t> now(layers + 1, none);
    for (std::size_t end = 1; end <= layers; ++end) {
      std::int64_t sum = 0;
      for (std::size_t begin = end; begin-- > rules.first_begin(end) && sum < now[end];) {
        sum += weights[begin];
        const std::int64_t largest = std::max(before[begin], sum);
        if (largest >= now[end] || !rules.allows(part, begin, end)) continue;
        now[end] = largest;
        begins[part][end] = begin;
      }
    }
    before = std::move(now);
  }
  if (before[layers] == none) return {};
  std::vector<std::size_t> cuts(parts + 1, layers);
  for (std::size_t part = parts; part-- > 0;) cuts[part] = begins[part][cuts[part + 1]];
  return cuts;
}

/// Partitions into even times, even numbers of layers and even bytes of the minimum-memory modes,
/// and, where there are constraints, the most even ones that keep them.
[[nodiscard]] inline std::vector<std::vector<std::size_t>> even_cuts(
    const pipeline_problem& problem) {
  std::vector<std::int64_t> times;
  std::vector<std::int64_t> bytes;
  for (const pipeline_layer& one : problem.layers) {
    times.push_back(one.forward_time + one.backward_time);
    std::int64_t saved = std::numeric_limits<std::int64_t>::max();
    for (const recompute_mode& mode : one.modes) saved = std::min(saved, mode.saved_bytes);
    bytes.push_back(one.static_bytes + saved);
  }
  const std::size_t stages = problem.schedule.total_stages();
  const std::vector<std::int64_t> ones(times.size(), 1);
  std::vector<std::vector<std::size_t>> found = {
      partition_chain(times, stages).cuts, rounded_shares(times, stages),
      rounded_shares(ones, stages), partition_chain(bytes, stages).cuts};
  if (problem.together.empty() && problem.apart.empty() && problem.fixed_cuts.empty()) return found;
  const partition_constraints rules(problem);
  for (const auto& weights : {times, ones, bytes})
    if (auto cuts = allowed_cuts(weights, stages, rules); !cuts.empty())
      found.push_back(std::move(cuts));
  return found;
}

}  // namespace omnibal::inline v0::detail
