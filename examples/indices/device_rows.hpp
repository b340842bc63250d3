// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rows of documents, images and lists of blocks in device memory, for as long as an object lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <omnibal/gpu/blocks.cuh>
#include <omnibal/gpu/images.cuh>
#include <omnibal/indices.hpp>

#include "device_values.hpp"

namespace omnibal::examples {

/// The offsets of a row on the device.
class device_row {
 public:
  explicit device_row(const indices::document_row& row)
      : row_(row), plain_(offsets(row.cu_seqlens)), padded_(offsets(row.cu_seqlens_padded)) {}
  [[nodiscard]] indices::document_row row() const {
    return {.cu_seqlens = plain_.data(),
            .cu_seqlens_padded = padded_.data(),
            .documents = row_.documents,
            .slots = row_.slots};
  }

 private:
  [[nodiscard]] std::span<const std::int32_t> offsets(const std::int32_t* first) const {
    return {first, static_cast<std::size_t>(row_.documents) + 1};
  }
  indices::document_row row_;
  device_values<std::int32_t> plain_;
  device_values<std::int32_t> padded_;
};

/// A split whose row, if it has one, is on the device.
template <typename Split>
[[nodiscard]] Split on_device(const Split& split, const indices::document_row& row) {
  if constexpr (std::is_same_v<Split, indices::zigzag>)
    return {row, split.ranks};
  else
    return split;
}

/// Grids on the device, and what lay_images always writes.
struct device_images {
  device_images(const indices::laid_images& laid, std::int64_t window, bool empty_windows)
      : layout{.patches = laid.patches(),
               .merge = static_cast<std::int32_t>(laid.merge),
               .side = window,
               .empty_windows = empty_windows},
        grids(laid.grids),
        summary(1),
        cu_patches(laid.grids.size() + 1),
        cu_frames(laid.grids.size() + 1),
        cu_windows(laid.grids.size() + 1) {}

  /// `arrays` are those that are wanted besides.
  gpu::image_summary lay(gpu::device_image_arrays arrays,
                         const gpu::interpolation_table& table = {}) const {
    arrays.summary = summary.data();
    arrays.cu_patches = cu_patches.span();
    arrays.cu_frames = cu_frames.span();
    if (layout.side > 0) arrays.cu_windows = cu_windows.span();
    return gpu::lay_images(grids.span(), layout, table, arrays);
  }

  gpu::image_layout layout;
  device_values<indices::image_grid> grids;
  device_values<gpu::image_summary> summary;
  device_values<std::int32_t> cu_patches, cu_frames, cu_windows;
};

class device_list {
 public:
  device_list(std::size_t lines, std::size_t width)
      : width_(width), count_(lines), indices_(lines * width) {}
  [[nodiscard]] gpu::device_block_list view() const { return {count_.span(), indices_.span()}; }
  [[nodiscard]] indices::block_list list() const { return {count_.get(), indices_.get(), width_}; }

 private:
  std::size_t width_;
  device_values<std::int32_t> count_;
  device_values<std::int32_t> indices_;
};

}  // namespace omnibal::examples
