// SPDX-License-Identifier: Apache-2.0
/// @file
/// Partitions from which searches start: of even times, layers and bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/partition/chain.hpp>
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

/// Partitions into even times, even numbers of layers and even bytes of the minimum-memory modes.
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
  return {partition_chain(times, stages).cuts, rounded_shares(times, stages),
          rounded_shares(ones, stages), partition_chain(bytes, stages).cuts};
}

}  // namespace omnibal::inline v0::detail
