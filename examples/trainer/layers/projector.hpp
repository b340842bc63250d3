// SPDX-License-Identifier: Apache-2.0
/// @file
/// From the vision tower to the language model: the rows of merge × merge neighbouring patches
/// become one (pixel shuffle), then y = gelu(x · w₁ + b₁) · w₂ + b₂.
///
/// Patches are in the order of the squares, so that the shuffle moves nothing. The gradient of w₂
/// is added in the backward: what waits for that of w₁ is then no more than what was saved.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "block.hpp"
#include "operations.hpp"

namespace omnibal::trainer {

template <typename Real>
class projector {
 public:
  struct saved {
    matrix<Real> input;           ///< [image rows × merged · columns of the tower]
    matrix<Real> inner;           ///< [image rows × columns]
    matrix<Real> hidden;          ///< [image rows × columns]
    matrix<Real> inner_gradient;  ///< Waits for the weight gradient, with the input.
  };

  projector(initial_values initial, const tile_shape& tiles, std::size_t vision_columns,
            std::size_t columns)
      : tiles_(tiles),
        merged_columns_(vision_columns * tiles.merged_patches()),
        columns_(columns),
        first_(initial.weights<Real>("first", merged_columns_, columns)),
        first_bias_(initial.constant<Real>("first_bias", columns, 0)),
        second_(initial.weights<Real>("second", columns, columns)),
        second_bias_(initial.constant<Real>("second_bias", columns, 0)) {}

  [[nodiscard]] matrix<Real> forward(placed_batch& batch, matrix<Real> x, recompute_kind kind,
                                     saved& of) {
    of.input = std::move(x).reshaped(merged_columns_);
    complete(*batch.on, of);
    matrix<Real> y = times(*batch.on, of.hidden, second_);
    add_bias(*batch.on, y, second_bias_);
    if (kind != recompute_kind::none) of.hidden = {};
    if (kind == recompute_kind::full) of.inner = {};
    return y;
  }

  [[nodiscard]] matrix<Real> backward(placed_batch& batch, matrix<Real> dy, saved& of) {
    machine& on = *batch.on;
    complete(on, of);
    add_weight_gradient(on, second_, of.hidden, dy);
    add_column_sums<Real>(on, second_bias_.gradient, dy);
    of.hidden = {};
    of.inner_gradient =
        activation_gradient<gelu>(on, std::move(of.inner), times_transposed(on, dy, second_));
    add_column_sums<Real>(on, first_bias_.gradient, of.inner_gradient);
    return times_transposed(on, of.inner_gradient, first_)
        .reshaped(merged_columns_ / tiles_.merged_patches());
  }

  void weight_gradient(placed_batch& batch, saved& of) {
    add_weight_gradient(*batch.on, first_, of.input, of.inner_gradient);
  }

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() {
    return {&first_, &first_bias_, &second_, &second_bias_};
  }
  [[nodiscard]] std::int64_t saved_bytes(const workload& work, recompute_kind kind) const {
    std::size_t columns = merged_columns_;
    if (kind != recompute_kind::full) columns += columns_;
    if (kind == recompute_kind::none) columns += columns_;
    return detail::bytes_of<Real>(rows(work), columns);
  }
  [[nodiscard]] std::int64_t waiting_bytes(const workload& work) const {
    return detail::bytes_of<Real>(rows(work), merged_columns_ + columns_);
  }
  /// A backward has its input, the gradient of the inner rows and the rows that it is given until
  /// it has converted the gradient of the input.
  [[nodiscard]] pass_peaks peak_bytes(const workload& work, recompute_kind kind) const {
    const std::int64_t complete = saved_bytes(work, recompute_kind::none);
    const std::int64_t output = detail::bytes_of<Real>(rows(work), columns_);
    const std::int64_t converted_output = detail::converted_bytes<Real>(rows(work), columns_);
    const std::int64_t converted_input = detail::converted_bytes<Real>(rows(work), merged_columns_);
    const std::int64_t kept = saved_bytes(work, kind);
    return {.forward = std::max({converted_input, complete + output, kept + converted_output}),
            .backward =
                std::max({kept + converted_output, complete + output, complete + converted_input}),
            .weight_gradient = waiting_bytes(work)};
  }

 private:
  void complete(machine& on, saved& of) const {
    if (!of.inner) {
      of.inner = times(on, of.input, first_);
      add_bias(on, of.inner, first_bias_);
    }
    if (!of.hidden) of.hidden = activated<gelu>(on, of.inner);
  }
  [[nodiscard]] std::int64_t rows(const workload& work) const noexcept {
    return work.tiles * static_cast<std::int64_t>(tiles_.image_rows());
  }

  tile_shape tiles_;
  std::size_t merged_columns_;
  std::size_t columns_;
  layer_parameter<Real> first_;
  layer_parameter<Real> first_bias_;
  layer_parameter<Real> second_;
  layer_parameter<Real> second_bias_;
};

}  // namespace omnibal::trainer
