// SPDX-License-Identifier: Apache-2.0
/// @file
/// Sorting by a small key in linear time.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Sorts by the low 16 bits of key(item), ascending; items of one key stay in their order. O(n).
template <typename Item, typename Key>
void sort_by_key(std::vector<Item>& items, const Key& key) {
  std::vector<Item> sorted(items.size());
  for (unsigned shift = 0; shift < 16; shift += 8) {
    const auto digit = [&](const Item& item) {
      return static_cast<std::size_t>(static_cast<unsigned>(key(item)) >> shift & 0xFFU);
    };
    std::array<std::size_t, 257> begin{};
    for (const Item& item : items) ++begin[digit(item) + 1];
    for (std::size_t k = 1; k < begin.size(); ++k) begin[k] += begin[k - 1];
    for (const Item& item : items) sorted[begin[digit(item)]++] = item;
    items.swap(sorted);
  }
}

}  // namespace omnibal::inline v0::detail
