// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels of vision towers give what the host forms give.
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/images.cuh>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/interpolation.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

std::vector<indices::image_grid> random_grids(std::size_t images, std::int32_t merge,
                                              std::uint32_t largest, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<indices::image_grid> grids;
  const auto size = [&] { return merge * static_cast<std::int32_t>(1 + random() % largest); };
  for (std::size_t i = 0; i < images; ++i) {
    grids.push_back({static_cast<std::int32_t>(random() % 4), size(), size()});
    if (random() % 6 == 0) grids.back().h = 0;
  }
  return grids;
}

/// Everything that lay_images gives, in arrays of spare entries for frames and windows.
struct device_images {
  device_images(const std::vector<indices::image_grid>& given, const indices::laid_images& laid,
                std::int64_t side, bool empty_windows, const gpu::interpolation_table& of)
      : layout{.patches = laid.patches(),
               .merge = static_cast<std::int32_t>(laid.merge),
               .side = side,
               .empty_windows = empty_windows},
        table(of),
        grids(given),
        summary(sizeof(gpu::image_summary)),
        cu_patches(given.size() + 1),
        cu_frames(given.size() + 1),
        cu_windows(given.size() + 1),
        tokens(given.size(), 1),
        cu_seqlens(indices::vision_cu_seqlens(laid, indices::vision_sequence::frame).size() + 2),
        cu_window_seqlens(indices::window_cu_seqlens(laid, side, empty_windows).size() + 3),
        t(patches(laid), 1),
        h(patches(laid)),
        w(patches(laid), 1),
        window_index(cells(laid), 1),
        inverse(cells(laid)),
        taps(taps_of_all(laid)),
        tap_weights(taps_of_all(laid), 1) {}

  [[nodiscard]] gpu::device_image_arrays arrays() const {
    return {.summary = reinterpret_cast<gpu::image_summary*>(summary.span().data()),
            .cu_patches = cu_patches.span(),
            .cu_frames = cu_frames.span(),
            .cu_windows = cu_windows.span(),
            .tokens_of_image = tokens.span(),
            .cu_seqlens = cu_seqlens.span(),
            .cu_window_seqlens = cu_window_seqlens.span(),
            .t = t.span(),
            .h = h.span(),
            .w = w.span(),
            .window_index = window_index.span(),
            .inverse = inverse.span(),
            .taps = taps.span(),
            .tap_weights = tap_weights.span()};
  }

  [[nodiscard]] std::size_t taps_of_all(const indices::laid_images& laid) const {
    return patches(laid) * (table.mode == indices::interpolation_mode::bilinear ? 4U : 16U);
  }
  static std::size_t patches(const indices::laid_images& laid) {
    return static_cast<std::size_t>(laid.patches());
  }
  static std::size_t cells(const indices::laid_images& laid) {
    return static_cast<std::size_t>(laid.cells());
  }

  gpu::image_layout layout;
  gpu::interpolation_table table;
  device_array<indices::image_grid> grids;
  device_array<unsigned char> summary;
  device_array<std::int32_t> cu_patches, cu_frames, cu_windows, tokens, cu_seqlens,
      cu_window_seqlens;
  device_array<std::int64_t> t, h, w, window_index, inverse, taps;
  device_array<float> tap_weights;
};

std::vector<std::int32_t> with_last_repeated(std::vector<std::int32_t> offsets, std::size_t more) {
  offsets.resize(offsets.size() + more, offsets.back());
  return offsets;
}

void compare(const std::vector<indices::image_grid>& grids, std::int64_t merge, std::int64_t side,
             bool empty_windows, const gpu::interpolation_table& table) {
  const indices::laid_images laid = indices::lay_images(grids, merge);
  const device_images device(grids, laid, side, empty_windows, table);
  const gpu::image_summary summary =
      gpu::lay_images(device.grids.span(), device.layout, table, device.arrays());
  REQUIRE(summary.patches == laid.patches());
  REQUIRE(device.cu_patches.get() == laid.cu_patches);
  REQUIRE(device.cu_seqlens.get() ==
          with_last_repeated(indices::vision_cu_seqlens(laid, indices::vision_sequence::frame), 2));
  REQUIRE(device.cu_window_seqlens.get() ==
          with_last_repeated(indices::window_cu_seqlens(laid, side, empty_windows), 3));
  const std::size_t patches = device_images::patches(laid);
  std::vector<std::int64_t> t(patches), h(patches), w(patches), index(device_images::cells(laid)),
      inverse(index.size()), taps(device.taps_of_all(laid));
  std::vector<float> weights(taps.size());
  indices::lay_patches(laid, side, {t, h, w, index, inverse});
  indices::interpolate_patches(laid, table.side, table.align_corners, table.mode, taps, weights);
  REQUIRE(device.t.get() == t);
  REQUIRE(device.h.get() == h);
  REQUIRE(device.w.get() == w);
  REQUIRE(device.window_index.get() == index);
  REQUIRE(device.inverse.get() == inverse);
  REQUIRE(device.taps.get() == taps);
  REQUIRE(device.tap_weights.get() == weights);
  REQUIRE(device.t.surroundings_untouched());
  REQUIRE(device.inverse.surroundings_untouched());
  REQUIRE(device.tap_weights.surroundings_untouched());
  const auto tokens = device.tokens.get();
  for (std::size_t i = 0; i < grids.size(); ++i)
    REQUIRE(tokens[i] * merge * merge == std::int64_t{grids[i].t} * grids[i].h * grids[i].w);
}

}  // namespace

TEST_CASE("images of random sizes are laid as on the host") {
  const gpu::interpolation_table bilinear{.side = 5, .align_corners = true};
  const gpu::interpolation_table bicubic{.side = 6, .mode = indices::interpolation_mode::bicubic};
  std::uint32_t seed = 0;
  for (const std::size_t images : {0U, 1U, 3U, 40U})
    for (const bool empty_windows : {false, true})
      for (const std::int32_t merge : {1, 2}) {
        ++seed;
        compare(random_grids(images, merge, 6, seed), merge, 1 + seed % 4, empty_windows,
                seed % 2 == 0 ? bilinear : bicubic);
      }
  // More images than one block scans at a time, and an image of more patches than a tile.
  compare(random_grids(2100, 1, 2, 5), 1, 2, false, bilinear);
  compare({{1, 64, 64}, {1, 2, 2}, {3, 62, 66}}, 2, 4, false, bilinear);
}

TEST_CASE("grids that are not legal, or too large, are refused by name") {
  const std::vector<indices::image_grid> grids = {{1, 2, 2}, {1, 4, 6}};
  const indices::laid_images laid = indices::lay_images(grids, 2);
  const auto refusal = [&](const std::vector<indices::image_grid>& wrong) {
    const device_images device(wrong, laid, 2, false, {});
    return [&, device = &device] {
      gpu::lay_images(device->grids.span(), device->layout, {}, device->arrays());
    }();
  };
  CHECK_THROWS_WITH(refusal({{1, 2, 2}, {1, 3, 6}}),
                    Catch::Matchers::Contains("grids[1]") && Catch::Matchers::Contains("merge"));
  CHECK_THROWS_WITH(refusal({{1, 2, 2}, {INT32_MAX, INT32_MAX - 1, INT32_MAX - 1}}),
                    Catch::Matchers::Contains("grids[1]"));
}
