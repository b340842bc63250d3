// SPDX-License-Identifier: Apache-2.0
/// @file
/// Index arrays of a vision tower, computed on the device from grids (t, h, w) of patches:
/// cu_seqlens per clip and per frame, patch positions, window order and its cu_seqlens, taps to
/// interpolate position embeddings, and language tokens per image. The device form of
/// indices/images.hpp and indices/interpolation.hpp: two kernels, no workspace beside the outputs,
/// no copy to the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/interpolation.hpp>

namespace omnibal::inline v0::gpu {

/// The shape of a row of images.
struct image_layout {
  std::int64_t patches = 0;  ///< of the row; what is behind the last image is not written
  std::int32_t merge = 2;    ///< a square of merge × merge patches is a cell, one language token
  std::int64_t side = 0;     ///< of a window, in cells (indices::window_side); 0: no windows
  bool empty_windows =
      false;  ///< each frame with one more window than fit, as transformers 4 has it
};

/// What the device knows of a row of images.
struct image_summary {
  std::int64_t patches = 0;
  std::int64_t frames = 0;
  std::int64_t windows = 0;
  std::int32_t first_bad = -1;  ///< first grid that is not legal
  std::int32_t reserved = 0;
};

/// Whether all grids are legal and their patches fit the layout.
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid(const image_summary& row,
                                                 const image_layout& layout) noexcept {
  return row.first_bad < 0 && row.patches <= layout.patches;
}

/// Outputs of lay_images in device memory. The first three are needed, cu_windows where windows are
/// wanted; of the others an empty span is not written. Cumulated arrays with more entries than
/// there are frames or windows repeat their last value.
struct device_image_arrays {
  image_summary* summary = nullptr;
  std::span<std::int32_t> cu_patches = {};         ///< [images + 1]: cu_seqlens per clip
  std::span<std::int32_t> cu_frames = {};          ///< [images + 1] cumulated t
  std::span<std::int32_t> cu_windows = {};         ///< [images + 1] cumulated numbers of windows
  std::span<std::int32_t> tokens_of_image = {};    ///< [images] cells
  std::span<std::int32_t> cu_seqlens = {};         ///< [≥ frames + 1] per frame
  std::span<std::int32_t> cu_window_seqlens = {};  ///< [≥ windows + 1]
  std::span<std::int64_t> t = {};                  ///< [patches]
  std::span<std::int64_t> h = {};                  ///< [patches]
  std::span<std::int64_t> w = {};                  ///< [patches]
  std::span<std::int64_t> window_index = {};       ///< [patches / merge²] place → cell
  std::span<std::int64_t> inverse = {};            ///< [patches / merge²] cell → place
  std::span<std::int64_t> taps = {};               ///< [patches × taps²], with `interpolation`
  std::span<float> tap_weights = {};               ///< [patches × taps²]
};

/// The table of position embeddings that lay_images interpolates in.
struct interpolation_table {
  std::int64_t side = 1;
  bool align_corners = false;
  indices::interpolation_mode mode = indices::interpolation_mode::bilinear;
};

/// Lays images into a row of patches. Enqueues two kernels on `stream`, allocates nothing and may
/// be captured; the second may start while the first one ends. No images is legal: zeros for
/// cumulated arrays.
///
/// Returns cudaErrorInvalidValue for a layout or sizes that are wrong. Unless is_valid(*summary,
/// layout), a grid was not legal (taken as empty) or patches did not fit (those behind the last are
/// left out). O(patches · (taps² + log(images))).
cudaError_t lay_images_async(std::span<const indices::image_grid> grids, const image_layout& layout,
                             const interpolation_table& table, const device_image_arrays& arrays,
                             cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input for what is_valid() refuses and for sizes that
/// are wrong, and cuda_error when the device fails.
image_summary lay_images(std::span<const indices::image_grid> grids, const image_layout& layout,
                         const interpolation_table& table, const device_image_arrays& arrays,
                         cudaStream_t stream = nullptr);

namespace detail {

/// Windows of a frame, without and with the empty ones.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t windows_along(std::int64_t cells,
                                                              const image_layout& layout) noexcept {
  if (layout.empty_windows) return cells / layout.side + 1;
  return (cells + layout.side - 1) / layout.side;
}

using indices::detail::limited_product;

struct summarize_grid {
  const indices::image_grid* grids;
  image_layout layout;

  [[nodiscard]] OMNIBAL_HD constexpr image_summary operator()(std::int64_t image) const noexcept {
    const indices::image_grid grid = grids[image];
    if (!indices::is_legal(grid, layout.merge))
      return {.first_bad = static_cast<std::int32_t>(image)};
    image_summary alone{.patches = indices::patches_of_grid(grid), .frames = grid.t};
    if (layout.side > 0)
      alone.windows =
          limited_product(grid.t, limited_product(windows_along(grid.h / layout.merge, layout),
                                                  windows_along(grid.w / layout.merge, layout)));
    return alone;
  }
};

struct append_images {
  [[nodiscard]] OMNIBAL_HD constexpr image_summary operator()(
      const image_summary& a, const image_summary& b) const noexcept {
    return {.patches = a.patches + b.patches,
            .frames = a.frames + b.frames,
            .windows = a.windows + b.windows,
            .first_bad = a.first_bad >= 0 ? a.first_bad : b.first_bad};
  }
};

struct store_images {
  std::int32_t* cu_patches;
  std::int32_t* cu_frames;
  std::int32_t* cu_windows;
  image_summary* summary;
  std::int64_t patches;

  OMNIBAL_HD constexpr void operator()(std::int64_t image,
                                       const image_summary& row) const noexcept {
    cu_patches[image + 1] =
        static_cast<std::int32_t>(row.patches < patches ? row.patches : patches);
    cu_frames[image + 1] = limited(row.frames);
    if (cu_windows != nullptr) cu_windows[image + 1] = limited(row.windows);
  }
  OMNIBAL_HD constexpr void finish(const image_summary& all, unsigned thread,
                                   unsigned /*threads*/) const noexcept {
    if (thread != 0) return;
    cu_patches[0] = 0;
    cu_frames[0] = 0;
    if (cu_windows != nullptr) cu_windows[0] = 0;
    *summary = all;
  }

 private:
  [[nodiscard]] OMNIBAL_HD static constexpr std::int32_t limited(std::int64_t offset) noexcept {
    return offset < INT32_MAX ? static_cast<std::int32_t>(offset) : INT32_MAX;
  }
};

/// What the second kernel knows, and the functions of one patch, frame, window and image.
struct image_fill {
  indices::image_row row;
  image_layout layout;
  interpolation_table table;
  const std::int32_t* cu_frames;
  const std::int32_t* cu_windows;
  std::int32_t* tokens_of_image;
  std::int32_t* cu_seqlens;
  std::int32_t* cu_window_seqlens;
  std::int64_t frame_entries;
  std::int64_t window_entries;
  std::int64_t* t;
  std::int64_t* h;
  std::int64_t* w;
  std::int64_t* window_index;
  std::int64_t* inverse;
  std::int64_t* taps;
  float* tap_weights;

  /// A patch of an image; patches behind the last image are not written.
  OMNIBAL_HD constexpr void operator()(std::int64_t patch, std::int32_t image, std::int64_t begin,
                                       std::int64_t /*end*/) const noexcept {
    if (image >= row.images) return;
    const indices::image_grid grid = row.grids[image];
    const indices::patch_place place = indices::place_of_patch(grid, row.merge, patch - begin);
    if (t != nullptr) t[patch] = place.t;
    if (h != nullptr) h[patch] = place.h;
    if (w != nullptr) w[patch] = place.w;
    const std::int64_t patches = std::int64_t{row.merge} * row.merge;
    if (layout.side > 0 && patch % patches == 0) {
      const indices::window_order order = order_of(grid);
      const std::int64_t before = begin / patches;
      const std::int64_t cell = patch / patches;
      if (window_index != nullptr) window_index[cell] = before + order.cell(cell - before);
      if (inverse != nullptr) inverse[cell] = before + order.place(cell - before);
    }
    if (taps != nullptr || tap_weights != nullptr) interpolate(patch, place, grid);
  }

  /// Entry of cu_seqlens: where a frame begins.
  OMNIBAL_HD constexpr void store_frame(std::int64_t frame) const noexcept {
    cu_seqlens[frame] = row.cu_patches[row.images];
    if (frame >= cu_frames[row.images]) return;
    const std::int32_t image = indices::first_greater(cu_frames + 1, row.images, frame);
    const indices::image_grid grid = row.grids[image];
    cu_seqlens[frame] =
        limited(row.cu_patches[image] +
                limited_product(frame - cu_frames[image], std::int64_t{grid.h} * grid.w));
  }

  /// Entry of cu_window_seqlens: where a window begins.
  OMNIBAL_HD constexpr void store_window(std::int64_t window) const noexcept {
    cu_window_seqlens[window] = row.cu_patches[row.images];
    if (window >= cu_windows[row.images]) return;
    const std::int32_t image = indices::first_greater(cu_windows + 1, row.images, window);
    const indices::window_order order = order_of(row.grids[image]);
    const std::int64_t across = windows_along(order.width, layout);
    const std::int64_t of_frame = windows_along(order.height, layout) * across;
    const std::int64_t number = window - cu_windows[image];
    const std::int64_t cell =
        order.begin(number / of_frame, number % of_frame / across, number % across);
    cu_window_seqlens[window] =
        limited(row.cu_patches[image] + cell * (std::int64_t{row.merge} * row.merge));
  }

  OMNIBAL_HD constexpr void store_tokens(std::int64_t image) const noexcept {
    tokens_of_image[image] =
        (row.cu_patches[image + 1] - row.cu_patches[image]) / (row.merge * row.merge);
  }

 private:
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t limited(std::int64_t patch) const noexcept {
    return static_cast<std::int32_t>(patch < layout.patches ? patch : layout.patches);
  }
  [[nodiscard]] OMNIBAL_HD constexpr indices::window_order order_of(
      const indices::image_grid& grid) const noexcept {
    return {grid.h / row.merge, grid.w / row.merge, layout.side};
  }
  OMNIBAL_HD constexpr void interpolate(std::int64_t patch, const indices::patch_place& place,
                                        const indices::image_grid& grid) const noexcept {
    const indices::interpolation_of of{row, table.side, table.align_corners, table.mode};
    const int along = of.taps();
    const indices::axis_taps rows = of.axis(place.h, grid.h);
    const indices::axis_taps columns = of.axis(place.w, grid.w);
    for (int i = 0; i < along * along; ++i) {
      const std::int64_t entry = patch * along * along + i;
      if (taps != nullptr)
        taps[entry] = rows.index[i / along] * table.side + columns.index[i % along];
      if (tap_weights != nullptr)
        tap_weights[entry] = rows.weight[i / along] * columns.weight[i % along];
    }
  }
};

/// Patches by tiles; frames, windows and images by all threads of the grid together.
template <unsigned Threads>
__global__ void __launch_bounds__(Threads) fill_images(ragged_row patches, image_fill fill) {
  __shared__ tile_storage storage;
  wait_for_previous_kernel();
  if (patches.slots > 0) visit_tile(patches, fill, storage);
  const std::int64_t threads = std::int64_t{gridDim.x} * Threads;
  const std::int64_t thread = std::int64_t{blockIdx.x} * Threads + threadIdx.x;
  if (fill.cu_seqlens != nullptr)
    for (std::int64_t i = thread; i < fill.frame_entries; i += threads) fill.store_frame(i);
  if (fill.cu_window_seqlens != nullptr)
    for (std::int64_t i = thread; i < fill.window_entries; i += threads) fill.store_window(i);
  if (fill.tokens_of_image != nullptr)
    for (std::int64_t i = thread; i < fill.row.images; i += threads) fill.store_tokens(i);
}

inline void check_images(std::span<const indices::image_grid> grids, const image_layout& layout,
                         const interpolation_table& table, const device_image_arrays& arrays) {
  const auto require_within = [](std::int64_t value, std::int64_t least, std::int64_t most,
                                 const char* field) {
    if (value < least || value > most)
      throw invalid_input(field, value,
                          "must be " + std::to_string(least) + " … " + std::to_string(most));
  };
  require_within(static_cast<std::int64_t>(grids.size()), 0, INT32_MAX - 1, "number of grids");
  require_within(layout.patches, 0, INT32_MAX, "patches");
  require_within(layout.merge, 1, 32768, "merge");
  require_within(layout.side, 0, INT32_MAX, "side");
  require_within(table.side, 1, INT32_MAX, "side of the table");
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
  const auto require_entries = [](auto array, std::size_t entries, const char* field,
                                  bool is_needed = false) {
    if ((is_needed || !array.empty()) && array.size() != entries)
      throw invalid_input(field, array.size(),
                          "entries are given: must be " + std::to_string(entries));
  };
  const std::size_t ends = grids.size() + 1;
  const bool has_windows =
      !arrays.cu_window_seqlens.empty() || !arrays.window_index.empty() || !arrays.inverse.empty();
  if (has_windows && layout.side == 0)
    throw invalid_input("side", layout.side, "must be at least 1 where windows are wanted");
  require_entries(arrays.cu_patches, ends, "cu_patches", true);
  require_entries(arrays.cu_frames, ends, "cu_frames", true);
  require_entries(arrays.cu_windows, ends, "cu_windows", !arrays.cu_window_seqlens.empty());
  require_entries(arrays.tokens_of_image, grids.size(), "tokens_of_image");
  const auto patches = static_cast<std::size_t>(layout.patches);
  const auto cells =
      patches / static_cast<std::size_t>(layout.merge) / static_cast<std::size_t>(layout.merge);
  require_entries(arrays.t, patches, "t");
  require_entries(arrays.h, patches, "h");
  require_entries(arrays.w, patches, "w");
  require_entries(arrays.window_index, cells, "window_index");
  require_entries(arrays.inverse, cells, "inverse");
  const std::size_t taps = table.mode == indices::interpolation_mode::bilinear ? 4 : 16;
  require_entries(arrays.taps, patches * taps, "taps");
  require_entries(arrays.tap_weights, patches * taps, "tap_weights");
}

}  // namespace detail

inline cudaError_t lay_images_async(std::span<const indices::image_grid> grids,
                                    const image_layout& layout, const interpolation_table& table,
                                    const device_image_arrays& arrays,
                                    cudaStream_t stream) noexcept {
  const cudaError_t checked =
      detail::code_of([&] { detail::check_images(grids, layout, table, arrays); });
  if (checked != cudaSuccess) return checked;
  const auto images = static_cast<std::int32_t>(grids.size());
  const cudaError_t scanned = detail::scan_async<image_summary>(
      detail::summarize_grid{grids.data(), layout}, detail::append_images{}, images,
      detail::store_images{arrays.cu_patches.data(), arrays.cu_frames.data(),
                           detail::wanted(arrays.cu_windows), arrays.summary, layout.patches},
      stream);
  if (scanned != cudaSuccess) return scanned;
  const detail::image_fill fill{
      .row = {grids.data(), arrays.cu_patches.data(), images, layout.merge},
      .layout = layout,
      .table = table,
      .cu_frames = arrays.cu_frames.data(),
      .cu_windows = detail::wanted(arrays.cu_windows),
      .tokens_of_image = detail::wanted(arrays.tokens_of_image),
      .cu_seqlens = detail::wanted(arrays.cu_seqlens),
      .cu_window_seqlens = detail::wanted(arrays.cu_window_seqlens),
      .frame_entries = static_cast<std::int64_t>(arrays.cu_seqlens.size()),
      .window_entries = static_cast<std::int64_t>(arrays.cu_window_seqlens.size()),
      .t = detail::wanted(arrays.t),
      .h = detail::wanted(arrays.h),
      .w = detail::wanted(arrays.w),
      .window_index = detail::wanted(arrays.window_index),
      .inverse = detail::wanted(arrays.inverse),
      .taps = detail::wanted(arrays.taps),
      .tap_weights = detail::wanted(arrays.tap_weights)};
  const auto tiles = static_cast<unsigned>(
      layout.patches == 0 ? 1 : (layout.patches + detail::fill_tile - 1) / detail::fill_tile);
  return detail::launch(detail::start::overlapping, tiles, detail::fill_threads, stream,
                        detail::fill_images<detail::fill_threads>,
                        detail::ragged_row{arrays.cu_patches.data(), images, layout.patches}, fill);
}

inline image_summary lay_images(std::span<const indices::image_grid> grids,
                                const image_layout& layout, const interpolation_table& table,
                                const device_image_arrays& arrays, cudaStream_t stream) {
  detail::check_images(grids, layout, table, arrays);
  require(lay_images_async(grids, layout, table, arrays, stream), "lay_images");
  const image_summary row = detail::fetch(arrays.summary, stream, "lay_images");
  if (row.first_bad >= 0)
    throw invalid_input("grids", static_cast<std::size_t>(row.first_bad), "",
                        "must have no negative size, h and w multiples of the merge, " +
                            std::to_string(layout.merge) +
                            ", at most 2147483647 patches, and few frames without patches");
  if (!is_valid(row, layout))
    throw invalid_input("patches", layout.patches,
                        "must be at least those of the images, " + std::to_string(row.patches));
  return row;
}

}  // namespace omnibal::inline v0::gpu
