// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/rebalance/differencing.hpp>

namespace omnibal::inline v0 {

namespace detail {

class differencing {
 public:
  differencing(std::span<const std::int64_t> numbers, std::uint32_t parts)
      : parts_(parts), next_(numbers.size(), none) {
    for (std::uint32_t k = 0; k < numbers.size(); ++k)
      push({{.sum = numbers[k], .first = k, .last = k}});
    while (queue_.size() > 1) {
      partition larger = pop();
      push(merge(std::move(larger), pop()));
    }
  }

  [[nodiscard]] std::vector<std::uint32_t> part_of_numbers() {
    std::vector<std::uint32_t> part_of(next_.size());
    if (queue_.empty()) return part_of;
    const partition all = pop();
    for (std::uint32_t k = 0; k < all.size(); ++k)
      for (std::uint32_t number = all[k].first; number != none; number = next_[number])
        part_of[number] = k;
    return part_of;
  }

 private:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  // The numbers of a part are a list from `first` to `last`, linked by next_.
  struct part {
    std::int64_t sum = 0;
    std::uint32_t first = none;
    std::uint32_t last = none;
  };
  // The parts that are not empty, largest sum first.
  using partition = std::vector<part>;

  void push(partition&& one) {
    const std::int64_t smallest = one.size() == parts_ ? one.back().sum : 0;
    // Of equal ones the earliest partition is next.
    queue_.emplace(one.front().sum - smallest, -static_cast<std::int64_t>(partitions_.size()));
    partitions_.push_back(std::move(one));
  }

  [[nodiscard]] partition pop() {
    const auto next = static_cast<std::size_t>(-queue_.top().second);
    queue_.pop();
    return std::move(partitions_[next]);
  }

  // Merges the k-th largest part of one partition with the k-th smallest of the other, which is
  // usually empty.
  [[nodiscard]] partition merge(partition one, partition other) {
    if (one.size() < other.size()) std::swap(one, other);
    const std::size_t free = parts_ - one.size();
    for (std::size_t k = free; k < other.size(); ++k) {
      part& into = one[one.size() - 1 - (k - free)];
      next_[into.last] = other[k].first;
      into.last = other[k].last;
      into.sum += other[k].sum;
    }
    if (other.size() > free) std::ranges::stable_sort(one, std::ranges::greater{}, &part::sum);
    for (std::size_t k = 0; k < std::min(free, other.size()); ++k)
      one.insert(std::ranges::upper_bound(one, other[k].sum, std::ranges::greater{}, &part::sum),
                 other[k]);
    return one;
  }

  std::uint32_t parts_;
  std::vector<std::uint32_t> next_;
  std::vector<partition> partitions_;
  std::priority_queue<std::pair<std::int64_t, std::int64_t>> queue_;
};

}  // namespace detail

OMNIBAL_INLINE std::vector<std::uint32_t> differencing_parts(std::span<const std::int64_t> numbers,
                                                             std::uint32_t parts) {
  return detail::differencing(numbers, parts).part_of_numbers();
}

}  // namespace omnibal::inline v0
