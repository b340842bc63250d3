// SPDX-License-Identifier: Apache-2.0
/// @file
/// The taps that resize a square table of position embeddings (side × side) to the patches of a
/// grid: bilinear (Qwen3-VL) or bicubic (GLM-4V), in float32 as the consumers compute them.
#pragma once

#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/indices/images.hpp>

namespace omnibal::inline v0::indices {

/// How many taps an axis has, and how they are weighted.
enum class interpolation_mode : std::int32_t {
  bilinear,  ///< 2 taps
  bicubic,   ///< 4 taps, the Keys kernel with a = −0.75
};

/// Taps of one axis.
struct axis_taps {
  std::int64_t index[4] = {};
  float weight[4] = {};
};

/// Patch of the row → its taps. A patch has taps² of them, those of its row outer.
struct interpolation_of {
  image_row row = {};
  std::int64_t side = 1;
  bool align_corners = false;
  interpolation_mode mode = interpolation_mode::bilinear;

  /// Taps of an axis: 2 or 4.
  [[nodiscard]] OMNIBAL_HD constexpr int taps() const noexcept {
    return mode == interpolation_mode::bilinear ? 2 : 4;
  }
  /// Taps of row (or column) r of n. The product comes first, then the quotient, each rounded to
  /// float32.
  [[nodiscard]] OMNIBAL_HD constexpr axis_taps axis(std::int64_t r, std::int64_t n) const noexcept {
    const float numerator = align_corners
                                ? static_cast<float>(r) * static_cast<float>(side - 1)
                                : (static_cast<float>(r) + 0.5F) * static_cast<float>(side);
    const float divisor = static_cast<float>(align_corners ? (n > 1 ? n - 1 : 1) : n);
    const float source = numerator / divisor - (align_corners ? 0.0F : 0.5F);
    auto below = static_cast<std::int64_t>(source);
    if (static_cast<float>(below) > source) --below;
    axis_taps found;
    const int before = mode == interpolation_mode::bilinear ? 0 : 1;
    for (int i = 0; i < taps(); ++i) {
      const std::int64_t tap = below + i - before;
      const float difference = source - static_cast<float>(tap);
      found.weight[i] = weight(difference < 0 ? -difference : difference);
      found.index[i] = tap < 0 ? 0 : tap >= side ? side - 1 : tap;
    }
    return found;
  }
  /// Number i < taps()² of a patch: index into the side · side embeddings.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t index(std::int64_t patch, int i) const noexcept {
    const both at = of(patch);
    return at.rows.index[i / taps()] * side + at.columns.index[i % taps()];
  }
  [[nodiscard]] OMNIBAL_HD constexpr float weight_at(std::int64_t patch, int i) const noexcept {
    const both at = of(patch);
    return at.rows.weight[i / taps()] * at.columns.weight[i % taps()];
  }

 private:
  struct both {
    axis_taps rows;
    axis_taps columns;
  };
  [[nodiscard]] OMNIBAL_HD constexpr both of(std::int64_t patch) const noexcept {
    const std::int32_t image = first_greater(row.cu_patches + 1, row.images, patch);
    const image_grid grid = row.grids[image];
    const patch_place at = place_of_patch(grid, row.merge, patch - row.cu_patches[image]);
    return {axis(at.h, grid.h), axis(at.w, grid.w)};
  }
  // The weight of a tap at distance x.
  [[nodiscard]] OMNIBAL_HD constexpr float weight(float x) const noexcept {
    constexpr float a = -0.75F;
    if (mode == interpolation_mode::bilinear) return x < 1.0F ? 1.0F - x : 0.0F;
    if (x <= 1.0F) return ((a + 2.0F) * x - (a + 3.0F)) * x * x + 1.0F;
    if (x < 2.0F) return ((a * x - 5.0F * a) * x + 8.0F * a) * x - 4.0F * a;
    return 0.0F;
  }
};

/// Fills `indices` and `weights` [patches × taps²], each optional. Throws invalid_input for sizes
/// that are wrong and a side below 1. O(patches · taps²).
void interpolate_patches(const laid_images& images, std::int64_t side, bool align_corners,
                         interpolation_mode mode, std::span<std::int64_t> indices,
                         std::span<float> weights);

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/interpolation.ipp>
#endif
