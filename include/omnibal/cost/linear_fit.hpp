// SPDX-License-Identifier: Apache-2.0
/// @file
/// Linear regression of measurements on the workload: a cost with non-negative coefficients, their
/// standard errors, and the largest residual. Calibration of layers (cost/calibration.hpp) uses it;
/// call it directly for other costs that are linear in tiles, tokens and squared tokens.
///
///     const omnibal::linear_fit fit = omnibal::fit_linear_cost(rows);
///     const double nanoseconds = fit.of({.tiles = 12, .tokens = 4096});
///
/// Non-negative least squares of relative errors, since measurements span orders of magnitude and
/// their noise grows with them. With four coefficients no active-set search is needed: every subset
/// of them is fitted without constraints, and the answer is the fit of least error among those
/// without a negative coefficient. Columns are scaled to equal norm and reduced by Householder
/// reflections.
///
/// Sources: Lawson and Hanson, "Solving Least Squares Problems", 1974 (non-negative least squares);
/// Golub and Van Loan, "Matrix Computations", 2013 (Householder's reduction).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

/// A measured time or amount of memory of a workload, in nanoseconds or bytes.
struct measurement {
  workload work = {};
  double value = 0;
  /// The amount that errors are relative to. 0 means the value itself or, where that is 0 too, the
  /// least positive value of all rows. A difference of two measured times may be near 0 or negative
  /// and has the error of the minuend: give the minuend here.
  double scale = 0;
};

/// The coefficients of a linear_cost, in this order wherever there is one of each.
inline constexpr std::array<std::string_view, 4> coefficient_names = {
    "constant", "per_tile", "per_token", "per_squared_token"};

/// A linear cost fitted to measurements.
struct linear_fit {
  std::array<double, 4> coefficients = {};  ///< Nanoseconds or bytes per unit, not negative.
  /// Of the determined coefficients, as if none were constrained to 0. NaN for the others, and for
  /// all if there are no more rows than determined coefficients.
  std::array<double, 4> standard_errors = {};
  /// Names of the coefficients that these rows cannot separate from the others. They are 0.
  std::vector<std::string> undetermined = {};
  std::size_t measurements = 0;
  double largest_residual = 0;  ///< Largest |predicted − measured|, relative.
  double rms_residual = 0;      ///< Root of the mean square of the same.
  /// The least share by which predictions must be enlarged to cover every measurement. Infinite if
  /// 0 is predicted where more was measured.
  double margin = 0;

  /// The prediction for a workload, in nanoseconds or bytes.
  [[nodiscard]] double of(const workload& work) const;

  /// The coefficients rounded to fixed point. Throws invalid_input naming a coefficient that is too
  /// large.
  [[nodiscard]] linear_cost cost() const;
};

/// The range of a measured value or scale other than 0, given by fixed point.
constexpr double least_measurable = 1.0 / (std::int64_t{1} << fixed_point_bits);
inline constexpr double most_measurable = 5e11;

/// Throws invalid_input naming the field (`value_field` for the value) and the index if an amount
/// is negative, or if value or scale is neither 0 nor within the range above. A value with a scale
/// of its own may be negative or nearer to 0.
void validate(const measurement& row, std::size_t index,
              std::string_view value_field = "rows[].value");

/// The cost of least Σ ((predicted − measured) / scale)² without negative coefficients. Where the
/// rows cannot separate coefficients, some are 0 and listed in `undetermined`; of costs that
/// explain the rows equally well it is one with the fewest coefficients, those of tiles and tokens
/// preferred to the constant. Throws invalid_input if there is no row, if a row is not valid, and
/// if a coefficient is too large for fixed point. Deterministic. O(rows).
[[nodiscard]] linear_fit fit_linear_cost(std::span<const measurement> rows);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/linear_fit.ipp>
#endif
