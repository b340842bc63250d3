// SPDX-License-Identifier: Apache-2.0
/// @file
/// What computes the arrays of an operation: the host forms of the library, or its kernels, run by
/// the emulator. Arrays are host memory in both.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include <omnibal/indices.hpp>

namespace omnibal::examples {

/// A split of a row, whichever it is.
using any_split = std::variant<indices::whole, indices::contiguous, indices::striped,
                               indices::zigzag_row, indices::zigzag_ring_ulysses, indices::zigzag>;

/// Shapes of the taps of a table of position embeddings.
struct tap_table {
  std::int64_t side = 1;
  bool align_corners = false;
  indices::interpolation_mode mode = indices::interpolation_mode::bilinear;
};

/// The host forms. What a derived class does not override, the host computes.
class forms {
 public:
  forms() = default;
  forms(const forms&) = delete;
  forms& operator=(const forms&) = delete;
  virtual ~forms() = default;

  /// Of one array: what is computed and printed within seconds.
  [[nodiscard]] virtual std::int64_t most_entries() const { return 1 << 24; }

  virtual indices::document_summary lay_documents(std::span<const std::int64_t> lengths,
                                                  const indices::document_layout& layout,
                                                  const indices::document_arrays& arrays) const;
  /// lay_documents without a capacity and without the tail among the offsets.
  [[nodiscard]] indices::laid_documents lay_row(std::span<const std::int64_t> lengths,
                                                std::optional<std::int64_t> slots = std::nullopt,
                                                std::int64_t multiple = 1) const;

  virtual void fill_tokens(const indices::document_row& row, const any_split& split,
                           std::int64_t rank, const indices::token_inputs& inputs,
                           const indices::token_arrays& arrays) const;
  /// fill_tokens of the whole row.
  void fill_tokens(const indices::document_row& row, const indices::token_inputs& inputs,
                   const indices::token_arrays& arrays) const;

  /// The place of each slot among the slots of all ranks.
  [[nodiscard]] virtual std::vector<std::int64_t> invert_split(const any_split& split,
                                                               std::int64_t slots) const;
  /// cu_seqlens of the tokens of a rank.
  [[nodiscard]] virtual std::vector<std::int32_t> lay_rank(const indices::zigzag& split,
                                                           std::int64_t rank) const;

  virtual indices::weight_sums weigh_documents(const indices::document_row& row,
                                               std::span<const std::int64_t> labels,
                                               const indices::label_policy& policy,
                                               indices::loss_weighting weighting,
                                               std::span<float> weight) const;

  [[nodiscard]] virtual indices::unpadded unpad(std::span<const std::uint8_t> mask,
                                                std::span<const std::uint8_t> unused,
                                                std::size_t rows) const;
  [[nodiscard]] virtual std::vector<std::int64_t> places_in_rows(
      std::span<const std::int64_t> lengths, std::span<const std::int64_t> row_of_document,
      std::int64_t rows, std::int64_t row_slots) const;
  [[nodiscard]] virtual std::vector<std::int64_t> source_row_of_slot(
      std::span<const std::int64_t> tokens, std::int64_t image_token,
      std::span<const std::uint8_t> tile_used, std::int64_t rows_per_tile) const;

  /// Positions [3 × slots].
  virtual void place_images(const indices::document_row& row, const indices::rope_inputs& inputs,
                            std::span<std::int64_t> position_ids,
                            std::span<std::int64_t> delta) const;

  /// Depths and key intervals of a tree that has been laid.
  virtual void fill_tree(const indices::tree_row& tree, std::span<std::int64_t> position_ids,
                         std::span<std::int32_t> first, std::span<std::int32_t> limit) const;

  [[nodiscard]] virtual indices::chunk_offsets lay_chunks(std::span<const std::int64_t> lengths,
                                                          std::int64_t chunk) const;
  /// The first `entries` offsets of a tensor, int32 unless `wide`.
  [[nodiscard]] virtual std::vector<std::int64_t> ragged_offsets(const indices::document_row& row,
                                                                 std::int64_t multiplier,
                                                                 std::size_t entries,
                                                                 bool wide) const;
  [[nodiscard]] virtual std::vector<std::int64_t> tile_padded_offsets(
      const indices::document_row& row, std::int64_t tile) const;

  [[nodiscard]] virtual indices::block_mask list_blocks(std::span<const std::int32_t> first,
                                                        std::span<const std::int32_t> limit,
                                                        std::int64_t q_block,
                                                        std::int64_t k_block) const;

  [[nodiscard]] virtual std::vector<std::int32_t> vision_cu_seqlens(
      const indices::laid_images& images, indices::vision_sequence sequence) const;
  virtual void lay_patches(const indices::laid_images& images, std::int64_t side,
                           const indices::patch_arrays& arrays) const;
  [[nodiscard]] virtual std::vector<std::int32_t> window_cu_seqlens(
      const indices::laid_images& images, std::int64_t side, bool empty_last) const;
  virtual void interpolate_patches(const indices::laid_images& images, const tap_table& table,
                                   std::span<std::int64_t> taps, std::span<float> weights) const;
};

}  // namespace omnibal::examples
