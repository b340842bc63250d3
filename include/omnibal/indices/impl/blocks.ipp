// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

[[nodiscard]] OMNIBAL_INLINE block_list empty_list(std::size_t lines, std::size_t width) {
  return {std::vector<std::int32_t>(lines), std::vector<std::int32_t>(lines * width), width};
}

OMNIBAL_INLINE void append_block(block_list& list, std::size_t line, std::size_t block) {
  const auto place = static_cast<std::size_t>(list.count[line]++);
  list.indices[line * list.width + place] = static_cast<std::int32_t>(block);
}

OMNIBAL_INLINE void check_intervals(std::span<const std::int32_t> first,
                                    std::span<const std::int32_t> limit) {
  if (first.size() != limit.size())
    throw invalid_input("number of limits", limit.size(), "must be that of the firsts");
  static_cast<void>(narrow(static_cast<std::int64_t>(first.size()), "number of keys"));
  for (std::size_t k = 0; k < first.size(); ++k) {
    if (first[k] < 0) throw invalid_input("first", k, first[k], "must not be negative");
    if (limit[k] < 0) throw invalid_input("limit", k, limit[k], "must not be negative");
  }
}

}  // namespace detail

OMNIBAL_INLINE block_mask list_blocks(std::span<const std::int32_t> first,
                                      std::span<const std::int32_t> limit, std::int64_t q_block,
                                      std::int64_t k_block) {
  detail::require_at_least(q_block, 1, "q_block");
  detail::require_at_least(k_block, 1, "k_block");
  detail::check_intervals(first, limit);
  const auto slots = static_cast<std::int64_t>(first.size());
  const auto rows = static_cast<std::size_t>(divide_rounding_up(slots, q_block));
  const auto columns = static_cast<std::size_t>(divide_rounding_up(slots, k_block));
  block_mask mask{.kv = detail::empty_list(rows, columns),
                  .full_kv = detail::empty_list(rows, columns),
                  .q = detail::empty_list(columns, rows),
                  .full_q = detail::empty_list(columns, rows)};
  // Of one column: change[i] is by how much more keys touch row i than row i − 1.
  std::vector<std::int64_t> change(rows + 1);
  for (std::size_t column = 0; column < columns; ++column) {
    const std::int64_t begin = static_cast<std::int64_t>(column) * k_block;
    const std::int64_t end = std::min(slots, begin + k_block);
    std::int64_t seen_by_all_from = 0;
    std::int64_t seen_by_all_to = end - begin == k_block ? slots : 0;
    std::fill(change.begin(), change.end(), 0);
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t from = first[static_cast<std::size_t>(k)];
      const std::int64_t to = std::min<std::int64_t>(limit[static_cast<std::size_t>(k)], slots);
      seen_by_all_from = std::max(seen_by_all_from, from);
      seen_by_all_to = std::min(seen_by_all_to, to);
      if (from >= to) continue;
      ++change[static_cast<std::size_t>(from / q_block)];
      --change[static_cast<std::size_t>((to - 1) / q_block + 1)];
    }
    std::int64_t touching = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      touching += change[row];
      if (touching == 0) continue;
      const std::int64_t q = static_cast<std::int64_t>(row) * q_block;
      const bool full = seen_by_all_from <= q && q + q_block <= seen_by_all_to;
      detail::append_block(full ? mask.full_kv : mask.kv, row, column);
      detail::append_block(full ? mask.full_q : mask.q, column, row);
    }
  }
  return mask;
}

OMNIBAL_INLINE compressed_blocks compress(const block_list& blocks) {
  compressed_blocks compressed{.offsets = {0}, .indices = {}};
  for (std::size_t line = 0; line < blocks.count.size(); ++line) {
    const auto listed = blocks.line(line);
    compressed.indices.insert(compressed.indices.end(), listed.begin(), listed.end());
    compressed.offsets.push_back(
        detail::narrow(static_cast<std::int64_t>(compressed.indices.size()), "listed blocks"));
  }
  return compressed;
}

}  // namespace omnibal::inline v0::indices
