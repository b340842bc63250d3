// SPDX-License-Identifier: Apache-2.0
/// @file
/// The first layer: patches of pixels become rows. y = patches · w + positions.
///
/// Patches are in the order of indices/images.hpp: square by square of merge × merge patches, so
/// that those which become one image row follow each other.
///
/// Nothing is saved: the pixels are those of the micro-batch. There is no input gradient to pass
/// on, so the weight gradient is the backward.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/indices/images.hpp>

#include "block.hpp"

namespace omnibal::trainer {

namespace detail {

/// The pixels of every patch as a row, row by row of the patch.
template <typename Real>
[[nodiscard]] matrix<Real> patches_of(const placed_batch& batch, const tile_shape& tiles) {
  matrix<Real> result(*batch.on, batch.tiles() * tiles.patches(), tiles.patch_pixels());
  const matrix_view<Real> out = result;
  const float* const pixels = batch.pixels.data();
  const auto side = static_cast<std::int32_t>(tiles.side / tiles.patch);
  const indices::image_grid grid{.t = 1, .h = side, .w = side};
  for_rows(*batch.on, result.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const auto place = indices::place_of_patch(grid, static_cast<std::int64_t>(tiles.merge),
                                               static_cast<std::int64_t>(row % tiles.patches()));
    const std::size_t top = static_cast<std::size_t>(place.h) * tiles.patch;
    const std::size_t left = static_cast<std::size_t>(place.w) * tiles.patch;
    const float* const tile = pixels + row / tiles.patches() * tiles.pixels();
    group.each(tiles.patch_pixels(), [&](std::size_t i) {
      out[row][i] =
          static_cast<Real>(tile[(top + i / tiles.patch) * tiles.side + left + i % tiles.patch]);
    });
  });
  return result;
}

/// Adds row r mod positions.rows of the positions to row r.
template <typename Real>
void add_positions(machine& on, matrix<Real>& to, matrix_view<const Real> positions) {
  const matrix_view<Real> out = to;
  for_rows(on, to.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const Real* const position = positions[row % positions.rows];
    group.each(out.columns, [&](std::size_t i) { out[row][i] += position[i]; });
  });
}

}  // namespace detail

template <typename Real>
class patch_embedding {
 public:
  struct saved {};

  patch_embedding(initial_values initial, const tile_shape& tiles, std::size_t columns)
      : tiles_(tiles),
        columns_(columns),
        weights_(initial.weights<Real>("patches", tiles.patch_pixels(), columns)),
        positions_(initial.normal<Real>("positions", tiles.patches(), columns, 0.02)) {}

  [[nodiscard]] matrix<Real> forward(placed_batch& batch, matrix<Real>, recompute_kind, saved&) {
    matrix<Real> y = times(*batch.on, detail::patches_of<Real>(batch, tiles_), weights_);
    detail::add_positions<Real>(*batch.on, y, positions_.used());
    return y;
  }

  [[nodiscard]] matrix<Real> backward(placed_batch& batch, matrix<Real> dy, saved&) {
    add_weight_gradient(*batch.on, weights_, detail::patches_of<Real>(batch, tiles_), dy);
    const std::size_t of_a_tile = tiles_.patches() * columns_;
    add_column_sums<Real>(*batch.on, positions_.gradient, std::move(dy).reshaped(of_a_tile));
    return {};
  }

  void weight_gradient(placed_batch&, saved&) {}

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() {
    return {&weights_, &positions_};
  }
  [[nodiscard]] std::int64_t saved_bytes(const workload&, recompute_kind) const { return 0; }
  [[nodiscard]] std::int64_t waiting_bytes(const workload&) const { return 0; }
  /// Either way its rows, with the pixels of the patches or while they are converted.
  [[nodiscard]] pass_peaks peak_bytes(const workload& work, recompute_kind) const {
    const std::int64_t rows = work.tiles * static_cast<std::int64_t>(tiles_.patches());
    const std::int64_t most =
        std::max(detail::bytes_of<Real>(rows, tiles_.patch_pixels() + columns_),
                 detail::converted_bytes<Real>(rows, columns_));
    return {.forward = most, .backward = most};
  }

 private:
  tile_shape tiles_;
  std::size_t columns_;
  layer_parameter<Real> weights_;
  layer_parameter<Real> positions_;
};

}  // namespace omnibal::trainer
