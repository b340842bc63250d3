// SPDX-License-Identifier: Apache-2.0
/// @file
/// Operations on rows and their derivatives: RMS norm, addition, activation functions.
///
/// Sources: Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019; Hendrycks and
/// Gimpel, "Gaussian error linear units", 2016; Shazeer, "GLU variants improve transformer", 2020.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>

#include "../machine.hpp"
#include "parameter.hpp"

namespace omnibal::trainer {

// ---- RMS norm -----------------------------------------------------------------------------------

/// Added to the mean square of a row.
inline constexpr double norm_epsilon = 1e-5;

namespace detail {

/// 1 / √(mean of x² + ε).
template <typename Real>
[[nodiscard]] OMNIBAL_ON_LANES wide<Real> inverse_rms(const lanes& group, const Real* x,
                                                      std::size_t columns) {
  using number = wide<Real>;
  const number squares = group.sum(columns, [&](std::size_t i) { return x[i] * x[i]; });
  return 1 / std::sqrt(squares / static_cast<number>(columns) + static_cast<number>(norm_epsilon));
}

}  // namespace detail

/// y = x / rms(x) ⊙ gain, row by row.
template <typename Real>
[[nodiscard]] matrix<Real> normalized(machine& on, const matrix<Real>& x,
                                      const layer_parameter<Real>& gain) {
  matrix<Real> y(on, x.rows(), x.columns());
  const matrix_view<const Real> in = x;
  const matrix_view<const Real> factors = gain.used();
  const matrix_view<Real> out = y;
  for_rows(on, x.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const wide<Real> scale = detail::inverse_rms(group, in[row], in.columns);
    group.each(in.columns,
               [&](std::size_t i) { out[row][i] = in[row][i] * scale * factors.data[i]; });
  });
  return y;
}

/// For y = normalized(x): adds the gradient of the gain, if it is trained, and to dx that of x.
template <typename Real>
void add_norm_gradients(machine& on, matrix<Real>& dx, layer_parameter<Real>& gain,
                        const matrix<Real>& x, const matrix<Real>& dy) {
  matrix<wide<Real>> of_gain(on, x.rows(), x.columns());
  const matrix_view<const Real> in = x;
  const matrix_view<const Real> factors = gain.used();
  const matrix_view<const Real> given = dy;
  const matrix_view<Real> out = dx;
  const matrix_view<wide<Real>> rows_of_gain = of_gain;
  for_rows(on, x.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const Real* const xs = in[row];
    const Real* const dys = given[row];
    const wide<Real> scale = detail::inverse_rms(group, xs, in.columns);
    const wide<Real> along = group.sum(in.columns, [&](std::size_t i) {
      return dys[i] * factors.data[i] * xs[i];
    }) * scale * scale / static_cast<wide<Real>>(in.columns);
    group.each(in.columns, [&](std::size_t i) {
      out[row][i] += scale * (dys[i] * factors.data[i] - xs[i] * along);
      rows_of_gain[row][i] = dys[i] * xs[i] * scale;
    });
  });
  if (gain.is_trained()) add_column_sums<wide<Real>>(on, gain.gradient, of_gain);
}

// ---- addition -----------------------------------------------------------------------------------

/// to += x.
template <typename Real>
void add(machine& on, matrix<Real>& to, const matrix<Real>& x) {
  const matrix_view<const Real> in = x;
  const matrix_view<Real> out = to;
  for_rows(on, x.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    group.each(in.columns, [&](std::size_t i) { out[row][i] += in[row][i]; });
  });
}

/// Adds the bias to every row.
template <typename Real>
void add_bias(machine& on, matrix<Real>& to, const layer_parameter<Real>& bias) {
  const matrix_view<const Real> in = bias.used();
  const matrix_view<Real> out = to;
  for_rows(on, to.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    group.each(in.columns, [&](std::size_t i) { out[row][i] += in.data[i]; });
  });
}

// ---- activation functions -----------------------------------------------------------------------

/// x · Φ(x), Φ the normal distribution.
struct gelu {
  /// Inputs per output.
  static constexpr std::size_t inputs = 1;

  template <typename Real>
  [[nodiscard]] OMNIBAL_HD static Real share(Real x) {
    return (1 + std::erf(x / std::numbers::sqrt2_v<Real>)) / 2;
  }

  template <typename Real>
  OMNIBAL_ON_LANES static void forward(const lanes& group, std::size_t width, const Real* in,
                                       Real* out) {
    group.each(width, [&](std::size_t i) {
      const wide<Real> x = in[i];
      out[i] = x * share(x);
    });
  }

  template <typename Real>
  OMNIBAL_ON_LANES static void backward(const lanes& group, std::size_t width, Real* in,
                                        const Real* given) {
    using number = wide<Real>;
    constexpr number density = std::numbers::inv_sqrtpi_v<number> / std::numbers::sqrt2_v<number>;
    group.each(width, [&](std::size_t i) {
      const number x = in[i];
      in[i] = given[i] * (share(x) + x * density * std::exp(-x * x / 2));
    });
  }
};

/// silu(gate) · up with silu(x) = x / (1 + e⁻ˣ); a row has first all gates, then all ups.
struct gated_silu {
  static constexpr std::size_t inputs = 2;

  template <typename Real>
  [[nodiscard]] OMNIBAL_HD static Real sigmoid(Real x) {
    return 1 / (1 + std::exp(-x));
  }

  template <typename Real>
  OMNIBAL_ON_LANES static void forward(const lanes& group, std::size_t width, const Real* in,
                                       Real* out) {
    group.each(width, [&](std::size_t i) {
      const wide<Real> gate = in[i];
      out[i] = gate * sigmoid(gate) * in[width + i];
    });
  }

  template <typename Real>
  OMNIBAL_ON_LANES static void backward(const lanes& group, std::size_t width, Real* in,
                                        const Real* given) {
    group.each(width, [&](std::size_t i) {
      const wide<Real> gate = in[i];
      const wide<Real> share = sigmoid(gate);
      in[i] = given[i] * in[width + i] * share * (1 + gate * (1 - share));
      in[width + i] = given[i] * gate * share;
    });
  }
};

/// The outputs of an activation function.
template <typename Activation, typename Real>
[[nodiscard]] matrix<Real> activated(machine& on, const matrix<Real>& in) {
  matrix<Real> out(on, in.rows(), in.columns() / Activation::inputs);
  const matrix_view<const Real> from = in;
  const matrix_view<Real> to = out;
  for_rows(on, in.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    Activation::forward(group, to.columns, from[row], to[row]);
  });
  return out;
}

/// The gradient of the inputs, in their place, from that of the outputs.
template <typename Activation, typename Real>
[[nodiscard]] matrix<Real> activation_gradient(machine& on, matrix<Real> in,
                                               const matrix<Real>& given) {
  const matrix_view<Real> inputs = in;
  const matrix_view<const Real> from = given;
  for_rows(on, in.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    Activation::backward(group, from.columns, inputs[row], from[row]);
  });
  return in;
}

}  // namespace omnibal::trainer
