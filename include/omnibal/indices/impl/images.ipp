// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

OMNIBAL_INLINE image_row laid_images::row() const noexcept {
  return {.grids = grids.data(),
          .cu_patches = cu_patches.data(),
          .images = static_cast<std::int32_t>(grids.size()),
          .merge = static_cast<std::int32_t>(merge)};
}

namespace detail {

OMNIBAL_INLINE void check_grid(const image_grid& grid, std::size_t image, std::int64_t merge) {
  if (grid.t < 0) throw invalid_input("grid t", image, grid.t, "must not be negative");
  const auto check_side = [&](std::int32_t side, const char* field) {
    if (side < 0) throw invalid_input(field, image, side, "must not be negative");
    if (side % merge != 0)
      throw invalid_input(field, image, side,
                          "must be a multiple of the merge, " + std::to_string(merge));
  };
  check_side(grid.h, "grid h");
  check_side(grid.w, "grid w");
  if (is_legal(grid, merge)) return;
  if (grid.h == 0 || grid.w == 0)
    throw invalid_input(
        "grid t", image, grid.t,
        "frames without patches: must be at most " + std::to_string(most_frames_without_patches));
  throw invalid_input("grid t", image, grid.t,
                      "times " + std::to_string(std::int64_t{grid.h} * grid.w) +
                          " patches of a frame: must be at most 2147483647 patches");
}

}  // namespace detail

OMNIBAL_INLINE laid_images lay_images(std::span<const image_grid> grids, std::int64_t merge) {
  detail::require_at_least(merge, 1, "merge");
  if (merge > 32768) throw invalid_input("merge", merge, "must be at most 32768");
  laid_images images{.grids = {grids.begin(), grids.end()}, .cu_patches = {0}, .merge = merge};
  std::int64_t end = 0;
  for (std::size_t image = 0; image < grids.size(); ++image) {
    const image_grid& grid = grids[image];
    detail::check_grid(grid, image, merge);
    end += patches_of_grid(grid);
    images.cu_patches.push_back(detail::narrow(end, "patches"));
  }
  return images;
}

OMNIBAL_INLINE std::vector<std::int32_t> vision_cu_seqlens(const laid_images& images,
                                                           vision_sequence sequence) {
  if (sequence == vision_sequence::clip) return images.cu_patches;
  std::vector<std::int32_t> offsets{0};
  for (const image_grid& grid : images.grids)
    for (std::int32_t frame = 0; frame < grid.t; ++frame)
      offsets.push_back(offsets.back() + grid.h * grid.w);
  return offsets;
}

OMNIBAL_INLINE void lay_patches(const laid_images& images, std::int64_t side,
                                const patch_arrays& arrays) {
  const auto patches = static_cast<std::size_t>(images.patches());
  const auto cells = static_cast<std::size_t>(images.cells());
  detail::require_size(arrays.t, patches, "t");
  detail::require_size(arrays.h, patches, "h");
  detail::require_size(arrays.w, patches, "w");
  detail::require_size(arrays.window_index, cells, "window_index");
  detail::require_size(arrays.inverse, cells, "inverse");
  const image_row row = images.row();
  const place_in_grid place{row};
  detail::tabulate(arrays.t, [&](std::int64_t patch) { return place(patch).t; });
  detail::tabulate(arrays.h, [&](std::int64_t patch) { return place(patch).h; });
  detail::tabulate(arrays.w, [&](std::int64_t patch) { return place(patch).w; });
  if (arrays.window_index.empty() && arrays.inverse.empty()) return;
  detail::require_at_least(side, 1, "side");
  static_cast<void>(detail::narrow(side, "side"));
  detail::tabulate(arrays.window_index, window_place{row, side, true});
  detail::tabulate(arrays.inverse, window_place{row, side, false});
}

OMNIBAL_INLINE std::int64_t window_side(std::int64_t window, std::int64_t merge,
                                        std::int64_t patch) {
  detail::require_at_least(merge, 1, "merge");
  detail::require_at_least(patch, 1, "patch");
  const std::int64_t side = window / merge / patch;
  if (side < 1)
    throw invalid_input("window", window, "must be at least merge x patch: a window holds a cell");
  return side;
}

OMNIBAL_INLINE std::vector<std::int32_t> window_cu_seqlens(const laid_images& images,
                                                           std::int64_t side, bool empty_last) {
  detail::require_at_least(side, 1, "side");
  static_cast<void>(detail::narrow(side, "side"));
  const std::int64_t patches = images.merge * images.merge;
  std::vector<std::int32_t> offsets;
  for (std::size_t image = 0; image < images.grids.size(); ++image) {
    const image_grid& grid = images.grids[image];
    const window_order order{grid.h / images.merge, grid.w / images.merge, side};
    const auto windows = [&](std::int64_t cells) {
      return empty_last ? cells / side + 1 : divide_rounding_up(cells, side);
    };
    for (std::int64_t frame = 0; frame < grid.t; ++frame)
      for (std::int64_t a = 0; a < windows(order.height); ++a)
        for (std::int64_t b = 0; b < windows(order.width); ++b)
          offsets.push_back(static_cast<std::int32_t>(images.cu_patches[image] +
                                                      order.begin(frame, a, b) * patches));
  }
  offsets.push_back(images.cu_patches.back());
  return offsets;
}

}  // namespace omnibal::inline v0::indices
