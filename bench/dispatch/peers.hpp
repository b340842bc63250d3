// SPDX-License-Identifier: Apache-2.0
/// @file
/// How others assign the packs of a step to ranks, from their published descriptions: at random, in
/// a snake, and by largest differencing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace peers {

/// The packs of each rank.
using assignment = std::vector<std::vector<std::uint32_t>>;

/// In the order given, equally many per rank.
inline assignment in_order(std::span<const std::uint32_t> packs, std::size_t ranks) {
  assignment assigned(ranks);
  for (std::size_t k = 0; k < packs.size(); ++k)
    assigned[k * ranks / packs.size()].push_back(packs[k]);
  return assigned;
}

inline std::vector<std::uint32_t> most_valuable_first(std::span<const std::uint32_t> packs,
                                                      const std::vector<std::uint64_t>& costs) {
  std::vector<std::uint32_t> sorted(packs.begin(), packs.end());
  std::ranges::stable_sort(sorted, std::greater<>{}, [&](std::uint32_t k) { return costs[k]; });
  return sorted;
}

/// Largest first, to the ranks forth and back.
inline assignment snake(std::span<const std::uint32_t> packs, std::size_t ranks,
                        const std::vector<std::uint64_t>& costs) {
  assignment assigned(ranks);
  const auto sorted = most_valuable_first(packs, costs);
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    const std::size_t place = k % ranks;
    assigned[k / ranks % 2 == 0 ? place : ranks - 1 - place].push_back(sorted[k]);
  }
  return assigned;
}

/// Karmarkar and Karp, "The differencing method of set partitioning", 1982, for equally many packs
/// per rank: partial assignments of one pack per rank, of which the two whose ranks are furthest
/// apart are joined, largest to smallest, until one is left. Precondition: ranks divides the packs.
class largest_differencing {
 public:
  explicit largest_differencing(const std::vector<std::uint64_t>& costs) : costs_(costs) {}

  assignment operator()(std::span<const std::uint32_t> packs, std::size_t ranks) {
    const auto sorted = most_valuable_first(packs, costs_);
    std::vector<partial> heap;
    for (std::size_t first = 0; first < sorted.size(); first += ranks) {
      partial one;
      for (std::size_t k = first; k < first + ranks; ++k)
        one.push_back({costs_[sorted[k]], {sorted[k]}});
      heap.push_back(std::move(one));
    }
    const auto nearer = [](const partial& a, const partial& b) { return spread(a) < spread(b); };
    std::ranges::make_heap(heap, nearer);
    while (heap.size() > 1) {
      std::ranges::pop_heap(heap, nearer);
      partial other = std::move(heap.back());
      heap.pop_back();
      std::ranges::pop_heap(heap, nearer);
      join(heap.back(), std::move(other));
      std::ranges::push_heap(heap, nearer);
    }
    assignment assigned;
    if (heap.empty()) return assignment(ranks);
    for (share& of_rank : heap.front()) assigned.push_back(std::move(of_rank.packs));
    return assigned;
  }

 private:
  struct share {
    std::uint64_t cost = 0;
    std::vector<std::uint32_t> packs;
  };
  using partial = std::vector<share>;  // largest first

  static std::uint64_t spread(const partial& one) { return one.front().cost - one.back().cost; }

  static void join(partial& into, partial&& other) {
    for (std::size_t k = 0; k < into.size(); ++k) {
      const share& added = other[other.size() - 1 - k];
      into[k].cost += added.cost;
      into[k].packs.insert(into[k].packs.end(), added.packs.begin(), added.packs.end());
    }
    std::ranges::stable_sort(into, std::greater<>{}, &share::cost);
  }

  const std::vector<std::uint64_t>& costs_;
};

}  // namespace peers
