// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lists of the blocks of an attention mask, from one interval per key (intervals.hpp):
/// FlexAttention's BlockMask in both orientations, FlashAttention 4's lists, FlashMask's columns.
/// No array of slots² cells is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/intervals.hpp>

namespace omnibal::inline v0::indices {

/// Blocks listed for each of `lines` block rows (or columns) of `width` blocks: the first
/// count[line] entries of line `line` of `indices`, ascending. Further entries are 0 and nobody
/// reads them.
struct block_list {
  std::vector<std::int32_t> count = {};    ///< [lines]
  std::vector<std::int32_t> indices = {};  ///< [lines × width]
  std::size_t width = 0;

  /// The blocks listed for a line.
  [[nodiscard]] std::span<const std::int32_t> line(std::size_t number) const {
    return std::span(indices).subspan(number * width, static_cast<std::size_t>(count[number]));
  }
};

/// A BlockMask. Block (i, j) has the queries [i · q_block, …) and keys [j · k_block, …): it is full
/// if all of its q_block · k_block cells are seen (one that the row's end cuts never is), partial
/// if some are.
struct block_mask {
  block_list kv = {};       ///< partial key blocks of each query block
  block_list full_kv = {};  ///< full ones
  block_list q = {};        ///< partial query blocks of each key block
  block_list full_q = {};
};

/// Lists the blocks of the mask in which queries first[k] ≤ q < limit[k] see key k, cut to the row;
/// keys with first ≥ limit are seen by nobody. Throws invalid_input for arrays of different sizes,
/// negative entries and blocks of less than one slot. O(slots + query blocks · key blocks).
[[nodiscard]] block_mask list_blocks(std::span<const std::int32_t> first,
                                     std::span<const std::int32_t> limit, std::int64_t q_block,
                                     std::int64_t k_block);

/// A list of blocks without gaps, as FlashAttention 4 takes it for rows of varying length: the
/// blocks of line i are indices[offsets[i]] … indices[offsets[i + 1] − 1].
struct compressed_blocks {
  std::vector<std::int32_t> offsets = {};  ///< [lines + 1]
  std::vector<std::int32_t> indices = {};
};
[[nodiscard]] compressed_blocks compress(const block_list& blocks);

/// FlashMask's column of key k: queries from lower_start on do not see it, nor those before
/// upper_end. Its causal form has lower_start alone.
struct flashmask_column {
  std::int32_t lower_start = 0;
  std::int32_t upper_end = 0;
};
[[nodiscard]] constexpr flashmask_column flashmask_of(const key_interval& key) noexcept {
  return {static_cast<std::int32_t>(key.limit), static_cast<std::int32_t>(key.first)};
}

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/blocks.ipp>
#endif
