// SPDX-License-Identifier: Apache-2.0
/// @file
/// Indices of a vision tower: where frames, clips and windows of patches begin, the frame, row and
/// column of each patch, the order of windowed attention, and the taps that resize position
/// embeddings.
///
/// A grid has t frames of h × w patches. Patches are ordered frame by frame; within a frame square
/// by square of merge × merge patches, in rows; within a square row by row. Such a square, a
/// *cell*, becomes one token of the language model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>

namespace omnibal::inline v0::indices {

/// An image (t = 1) or video. h and w are multiples of the merge.
struct image_grid {
  std::int32_t t = 0;
  std::int32_t h = 0;
  std::int32_t w = 0;
  friend constexpr bool operator==(const image_grid&, const image_grid&) noexcept = default;
};

namespace detail {

/// a · b up to 2³², above which it does not matter how much; sums of 2³¹ of them do not overflow.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t limited_product(std::int64_t a,
                                                                std::int64_t b) noexcept {
  constexpr std::int64_t limit = std::int64_t{1} << 32;
  return b != 0 && a > limit / b ? limit : a * b;
}

}  // namespace detail

/// The patches of a grid; of more than a row can have, some number beyond. Sizes are not negative.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t patches_of_grid(const image_grid& grid) noexcept {
  return detail::limited_product(grid.t, detail::limited_product(grid.h, grid.w));
}

/// The most frames of a grid without patches, of which arrays per frame have entries all the same.
inline constexpr std::int32_t most_frames_without_patches = 1 << 20;

/// Whether a grid has no negative size, h and w that the merge divides, at most 2³¹ − 1 patches
/// and, without patches, at most most_frames_without_patches frames.
[[nodiscard]] OMNIBAL_HD constexpr bool is_legal(const image_grid& grid,
                                                 std::int64_t merge) noexcept {
  if (grid.t < 0 || grid.h < 0 || grid.w < 0 || grid.h % merge != 0 || grid.w % merge != 0)
    return false;
  const std::int64_t patches = patches_of_grid(grid);
  return patches <= INT32_MAX && (patches > 0 || grid.t <= most_frames_without_patches);
}

/// Where grids lie in a row of patches.
struct image_row {
  const image_grid* grids = nullptr;
  const std::int32_t* cu_patches = nullptr;  ///< [images + 1] cumulated t · h · w
  std::int32_t images = 0;
  std::int32_t merge = 1;
};

/// Frame, patch row and patch column.
struct patch_place {
  std::int64_t t = 0;
  std::int64_t h = 0;
  std::int64_t w = 0;
  friend constexpr bool operator==(const patch_place&, const patch_place&) noexcept = default;
};

/// The place of patch q of a grid.
[[nodiscard]] OMNIBAL_HD constexpr patch_place place_of_patch(const image_grid& grid,
                                                              std::int64_t merge,
                                                              std::int64_t q) noexcept {
  const std::int64_t frame = std::int64_t{grid.h} * grid.w;
  const std::int64_t cell = q % frame / (merge * merge);
  const std::int64_t within = q % (merge * merge);
  const std::int64_t cells_wide = grid.w / merge;
  return {.t = q / frame,
          .h = cell / cells_wide * merge + within / merge,
          .w = cell % cells_wide * merge + within % merge};
}

/// Patch of the row → its place in its grid.
struct place_in_grid {
  image_row row = {};
  [[nodiscard]] OMNIBAL_HD constexpr patch_place operator()(std::int64_t patch) const noexcept {
    const std::int32_t image = first_greater(row.cu_patches + 1, row.images, patch);
    return place_of_patch(row.grids[image], row.merge, patch - row.cu_patches[image]);
  }
};

/// Windows of `side` × `side` cells in an image of height × width cells: cells sorted by window.
struct window_order {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t side = 1;

  /// Place of a cell (frame, then row by row) in the order of windows.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t place(std::int64_t cell) const noexcept {
    const std::int64_t frame = cell / (height * width);
    const std::int64_t y = cell / width % height;
    const std::int64_t x = cell % width;
    const std::int64_t wide = least(side, width - x / side * side);
    return begin(frame, y / side, x / side) + y % side * wide + x % side;
  }
  /// The inverse of `place`.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t cell(std::int64_t place) const noexcept {
    const std::int64_t frame = place / (height * width);
    const std::int64_t in_frame = place % (height * width);
    const std::int64_t a = in_frame / (side * width);
    const std::int64_t high = least(side, height - a * side);
    const std::int64_t in_band = in_frame - a * side * width;
    const std::int64_t b = in_band / (side * high);
    const std::int64_t wide = least(side, width - b * side);
    const std::int64_t in_window = in_band - b * side * high;
    const std::int64_t y = a * side + in_window / wide;
    return frame * height * width + y * width + b * side + in_window % wide;
  }
  /// The place of the first cell of window (a, b) of a frame, where windows beyond the edge are
  /// empty.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t begin(std::int64_t frame, std::int64_t a,
                                                        std::int64_t b) const noexcept {
    const std::int64_t top = least(a * side, height);
    const std::int64_t high = least(side, height - top);
    return frame * height * width + top * width + least(b * side, width) * high;
  }

 private:
  [[nodiscard]] OMNIBAL_HD static constexpr std::int64_t least(std::int64_t a,
                                                               std::int64_t b) noexcept {
    return a < b ? a : b;
  }
};

/// Cell of the row → its place in the order of windows, or back (`inverse`). Images stay in order.
struct window_place {
  image_row row = {};
  std::int64_t side = 1;  ///< of a window, in cells
  bool inverse = false;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t cell) const noexcept {
    const std::int64_t patches = std::int64_t{row.merge} * row.merge;
    const std::int32_t image = first_greater(row.cu_patches + 1, row.images, cell * patches);
    const image_grid grid = row.grids[image];
    const std::int64_t before = row.cu_patches[image] / patches;
    const window_order order{grid.h / row.merge, grid.w / row.merge, side};
    return before + (inverse ? order.cell(cell - before) : order.place(cell - before));
  }
};

/// Whether frames or whole clips are attended to as one sequence.
enum class vision_sequence : std::int32_t { frame, clip };

/// A row of grids with its offsets.
struct laid_images {
  std::vector<image_grid> grids = {};
  std::vector<std::int32_t> cu_patches = {};  ///< [images + 1]
  std::int64_t merge = 1;

  /// A view of the row, valid as long as this object.
  [[nodiscard]] image_row row() const noexcept;
  [[nodiscard]] std::int64_t patches() const noexcept { return cu_patches.back(); }
  /// Tokens of the language model.
  [[nodiscard]] std::int64_t cells() const noexcept { return patches() / (merge * merge); }
};

/// Lays grids into a row of patches. Throws invalid_input for grids that are not legal and more
/// than 2³¹ − 1 patches in all. O(images).
[[nodiscard]] laid_images lay_images(std::span<const image_grid> grids, std::int64_t merge);

/// cu_seqlens of the tower: cumulated h · w, t times a grid, or cumulated t · h · w. O(entries).
[[nodiscard]] std::vector<std::int32_t> vision_cu_seqlens(const laid_images& images,
                                                          vision_sequence sequence);

/// Outputs of lay_patches, each optional: an empty span is not written.
struct patch_arrays {
  std::span<std::int64_t> t = {};             ///< [patches]
  std::span<std::int64_t> h = {};             ///< [patches]
  std::span<std::int64_t> w = {};             ///< [patches]
  std::span<std::int64_t> window_index = {};  ///< [cells] place → cell
  std::span<std::int64_t> inverse = {};       ///< [cells] cell → place
};

/// Fills the arrays; `side` is that of a window in cells. O(patches).
void lay_patches(const laid_images& images, std::int64_t side, const patch_arrays& arrays);

/// The side in cells of windows of `window` × `window` pixels, for patches of `patch` pixels:
/// window / merge / patch, each division rounded down. Throws invalid_input where that is 0.
[[nodiscard]] std::int64_t window_side(std::int64_t window, std::int64_t merge, std::int64_t patch);

/// Cumulated patches of the windows, in order of grid, frame, window row, window column. With
/// `empty_last`, each frame has (H / side + 1) × (W / side + 1) windows, as callers of transformers
/// 4 expect: those beyond the edge are empty. O(windows).
[[nodiscard]] std::vector<std::int32_t> window_cu_seqlens(const laid_images& images,
                                                          std::int64_t side,
                                                          bool empty_last = false);

namespace detail {

/// Refuses a grid that is not legal.
void check_grid(const image_grid& grid, std::size_t image, std::int64_t merge);

}  // namespace detail

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/images.ipp>
#endif
