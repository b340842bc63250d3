// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs split into more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>

namespace omnibal::inline v0::detail {

/// Splits packs, those of most samples first, until there are `wanted`. The order of packs stays; a
/// pack's parts follow each other and have every other of its samples. Precondition: wanted is at
/// most the number of samples. O(samples · log packs).
[[nodiscard]] inline grouping<std::uint32_t> split_packs(const grouping<std::uint32_t>& packs,
                                                         std::size_t wanted) {
  using part_count = std::pair<std::size_t, std::size_t>;  // Samples per part, rounded up; pack.
  std::vector<std::size_t> parts(packs.size(), 1);
  const auto less = [](const part_count& left, const part_count& right) {
    return left.first != right.first ? left.first < right.first : left.second > right.second;
  };
  std::priority_queue<part_count, std::vector<part_count>, decltype(less)> largest(less);
  for (std::size_t k = 0; k < packs.size(); ++k) largest.emplace(packs[k].size(), k);
  for (std::size_t count = packs.size(); count < wanted; ++count) {
    const std::size_t k = largest.top().second;
    largest.pop();
    ++parts[k];
    largest.emplace((packs[k].size() + parts[k] - 1) / parts[k], k);
  }
  grouping<std::uint32_t> split;
  for (std::size_t k = 0; k < packs.size(); ++k)
    for (std::size_t part = 0; part < parts[k]; ++part) {
      for (std::size_t i = part; i < packs[k].size(); i += parts[k]) split.push_back(packs[k][i]);
      split.close_group();
    }
  return split;
}

}  // namespace omnibal::inline v0::detail
