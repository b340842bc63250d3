// SPDX-License-Identifier: Apache-2.0
/// @file
/// The feed-forward half of a transformer block: y = x + activation(norm(x) · up) · down.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "block.hpp"
#include "operations.hpp"

namespace omnibal::trainer {

template <typename Real, typename Activation>
class feed_forward {
 public:
  struct saved {
    matrix<Real> input;            ///< [rows × columns]
    matrix<Real> normed;           ///< [rows × columns]
    matrix<Real> inner;            ///< [rows × Activation::inputs · width]
    matrix<Real> hidden;           ///< [rows × width]
    matrix<Real> inner_gradient;   ///< These two wait for the weight gradient, with
    matrix<Real> output_gradient;  ///< normed and hidden.
  };

  feed_forward(initial_values& initial, std::size_t columns, std::size_t width)
      : columns_(columns),
        width_(width),
        norm_(initial.constant<Real>("feed_forward_norm", columns, 1)),
        up_(initial.weights<Real>("up", columns, Activation::inputs * width)),
        down_(initial.weights<Real>("down", width, columns)) {}

  /// Computes what is not there of what follows from the input.
  void complete(machine& on, saved& of) const {
    if (!of.normed) of.normed = normalized(on, of.input, norm_);
    if (!of.inner) of.inner = times(on, of.normed, up_);
    if (!of.hidden) of.hidden = activated<Activation>(on, of.inner);
  }

  [[nodiscard]] matrix<Real> output_of(machine& on, const saved& of) const {
    matrix<Real> y = times(on, of.hidden, down_);
    add(on, y, of.input);
    return y;
  }

  /// Frees what the kind computes again; in full recomputation that is the input as well.
  static void forget(saved& of, recompute_kind kind) {
    if (kind == recompute_kind::none) return;
    of.normed = {};
    of.hidden = {};
    if (kind == recompute_kind::full) of = {};
  }

  [[nodiscard]] matrix<Real> backward(machine& on, matrix<Real> dy, saved& of) {
    of.inner_gradient =
        activation_gradient<Activation>(on, std::move(of.inner), times_transposed(on, dy, down_));
    matrix<Real> dx = copy_of(on, dy);
    add_norm_gradients(on, dx, norm_, of.input, times_transposed(on, of.inner_gradient, up_));
    of.input = {};
    of.output_gradient = std::move(dy);
    return dx;
  }

  void weight_gradient(machine& on, saved& of) {
    add_weight_gradient(on, up_, of.normed, of.inner_gradient);
    add_weight_gradient(on, down_, of.hidden, of.output_gradient);
  }

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() { return {&norm_, &up_, &down_}; }

  [[nodiscard]] std::int64_t saved_bytes(std::int64_t rows, recompute_kind kind) const {
    if (kind == recompute_kind::full) return 0;
    const std::size_t least = columns_ + Activation::inputs * width_;
    return detail::bytes_of<Real>(rows,
                                  kind == recompute_kind::none ? least + columns_ + width_ : least);
  }
  [[nodiscard]] std::int64_t waiting_bytes(std::int64_t rows) const {
    return detail::bytes_of<Real>(rows, 2 * columns_ + (Activation::inputs + 1) * width_);
  }
  /// What a backward computes with beside what it is given and what complete() leaves: the gradient
  /// of the hidden rows; then those of the input and of the normed rows, and the gain's.
  [[nodiscard]] std::int64_t backward_workspace(std::int64_t rows) const {
    return std::max(
        detail::bytes_of<Real>(rows, width_),
        detail::bytes_of<Real>(rows, 2 * columns_) + detail::bytes_of<wide<Real>>(rows, columns_));
  }

 private:
  std::size_t columns_;
  std::size_t width_;
  layer_parameter<Real> norm_;
  layer_parameter<Real> up_;
  layer_parameter<Real> down_;
};

}  // namespace omnibal::trainer
