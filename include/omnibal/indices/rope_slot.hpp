// SPDX-License-Identifier: Apache-2.0
/// @file
/// M-RoPE positions (rope.hpp) of one slot, without reading the row from left to right: a closed
/// form of how many image and video tokens precede the slot and its document.
///
/// Grids are read in order and filled without gaps, so token n of a kind is cell n of the grids of
/// this kind laid one after the other. What precedes a slot in its document is text, which advances
/// the position by one per token, and whole grids, whose advances are cumulated. Does not need
/// CUDA.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/rope.hpp>

namespace omnibal::inline v0::indices {

/// A cell of a grid, by its number among the cells of all grids of its kind.
struct grid_cell {
  std::int32_t grid = 0;    ///< the number of grids where there is no such cell
  std::int64_t cell = 0;    ///< in the grid
  std::int64_t height = 1;  ///< of the grid, in cells
  std::int64_t width = 1;
};

/// The grids of one kind laid one after the other.
struct grid_sequence {
  const image_grid* grids = nullptr;
  const std::int32_t* cu_cells = nullptr;      ///< [count + 1] cumulated cells
  const std::int32_t* cu_positions = nullptr;  ///< [count + 1] cumulated advances
  std::int32_t count = 0;
  std::int32_t merge = 1;
  bool by_frame = false;           ///< each frame is a grid of its own
  const float* seconds = nullptr;  ///< [count] seconds a frame; null: 1
  float rate = 1.0F;               ///< positions a second

  [[nodiscard]] OMNIBAL_HD constexpr grid_cell at(std::int64_t number) const noexcept {
    const std::int32_t grid = first_greater(cu_cells + 1, count, number);
    if (grid == count) return {.grid = count};
    return {.grid = grid,
            .cell = number - cu_cells[grid],
            .height = grids[grid].h / merge,
            .width = grids[grid].w / merge};
  }
  /// Positions by which whole grids before cell `number` advance.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t positions_before(
      std::int64_t number) const noexcept {
    const grid_cell next = at(number);
    const std::int64_t frames = by_frame ? next.cell / (next.height * next.width) : 0;
    return cu_positions[next.grid] + frames * larger(next.height, next.width);
  }
  /// Cells of the grid, or of the frame where frames are grids, before this one.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t begun(const grid_cell& cell) const noexcept {
    return by_frame ? cell.cell % (cell.height * cell.width) : cell.cell;
  }
  [[nodiscard]] OMNIBAL_HD constexpr float step(std::int32_t grid) const noexcept {
    const float of_frame = seconds == nullptr ? 1.0F : seconds[grid];
    return is_valid_step(of_frame, rate) ? rate * of_frame : 0;
  }
  [[nodiscard]] OMNIBAL_HD static constexpr std::int64_t larger(std::int64_t a,
                                                                std::int64_t b) noexcept {
    return a < b ? b : a;
  }
};

/// Cells of a grid, and its advance: by each frame, or as a whole; 0 without cells.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t cells_of_grid(const image_grid& grid,
                                                              std::int64_t merge) noexcept {
  return grid.t * (grid.h / merge) * (grid.w / merge);
}
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t advance_of_grid(const image_grid& grid,
                                                                std::int64_t merge,
                                                                bool by_frame) noexcept {
  if (cells_of_grid(grid, merge) == 0) return 0;
  return (by_frame ? grid.t : 1) * grid_sequence::larger(grid.h / merge, grid.w / merge);
}

/// Image and video tokens before a slot.
struct token_counts {
  std::int32_t images = 0;
  std::int32_t videos = 0;
};

/// Time, row and column.
struct rope_position {
  std::int64_t t = 0;
  std::int64_t h = 0;
  std::int64_t w = 0;
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t largest() const noexcept {
    return grid_sequence::larger(t, grid_sequence::larger(h, w));
  }
};

/// The number of a slot's grid among the images, then the videos (−1 for text), and the first slot
/// of its image, or of its frame where frames are grids.
struct image_place {
  std::int32_t group = -1;
  std::int64_t first = 0;
};

/// A slot → its position, its image, and whether its kind may be there.
struct rope_slot {
  grid_sequence images = {};
  grid_sequence videos = {};

  /// Of a slot that holds `type`, with the tokens before it and before its document.
  [[nodiscard]] OMNIBAL_HD constexpr rope_position operator()(
      const token_cursor& at, token_type type, const token_counts& before,
      const token_counts& before_document) const noexcept {
    if (at.in_tail) return {};
    const std::int64_t of_images = before.images - before_document.images;
    const std::int64_t of_videos = before.videos - before_document.videos;
    const std::int64_t p =
        at.offset() - of_images - of_videos + images.positions_before(before.images) -
        images.positions_before(before_document.images) + videos.positions_before(before.videos) -
        videos.positions_before(before_document.videos);
    if (type == token_type::text) return {p, p, p};
    const grid_sequence& grids = type == token_type::image ? images : videos;
    const std::int64_t number = type == token_type::image ? before.images : before.videos;
    const grid_cell cell = grids.at(number);
    const std::int64_t in_frame = cell.cell % (cell.height * cell.width);
    const std::int64_t frame = grids.by_frame ? 0 : cell.cell / (cell.height * cell.width);
    const float time = static_cast<float>(frame) * grids.step(cell.grid);
    return {p + static_cast<std::int64_t>(time), p + in_frame / cell.width,
            p + in_frame % cell.width};
  }

  /// The image of a slot that holds `type`, with the tokens before it.
  [[nodiscard]] OMNIBAL_HD constexpr image_place image_of(
      std::int64_t slot, token_type type, const token_counts& before) const noexcept {
    if (type == token_type::text) return {.first = slot};
    const bool is_image = type == token_type::image;
    const grid_sequence& grids = is_image ? images : videos;
    const grid_cell cell = grids.at(is_image ? before.images : before.videos);
    return {.group = (is_image ? 0 : images.count) + cell.grid, .first = slot - grids.begun(cell)};
  }

  /// Whether the slot's token can follow a token of type `left` of its document (text before its
  /// first): padding holds text, a grid is there, and goes on where it has begun.
  [[nodiscard]] OMNIBAL_HD constexpr bool is_legal(const token_cursor& at, token_type type,
                                                   token_type left,
                                                   const token_counts& before) const noexcept {
    if (type == token_type::text) return true;
    if (type > token_type::video || at.is_padding()) return false;
    const grid_sequence& grids = type == token_type::image ? images : videos;
    const grid_cell cell = grids.at(type == token_type::image ? before.images : before.videos);
    if (cell.grid == grids.count) return false;
    return grids.begun(cell) == 0 || left == type;
  }
};

}  // namespace omnibal::inline v0::indices
