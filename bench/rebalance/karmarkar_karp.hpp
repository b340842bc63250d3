// SPDX-License-Identifier: Apache-2.0
/// @file
/// The peer: the largest differencing method for several parts (Karmarkar and Karp, "The
/// differencing method of set partitioning", 1982), which trainers use to even ranks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <utility>
#include <vector>

/// Splits numbers into `parts` parts of nearly even sums. Returns the part of each number. Each
/// number starts as a partition of its own, with one part that holds it and others that hold
/// nothing. Again and again the two partitions whose parts differ most are merged, the largest
/// parts of one with the smallest of the other, until one is left. Earlier partitions win ties.
/// Parts are numbered by ascending sums. O(n · (parts · log parts + log n)) and the lists' moves.
inline std::vector<std::uint32_t> karmarkar_karp(std::span<const std::int64_t> numbers,
                                                 std::uint32_t parts) {
  struct part {
    std::int64_t sum = 0;
    std::vector<std::uint32_t> members = {};
  };
  using partition = std::vector<part>;  // by ascending sums
  std::vector<partition> partitions;
  using entry = std::pair<std::int64_t, std::int64_t>;  // difference, − number of the partition
  std::priority_queue<entry> queue;
  const auto push = [&](partition&& one) {
    queue.emplace(one.back().sum - one.front().sum, -static_cast<std::int64_t>(partitions.size()));
    partitions.push_back(std::move(one));
  };
  for (std::uint32_t k = 0; k < numbers.size(); ++k) {
    partition one(parts);
    one.back() = {.sum = numbers[k], .members = {k}};
    push(std::move(one));
  }
  const auto pop = [&] {
    partition one = std::move(partitions[static_cast<std::size_t>(-queue.top().second)]);
    queue.pop();
    return one;
  };
  while (queue.size() > 1) {
    partition merged = pop();
    partition other = pop();
    for (std::uint32_t k = 0; k < parts; ++k) {
      part& into = merged[k];
      const part& from = other[parts - 1 - k];
      into.sum += from.sum;
      into.members.insert(into.members.end(), from.members.begin(), from.members.end());
    }
    std::ranges::stable_sort(merged, {}, &part::sum);
    push(std::move(merged));
  }
  std::vector<std::uint32_t> part_of(numbers.size());
  if (queue.empty()) return part_of;
  const partition last = pop();
  for (std::uint32_t k = 0; k < parts; ++k)
    for (const std::uint32_t number : last[k].members) part_of[number] = k;
  return part_of;
}
