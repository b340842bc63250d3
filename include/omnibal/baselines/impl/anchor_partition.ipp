// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<std::size_t> greedy_anchor(std::span<const std::int64_t> times,
                                                      std::size_t parts) {
  std::vector<std::int64_t> sums = {0};
  for (const std::int64_t time : times) sums.push_back(sums.back() + time);
  std::vector<std::size_t> cuts = {0};
  for (std::size_t part = 1; part < parts; ++part) {
    const wide_integer share = static_cast<wide_integer>(sums.back()) * part;
    const auto distance = [&](std::size_t cut) {
      const wide_integer away = static_cast<wide_integer>(sums[cut]) * parts - share;
      return away < 0 ? -away : away;
    };
    std::size_t cut = cuts.back() + 1;
    while (cut < times.size() - (parts - part) && distance(cut + 1) < distance(cut)) ++cut;
    cuts.push_back(cut);
  }
  cuts.push_back(times.size());
  return cuts;
}

OMNIBAL_INLINE std::vector<anchored_partition> anchored_partitions(
    std::span<const std::int64_t> forward, std::span<const std::int64_t> latency, std::size_t parts,
    const anchor_options& options) {
  if (parts == 0) throw invalid_input("parts", parts, "must be at least 1");
  if (options.top == 0) throw invalid_input("top", options.top, "must be at least 1");
  if (latency.size() != forward.size())
    throw invalid_input("latency", latency.size(), "must have one entry per layer");
  const std::size_t layers = forward.size();
  if (layers < parts) return {};
  const std::vector<std::size_t> anchor = greedy_anchor(forward, parts);
  std::vector<std::int64_t> sums = {0};
  for (const std::int64_t time : forward) sums.push_back(checked_add(sums.back(), time, "forward"));

  const auto better = [](const anchored_partition& left, const anchored_partition& right) {
    if (left.sum_of_squares != right.sum_of_squares)
      return left.sum_of_squares < right.sum_of_squares;
    if (left.latency != right.latency) return left.latency < right.latency;
    return left.cuts < right.cuts;
  };
  std::vector<std::vector<anchored_partition>> best(layers + 1);
  best[0].push_back({.cuts = {0}});
  for (std::size_t part = 1; part <= parts; ++part) {
    std::vector<std::vector<anchored_partition>> next(layers + 1);
    const std::size_t center = anchor[part];
    const std::size_t first =
        part == parts ? layers : std::max(part, center - std::min(center, options.radius));
    const std::size_t last = part == parts ? layers
                                           : std::min(layers - (parts - part),
                                                      center + std::min(layers, options.radius));
    for (std::size_t cut = first; cut <= last; ++cut) {
      for (std::size_t before = 0; before < cut; ++before) {
        if (best[before].empty()) continue;
        if (options.allows && !options.allows(part - 1, before, cut)) continue;
        for (const anchored_partition& prefix : best[before]) {
          const wide_integer time = sums[cut] - sums[before];
          anchored_partition longer = prefix;
          longer.cuts.push_back(cut);
          longer.sum_of_squares += time * time;
          longer.latency += cut == layers ? 0 : latency[cut - 1];
          next[cut].push_back(std::move(longer));
        }
      }
      std::ranges::sort(next[cut], better);
      if (next[cut].size() > options.top) next[cut].resize(options.top);
    }
    best = std::move(next);
  }
  return best[layers];
}

}  // namespace omnibal::inline v0
