// SPDX-License-Identifier: Apache-2.0
#include "forms.hpp"

#include <algorithm>
#include <limits>

#include <omnibal/core.hpp>

namespace omnibal::examples {

using namespace indices;

document_summary forms::lay_documents(std::span<const std::int64_t> lengths,
                                      const document_layout& layout,
                                      const document_arrays& arrays) const {
  return indices::lay_documents(lengths, layout, arrays);
}

laid_documents forms::lay_row(std::span<const std::int64_t> lengths,
                              std::optional<std::int64_t> slots, std::int64_t multiple) const {
  // The host knows the lengths and checks them; offsets are those of this form.
  laid_documents laid = indices::lay_row(lengths, slots, multiple);
  const document_layout layout{.documents = laid.summary.documents,
                               .slots = laid.row().slots,
                               .multiple = multiple,
                               .tail = tail_policy::left_out};
  laid.summary = lay_documents(lengths, layout, {laid.cu_seqlens, laid.cu_seqlens_padded});
  return laid;
}

void forms::fill_tokens(const document_row& row, const any_split& split, std::int64_t rank,
                        const token_inputs& inputs, const token_arrays& arrays) const {
  std::visit([&](const auto& one) { indices::fill_tokens(row, one, rank, inputs, arrays); }, split);
}

void forms::fill_tokens(const document_row& row, const token_inputs& inputs,
                        const token_arrays& arrays) const {
  fill_tokens(row, whole{row.slots}, 0, inputs, arrays);
}

std::vector<std::int64_t> forms::invert_split(const any_split& split, std::int64_t slots) const {
  std::vector<std::int64_t> place(static_cast<std::size_t>(slots));
  std::visit([&](const auto& one) { indices::invert_split(one, place); }, split);
  return place;
}

std::vector<std::int32_t> forms::lay_rank(const zigzag& split, std::int64_t rank) const {
  return zigzag_cu_seqlens(split, rank);
}

weight_sums forms::weigh_documents(const document_row& row, std::span<const std::int64_t> labels,
                                   const label_policy& policy, loss_weighting weighting,
                                   std::span<float> weight) const {
  return indices::weigh_documents(row, labels, policy, weighting, {.weight = weight});
}

unpadded forms::unpad(std::span<const std::uint8_t> mask, std::span<const std::uint8_t> unused,
                      std::size_t rows) const {
  return indices::unpad(mask, unused, rows);
}

std::vector<std::int64_t> forms::places_in_rows(std::span<const std::int64_t> lengths,
                                                std::span<const std::int64_t> row_of_document,
                                                std::int64_t /*rows*/,
                                                std::int64_t row_slots) const {
  return indices::places_in_rows(lengths, row_of_document, row_slots);
}

std::vector<std::int64_t> forms::source_row_of_slot(std::span<const std::int64_t> tokens,
                                                    std::int64_t image_token,
                                                    std::span<const std::uint8_t> tile_used,
                                                    std::int64_t rows_per_tile) const {
  return indices::source_row_of_slot(plan_scatter(tokens, image_token, tile_used, rows_per_tile),
                                     tokens.size());
}

void forms::place_images(const document_row& row, const rope_inputs& inputs,
                         std::span<std::int64_t> position_ids,
                         std::span<std::int64_t> delta) const {
  const rope_row placed = indices::place_images(row, inputs);
  fill_rope_positions(row, placed, position_ids);
  std::copy(placed.delta.begin(), placed.delta.end(), delta.begin());
}

void forms::fill_tree(const tree_row& tree, std::span<std::int64_t> position_ids,
                      std::span<std::int32_t> first, std::span<std::int32_t> limit) const {
  const interval_in_tree interval{tree.subtree_end.data()};
  for (std::size_t slot = 0; slot < position_ids.size(); ++slot) {
    const key_interval seen_by = interval(static_cast<std::int64_t>(slot));
    position_ids[slot] = tree.position_ids[slot];
    first[slot] = static_cast<std::int32_t>(seen_by.first);
    limit[slot] = static_cast<std::int32_t>(seen_by.limit);
  }
}

chunk_offsets forms::lay_chunks(std::span<const std::int64_t> lengths, std::int64_t chunk) const {
  return indices::lay_chunks(lengths, chunk);
}

std::vector<std::int64_t> forms::ragged_offsets(const document_row& row, std::int64_t multiplier,
                                                std::size_t entries, bool wide) const {
  const ragged_offset offset{row.cu_seqlens_padded, row.documents, multiplier};
  std::vector<std::int64_t> offsets;
  for (std::size_t n = 0; n < entries; ++n) {
    offsets.push_back(offset(static_cast<std::int64_t>(n)));
    if (!wide && offsets.back() > std::numeric_limits<std::int32_t>::max())
      throw invalid_input("offset", offsets.back(), "must be at most 2147483647: it is int32");
  }
  return offsets;
}

std::vector<std::int64_t> forms::tile_padded_offsets(const document_row& row,
                                                     std::int64_t tile) const {
  if (tile < 1 || tile > std::numeric_limits<std::int32_t>::max())
    throw invalid_input("tile", tile, "must be at least 1 and at most 2147483647");
  const tile_padded_offset offset{row.cu_seqlens, tile};
  std::vector<std::int64_t> offsets;
  for (std::int64_t d = 0; d < row.documents; ++d) {
    offsets.push_back(offset(d));
    if (offsets.back() > std::numeric_limits<std::int32_t>::max())
      throw invalid_input("padded_offset", static_cast<std::size_t>(d), offsets.back(),
                          "must be at most 2147483647: it is int32");
  }
  return offsets;
}

indices::block_mask forms::list_blocks(std::span<const std::int32_t> first,
                                       std::span<const std::int32_t> limit, std::int64_t q_block,
                                       std::int64_t k_block) const {
  return indices::list_blocks(first, limit, q_block, k_block);
}

std::vector<std::int32_t> forms::vision_cu_seqlens(const laid_images& images,
                                                   vision_sequence sequence) const {
  return indices::vision_cu_seqlens(images, sequence);
}

void forms::lay_patches(const laid_images& images, std::int64_t side,
                        const patch_arrays& arrays) const {
  indices::lay_patches(images, side, arrays);
}

std::vector<std::int32_t> forms::window_cu_seqlens(const laid_images& images, std::int64_t side,
                                                   bool empty_last) const {
  return indices::window_cu_seqlens(images, side, empty_last);
}

void forms::interpolate_patches(const laid_images& images, const tap_table& table,
                                std::span<std::int64_t> taps, std::span<float> weights) const {
  indices::interpolate_patches(images, table.side, table.align_corners, table.mode, taps, weights);
}

}  // namespace omnibal::examples
