// SPDX-License-Identifier: Apache-2.0
/// @file
/// Parameters of layers, their initial values, and the three products that a weight matrix is in.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core/random.hpp>

#include "../machine.hpp"

namespace omnibal::trainer {

/// Numbers that are trained. Gradients are added to until the optimizer's step sets them to 0;
/// those of a frozen layer are not there, and nothing is added.
template <typename Real>
struct trained_parameter {
  std::string name = {};
  matrix<Real> value = {};
  matrix<Real> gradient = {};

  [[nodiscard]] bool is_trained() const noexcept { return bool(gradient); }
};

/// A parameter of a layer that computes in a format: trained in floats where that is bf16.
template <typename Real>
struct layer_parameter : trained_parameter<wide<Real>> {
  matrix<Real> rounded = {};  ///< What is computed with; not there where that is the value.

  [[nodiscard]] matrix_view<const Real> used() const noexcept {
    if constexpr (std::same_as<Real, wide<Real>>)
      return this->value;
    else
      return rounded;
  }
};

/// After a change of the value.
template <typename Real>
void round_value(machine& on, layer_parameter<Real>& of) {
  if constexpr (!std::same_as<Real, wide<Real>>)
    convert<Real, wide<Real>>(on, of.value, of.rounded);
}

/// Initial values of the parameters of one layer: they depend on the seed, the layer's index in the
/// model and the order of the calls, not on the stage that the layer is in.
class initial_values {
 public:
  initial_values(machine& on, std::uint64_t seed, std::size_t layer) noexcept
      : on_(&on), seed_(seed), stream_(std::uint64_t{1} << 63 | std::uint64_t{layer} << 16) {}

  /// Normally distributed around 0.
  template <typename Real>
  [[nodiscard]] layer_parameter<Real> normal(std::string name, std::size_t rows,
                                             std::size_t columns, double deviation) {
    random_stream random(seed_, stream_++);
    std::vector<double> values(rows * columns);
    for (double& value : values) value = deviation * standard_normal(random);
    return made<Real>(std::move(name), rows, columns, values);
  }

  /// A matrix for inputs of `rows` numbers: its outputs are a little smaller than its inputs.
  template <typename Real>
  [[nodiscard]] layer_parameter<Real> weights(std::string name, std::size_t rows,
                                              std::size_t columns) {
    return normal<Real>(std::move(name), rows, columns,
                        1 / std::sqrt(3 * static_cast<double>(rows)));
  }

  template <typename Real>
  [[nodiscard]] layer_parameter<Real> constant(std::string name, std::size_t columns,
                                               double value) {
    return made<Real>(std::move(name), 1, columns, std::vector(columns, value));
  }

 private:
  /// Box and Muller's transform.
  [[nodiscard]] static double standard_normal(random_stream& random) noexcept {
    const double radius = (static_cast<double>(random()) + 1) * 0x1p-32;
    const double turn = static_cast<double>(random()) * 0x1p-32;
    return std::sqrt(-2 * std::log(radius)) * std::cos(2 * std::numbers::pi * turn);
  }

  template <typename Real>
  [[nodiscard]] layer_parameter<Real> made(std::string name, std::size_t rows, std::size_t columns,
                                           const std::vector<double>& values) {
    layer_parameter<Real> result;
    result.name = std::move(name);
    result.value = matrix<wide<Real>>(*on_, rows, columns, memory_use::parameters);
    result.gradient = matrix<wide<Real>>(*on_, rows, columns, memory_use::parameters);
    copy_in(*on_, std::span<const double>(values), result.value.view().data);
    if constexpr (!std::same_as<Real, wide<Real>>)
      result.rounded = matrix<Real>(*on_, rows, columns, memory_use::parameters);
    return result;
  }

  machine* on_;
  std::uint64_t seed_;
  std::uint64_t stream_;
};

/// y = x · w.
template <typename Real>
[[nodiscard]] matrix<Real> times(machine& on, const matrix<Real>& x,
                                 const layer_parameter<Real>& w) {
  matrix<Real> y(on, x.rows(), w.value.columns());
  product<Real>(on, y, {x}, {w.used()});
  return y;
}

/// dx = dy · wᵀ.
template <typename Real>
[[nodiscard]] matrix<Real> times_transposed(machine& on, const matrix<Real>& dy,
                                            const layer_parameter<Real>& w) {
  matrix<Real> dx(on, dy.rows(), w.value.rows());
  product<Real>(on, dx, {dy}, {w.used(), true});
  return dx;
}

/// dw += xᵀ · dy.
template <typename Real>
void add_weight_gradient(machine& on, layer_parameter<Real>& w, const matrix<Real>& x,
                         const matrix<Real>& dy) {
  if (w.is_trained()) product<wide<Real>, Real>(on, w.gradient, {x, true}, {dy}, 1);
}

}  // namespace omnibal::trainer
