// SPDX-License-Identifier: Apache-2.0
/// @file
/// Costs from measurements: the linear function of the workload that is nearest to what was
/// measured, how sure its coefficients are, and how far off it can be.
///
/// Least squares of relative errors, since what is measured spans orders of magnitude and its noise
/// grows with it; no coefficient is negative. With four coefficients the best signs need no search:
/// every subset of them is fitted freely, and of the subsets whose fit has no negative coefficient
/// the one of least error is the answer. Columns are scaled to equal norm and reduced by
/// Householder's reflections.
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

/// What a workload was measured to take, in nanoseconds or bytes.
struct measurement {
  workload work = {};
  double value = 0;
  /// The amount that errors are relative to; 0 stands for the value itself, and where that is 0 too
  /// for the least positive value of all. A difference of two measured times, which may be near 0
  /// or negative, has the error of what it was taken from: say that.
  double scale = 0;
};

/// The coefficients of a linear_cost, in this order wherever there is one of each.
inline constexpr std::array<std::string_view, 4> coefficient_names = {
    "constant", "per_tile", "per_token", "per_squared_token"};

/// A linear cost fitted to measurements.
struct linear_fit {
  std::array<double, 4> coefficients = {};  ///< Nanoseconds or bytes per unit, not negative.
  /// Of the determined coefficients if none were held at 0; not a number for the others, and for
  /// all where no more rows were measured than coefficients are determined.
  std::array<double, 4> standard_errors = {};
  /// Names of the coefficients that no rows like these can tell from the others. They are 0.
  std::vector<std::string> undetermined = {};
  std::size_t measurements = 0;
  double largest_residual = 0;  ///< Largest |predicted − measured|, relative.
  double rms_residual = 0;      ///< Root of the mean square of the same.
  /// The least share by which predictions must be enlarged to reach every measurement. Infinite
  /// where 0 is predicted and more was measured.
  double margin = 0;

  /// What is predicted for a workload, in nanoseconds or bytes.
  [[nodiscard]] double of(const workload& work) const;

  /// The coefficients rounded to fixed point. Throws invalid_input naming the coefficient when one
  /// is too large.
  [[nodiscard]] linear_cost cost() const;
};

/// The range of a measured value or scale other than 0: what fixed point can hold.
constexpr double least_measurable = 1.0 / (std::int64_t{1} << fixed_point_bits);
inline constexpr double most_measurable = 5e11;

/// Throws invalid_input naming the field, `value_field` for the value, and the index unless amounts
/// are not negative, and value and scale are 0 or within the range above. Only a value with a scale
/// of its own may be negative or nearer to 0.
void validate(const measurement& row, std::size_t index, std::string_view value_field = "value");

/// The cost of least Σ ((predicted − measured) / scale)² that has no negative coefficient. Where
/// the rows cannot tell coefficients apart, some of them are 0 and named; where several costs
/// explain the rows equally well, it is one of fewest coefficients, amounts of work before the
/// constant. Throws invalid_input for rows that are not valid, and where a coefficient is too large
/// for fixed point. The same on every run. O(rows).
[[nodiscard]] linear_fit fit_linear_cost(std::span<const measurement> rows);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/linear_fit.ipp>
#endif
