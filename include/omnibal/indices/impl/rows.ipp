// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/rows.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

OMNIBAL_INLINE void check_unpad(std::span<const std::uint8_t> mask,
                                std::span<const std::uint8_t> unused, std::size_t rows) {
  if (!unused.empty() && unused.size() != mask.size())
    throw invalid_input("unused", unused.size(),
                        "entries are given: must be as many as in the mask");
  if (rows == 0 ? !mask.empty() : mask.size() % rows != 0)
    throw invalid_input(
        "mask", mask.size(),
        "entries are given: must be a multiple of the rows, " + std::to_string(rows));
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] > 1) throw invalid_input("mask", i, int{mask[i]}, "must be 0 or 1");
    if (unused.empty()) continue;
    if (unused[i] > 1) throw invalid_input("unused", i, int{unused[i]}, "must be 0 or 1");
    if (unused[i] + mask[i] > 1)
      throw invalid_input("unused", i, int{unused[i]}, "must be 0 where the mask is 1");
  }
}

OMNIBAL_INLINE void check_sources(std::span<const std::int64_t> source, std::size_t rows) {
  for (std::size_t i = 0; i < source.size(); ++i)
    if (source[i] < -1 || source[i] >= static_cast<std::int64_t>(rows))
      throw invalid_input("source", i, source[i],
                          "must be -1 or a row, of which there are " + std::to_string(rows));
}

}  // namespace detail

OMNIBAL_INLINE void move_rows(row_move move, std::span<const std::int64_t> source,
                              std::span<const moved_rows> tensors) {
  for (const moved_rows& tensor : tensors) detail::check_sources(source, tensor.rows);
  for (const moved_rows& tensor : tensors)
    for (std::size_t i = 0; tensor.row_bytes != 0 && i < source.size(); ++i) {
      const std::size_t bytes = tensor.row_bytes;
      const auto numbered = static_cast<std::size_t>(source[i]) * bytes;
      if (move == row_move::scatter && source[i] >= 0)
        std::memcpy(tensor.to + numbered, tensor.from + i * bytes, bytes);
      else if (move == row_move::gather && source[i] >= 0)
        std::memcpy(tensor.to + i * bytes, tensor.from + numbered, bytes);
      else if (move == row_move::gather)
        std::memset(tensor.to + i * bytes, 0, bytes);
    }
}

OMNIBAL_INLINE unpadded unpad(std::span<const std::uint8_t> mask,
                              std::span<const std::uint8_t> unused, std::size_t rows) {
  detail::check_unpad(mask, unused, rows);
  unpadded found{.indices = {}, .cu_seqlens = {0}, .seqused = {}};
  const std::size_t columns = rows == 0 ? 0 : mask.size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    std::int64_t used = 0;
    std::int64_t all = 0;
    for (std::size_t i = row * columns; i < (row + 1) * columns; ++i) {
      used += mask[i];
      if (mask[i] == 0 && (unused.empty() || unused[i] == 0)) continue;
      found.indices.push_back(static_cast<std::int64_t>(i));
      ++all;
    }
    found.seqused.push_back(detail::narrow(used, "seqused"));
    found.cu_seqlens.push_back(
        detail::narrow(static_cast<std::int64_t>(found.indices.size()), "cu_seqlens"));
    found.max_seqlen = std::max(found.max_seqlen, all);
  }
  return found;
}

OMNIBAL_INLINE std::vector<std::int64_t> places_in_rows(
    std::span<const std::int64_t> lengths, std::span<const std::int64_t> row_of_document,
    std::int64_t row_slots) {
  detail::require_at_least(row_slots, 0, "row_slots");
  if (row_of_document.size() != lengths.size())
    throw invalid_input("row_of_document", row_of_document.size(),
                        "entries are given: must be one a document");
  std::vector<std::int64_t> places;
  std::int64_t row = 0;
  std::int64_t used = 0;
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    if (lengths[d] < 0) throw invalid_input("lengths", d, lengths[d], "must not be negative");
    if (row_of_document[d] < row)
      throw invalid_input("row_of_document", d, row_of_document[d], "must not descend from 0 on");
    if (row_of_document[d] > row) used = 0;
    row = row_of_document[d];
    if (lengths[d] > row_slots - used)
      throw invalid_input("lengths", d, lengths[d],
                          "does not fit into its row, which has " +
                              std::to_string(row_slots - used) + " slots left");
    const std::int64_t base = checked_multiply(row, row_slots, "row_slots");
    for (std::int64_t i = 0; i < lengths[d]; ++i)
      places.push_back(checked_add(base, used + i, "row_slots"));
    used += lengths[d];
  }
  return places;
}

OMNIBAL_INLINE scatter_plan plan_scatter(std::span<const std::int64_t> tokens,
                                         std::int64_t image_token,
                                         std::span<const std::uint8_t> tile_used,
                                         std::int64_t rows_per_tile) {
  detail::require_at_least(rows_per_tile, 0, "rows_per_tile");
  scatter_plan plan;
  for (std::size_t slot = 0; slot < tokens.size(); ++slot)
    if (tokens[slot] == image_token) plan.slots.push_back(static_cast<std::int64_t>(slot));
  for (std::size_t tile = 0; tile < tile_used.size(); ++tile) {
    if (tile_used[tile] > 1)
      throw invalid_input("tile_used", tile, int{tile_used[tile]}, "must be 0 or 1");
    const std::int64_t first =
        checked_multiply(static_cast<std::int64_t>(tile), rows_per_tile, "rows_per_tile");
    for (std::int64_t i = 0; tile_used[tile] == 1 && i < rows_per_tile; ++i)
      plan.rows.push_back(first + i);
  }
  return plan;
}

OMNIBAL_INLINE std::vector<std::int64_t> source_row_of_slot(const scatter_plan& plan,
                                                            std::size_t slots) {
  if (plan.slots.size() != plan.rows.size())
    throw invalid_input(
        "rows of used tiles", plan.rows.size(),
        "must be as many as slots with the image token, " + std::to_string(plan.slots.size()));
  std::vector<std::int64_t> source(slots, -1);
  for (std::size_t n = 0; n < plan.slots.size(); ++n)
    source.at(static_cast<std::size_t>(plan.slots[n])) = plan.rows[n];
  return source;
}

}  // namespace omnibal::inline v0::indices
