// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/linear_fit.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE double linear_fit::of(const workload& work) const {
  return coefficients[0] + coefficients[1] * static_cast<double>(work.tiles) +
         coefficients[2] * static_cast<double>(work.tokens) +
         coefficients[3] * static_cast<double>(work.squared_tokens);
}

OMNIBAL_INLINE linear_cost linear_fit::cost() const {
  return {.constant = to_fixed_point(coefficients[0], coefficient_names[0]),
          .per_tile = to_fixed_point(coefficients[1], coefficient_names[1]),
          .per_token = to_fixed_point(coefficients[2], coefficient_names[2]),
          .per_squared_token = to_fixed_point(coefficients[3], coefficient_names[3])};
}

OMNIBAL_INLINE void validate(const measurement& row, std::size_t index,
                             std::string_view value_field) {
  const auto check_amount = [&](const char* field, std::int64_t amount) {
    if (amount < 0) throw invalid_input(field, index, amount, "must not be negative");
  };
  const auto check_size = [&](std::string_view field, double size, double least) {
    if (size != 0.0 && !(size >= least && size <= most_measurable))
      throw invalid_input(field, index, std::to_string(size), "must be 0 or from 2^-24 to 5e11");
  };
  check_amount("rows[].work.tiles", row.work.tiles);
  check_amount("rows[].work.tokens", row.work.tokens);
  check_amount("rows[].work.squared_tokens", row.work.squared_tokens);
  check_size("rows[].scale", row.scale, least_measurable);
  check_size(value_field, row.value, row.scale > 0.0 ? -most_measurable : least_measurable);
}

namespace detail {

/// The columns of a matrix, followed by the right-hand side.
using fit_columns = std::vector<std::vector<double>>;

[[nodiscard]] inline double dot(std::span<const double> left, std::span<const double> right) {
  return std::inner_product(left.begin(), left.end(), right.begin(), 0.0);
}

[[nodiscard]] inline double norm(std::span<const double> column) {
  return std::sqrt(dot(column, column));
}

/// A Householder reflection that makes column k 0 below its diagonal, unless it already is.
inline void reflect(fit_columns& columns, std::size_t k) {
  std::vector<double> mirror(columns[k].begin() + static_cast<std::ptrdiff_t>(k), columns[k].end());
  mirror[0] += std::copysign(norm(mirror), mirror[0]);
  const double square = dot(mirror, mirror);
  if (square == 0.0) return;
  for (std::size_t c = k; c < columns.size(); ++c) {
    const std::span<double> tail = std::span(columns[c]).subspan(k);
    const double factor = 2.0 * dot(mirror, tail) / square;
    for (std::size_t i = 0; i < tail.size(); ++i) tail[i] -= factor * mirror[i];
  }
}

/// An unconstrained fit of some columns.
struct free_fit {
  bool independent = true;  ///< Linear independence of the columns; the rest is unset otherwise.
  std::vector<double> solution = {};
  std::vector<double> variance = {};  ///< Of the solution, for values of variance 1.
  double squared_error = 0;
};

/// Solves the upper triangle of the first columns for `right`.
[[nodiscard]] inline std::vector<double> back_substitute(const fit_columns& columns,
                                                         std::vector<double> right) {
  for (std::size_t k = right.size(); k-- > 0;) {
    for (std::size_t c = k + 1; c < right.size(); ++c) right[k] -= columns[c][k] * right[c];
    right[k] /= columns[k][k];
  }
  return right;
}

/// Fits the columns, of norm 1 each, to the values that come after them.
[[nodiscard]] inline free_fit fit_freely(fit_columns columns) {
  constexpr double least_remainder = 1e-8;
  const std::size_t count = columns.size() - 1;
  if (columns.back().size() < count) return {.independent = false};
  for (std::size_t k = 0; k < count; ++k) {
    if (k < columns[k].size()) reflect(columns, k);
    if (std::abs(columns[k][k]) < least_remainder) return {.independent = false};
  }
  const std::span<const double> values = columns.back();
  free_fit fit{.variance = std::vector<double>(count, 0.0)};
  fit.solution = back_substitute(
      columns, {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count)});
  fit.squared_error = dot(values.subspan(count), values.subspan(count));
  for (std::size_t k = 0; k < count; ++k) {
    std::vector<double> unit(count, 0.0);
    unit[k] = 1.0;
    const std::vector<double> inverse_column = back_substitute(columns, std::move(unit));
    for (std::size_t c = 0; c < count; ++c)
      fit.variance[c] += inverse_column[c] * inverse_column[c];
  }
  return fit;
}

/// Fits of the subsets of coefficients to the same measurements.
class subset_fits {
 public:
  using subset = std::vector<std::size_t>;

  explicit subset_fits(std::span<const measurement> rows) {
    for (std::vector<double>& column : columns_) column.reserve(rows.size());
    const double least = least_positive_value(rows);
    for (const auto& [work, value, scale] : rows) {
      scales_.push_back(scale > 0.0 ? scale : value > 0.0 ? value : least);
      append({1.0, static_cast<double>(work.tiles), static_cast<double>(work.tokens),
              static_cast<double>(work.squared_tokens)},
             value);
    }
    for (std::size_t c = 0; c < norms_.size(); ++c) {
      norms_[c] = norm(columns_[c]);
      if (norms_[c] > 0.0)
        for (double& element : columns_[c]) element /= norms_[c];
    }
  }

  [[nodiscard]] std::span<const double> scales() const { return scales_; }

  /// The fit in units of the measurements. Coefficients of no amount at all are dependent.
  [[nodiscard]] free_fit of(const subset& chosen) const {
    fit_columns columns;
    for (const std::size_t c : chosen) {
      if (norms_[c] == 0.0) return {.independent = false};
      columns.push_back(columns_[c]);
    }
    columns.push_back(values_);
    free_fit fit = fit_freely(std::move(columns));
    for (std::size_t k = 0; fit.independent && k < chosen.size(); ++k) {
      fit.solution[k] /= norms_[chosen[k]];
      fit.variance[k] /= norms_[chosen[k]] * norms_[chosen[k]];
    }
    return fit;
  }

 private:
  static double least_positive_value(std::span<const measurement> rows) {
    double least = most_measurable;
    for (const measurement& row : rows)
      if (row.value > 0.0) least = std::min(least, row.value);
    return least;
  }

  void append(const std::array<double, 4>& amounts, double value) {
    for (std::size_t c = 0; c < amounts.size(); ++c)
      columns_[c].push_back(amounts[c] / scales_.back());
    values_.push_back(value / scales_.back());
  }

  std::array<std::vector<double>, 4> columns_ = {};
  std::array<double, 4> norms_ = {};
  std::vector<double> values_ = {};
  std::vector<double> scales_ = {};
};

/// Of coefficients that explain the measurements equally well, the first ones are preferred: those
/// proportional to the workload before the constant.
inline constexpr std::array<std::size_t, 4> coefficient_preference = {1, 2, 3, 0};

/// All subsets of the coefficients, the smaller and preferred ones first.
[[nodiscard]] inline std::vector<subset_fits::subset> coefficient_subsets() {
  std::vector<subset_fits::subset> subsets;
  for (unsigned mask = 0; mask < 16; ++mask) {
    subsets.emplace_back();
    for (std::size_t bit = 0; bit < coefficient_preference.size(); ++bit)
      if ((mask >> bit & 1U) != 0) subsets.back().push_back(coefficient_preference[bit]);
  }
  std::ranges::stable_sort(subsets, {}, &subset_fits::subset::size);
  return subsets;
}

struct chosen_fit {
  subset_fits::subset subset = {};
  free_fit fit = {};
};

/// The fit of least error without negative coefficients; of equals the smaller, preferred one.
[[nodiscard]] inline chosen_fit best_fit_of(const subset_fits& fits) {
  const double negligible = 1e-24 * static_cast<double>(fits.scales().size());
  chosen_fit best{.fit = fits.of({})};
  for (const subset_fits::subset& subset : coefficient_subsets()) {
    const free_fit fit = fits.of(subset);
    if (!fit.independent || std::ranges::any_of(fit.solution, [](double x) { return x < 0.0; }))
      continue;
    if (fit.squared_error < best.fit.squared_error * (1.0 - 1e-12) - negligible)
      best = {subset, fit};
  }
  return best;
}

/// The subset and all coefficients that the measurements can separate from it, preferred ones
/// first.
[[nodiscard]] inline subset_fits::subset determined_with(const subset_fits& fits,
                                                         subset_fits::subset subset) {
  for (const std::size_t c : coefficient_preference) {
    if (std::ranges::find(subset, c) != subset.end()) continue;
    subset.push_back(c);
    if (!fits.of(subset).independent) subset.pop_back();
  }
  return subset;
}

/// The least share by which a prediction must grow to reach a value.
[[nodiscard]] inline double margin_between(double predicted, double value) {
  if (value <= predicted) return 0.0;
  if (predicted <= 0.0) return std::numeric_limits<double>::infinity();
  constexpr double rounding = 4.0 * std::numeric_limits<double>::epsilon();
  return value / predicted * (1.0 + rounding) - 1.0;
}

/// Residuals of the fit, and the margin, which is against the cost in fixed point as planners use.
inline void measure_residuals(std::span<const measurement> rows, std::span<const double> scales,
                              linear_fit& fit) {
  const linear_cost cost = fit.cost();
  double squares = 0.0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const workload& work = rows[k].work;
    const double residual = std::abs(fit.of(work) - rows[k].value) / scales[k];
    fit.largest_residual = std::max(fit.largest_residual, residual);
    squares += residual * residual;
    const double in_fixed_point =
        std::ldexp(static_cast<double>(cost.exactly(work)), -fixed_point_bits);
    fit.margin = std::max(fit.margin, margin_between(in_fixed_point, rows[k].value));
  }
  fit.rms_residual = std::sqrt(squares / static_cast<double>(rows.size()));
}

}  // namespace detail

OMNIBAL_INLINE linear_fit fit_linear_cost(std::span<const measurement> rows) {
  if (rows.empty()) throw invalid_input("rows", "nothing", "needs at least one measurement");
  for (std::size_t k = 0; k < rows.size(); ++k) validate(rows[k], k);
  const detail::subset_fits fits(rows);
  const auto [chosen, best] = detail::best_fit_of(fits);
  linear_fit fit{.measurements = rows.size()};
  for (std::size_t k = 0; k < chosen.size(); ++k) fit.coefficients[chosen[k]] = best.solution[k];

  const std::vector<std::size_t> determined = detail::determined_with(fits, chosen);
  for (std::size_t c = 0; c < coefficient_names.size(); ++c)
    if (std::ranges::find(determined, c) == determined.end())
      fit.undetermined.emplace_back(coefficient_names[c]);
  fit.standard_errors.fill(std::numeric_limits<double>::quiet_NaN());
  if (rows.size() > determined.size()) {
    const auto freedom = static_cast<double>(rows.size() - determined.size());
    const std::vector<double> variance = fits.of(determined).variance;
    for (std::size_t k = 0; k < determined.size(); ++k)
      fit.standard_errors[determined[k]] = std::sqrt(best.squared_error / freedom * variance[k]);
  }
  detail::measure_residuals(rows, fits.scales(), fit);
  return fit;
}

}  // namespace omnibal::inline v0
