// SPDX-License-Identifier: Apache-2.0
/// @file
/// Made-up length tables: rows drawn from histograms of their columns, or from the rows of a real
/// table with replacement. Use it to try a plan before the data exists, or on more samples than
/// there are.
///
///     const std::vector<omnibal::length_column> shape = {
///         {.name = "tiles", .buckets = {{1, 1, 9}, {5, 5, 56}}},
///         {.name = "tokens", .buckets = {{40, 299, 1}}, .shares = {{.column = 0, .factor =
///         256}}}};
///     const auto rows = omnibal::draw_lengths(shape, {.rows = 4000, .seed = 1});
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>

namespace omnibal::inline v0 {

/// The integers from `least` to `most`, all equally likely.
struct length_bucket {
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::uint32_t weight = 0;
};

/// A multiple of an earlier column.
struct length_share {
  std::size_t column = 0;
  std::int64_t factor = 0;
};

/// A column: a number from one of its buckets, which is chosen by weight, plus multiples of columns
/// before it.
struct length_column {
  std::string name = {};
  std::vector<length_bucket> buckets = {};
  std::vector<length_share> shares = {};
};

/// Throws invalid_input naming column and member unless there is a column, names are distinct and
/// not empty, every column has buckets of fewer than 2³² integers from 0 to 2⁶² whose weights sum
/// to 1 … 2³² − 1, shares are non-negative multiples of columns before it, and no column can grow
/// past 2⁶². O(buckets + shares + columns²).
void validate(std::span<const length_column> columns);

/// Rows of integers, one after another.
struct length_rows {
  std::size_t columns = 0;
  std::vector<std::int64_t> values = {};  ///< Row i, column c is values[i · columns + c].

  /// Precondition: columns > 0, as for all that follow.
  [[nodiscard]] std::size_t size() const noexcept { return values.size() / columns; }
  /// Precondition: i < size().
  [[nodiscard]] std::span<const std::int64_t> row(std::size_t i) const {
    return std::span(values).subspan(i * columns, columns);
  }
  friend bool operator==(const length_rows&, const length_rows&) = default;
};

/// How rows are drawn. The same options give the same rows on every platform, and more rows begin
/// with fewer.
struct length_draw_options {
  std::size_t rows = 0;
  std::uint64_t seed = 0;
  /// Share of the rows, numerator / denominator, whose first column, the images, is set to 0; which
  /// ones is random. It changes nothing else.
  std::uint32_t text_only_numerator = 0;
  std::uint32_t text_only_denominator = 1;
};

/// Draws rows from histograms. Throws invalid_input as validate() does, and unless the share of
/// text-only rows is between 0 and 1. O(rows · (buckets + shares)).
[[nodiscard]] length_rows draw_lengths(std::span<const length_column> columns,
                                       const length_draw_options& options);

/// Draws rows of a table with replacement. Throws invalid_input for a table without rows or with
/// more than 2³² − 1, and unless the share of text-only rows is between 0 and 1. O(rows).
template <std::size_t Resources>
[[nodiscard]] length_rows resample_lengths(std::span<const loads<Resources>> samples,
                                           const length_draw_options& options);

/// The least, mean and largest value of a column; all 0 without rows.
struct length_summary {
  std::int64_t least = 0;
  double mean = 0;
  std::int64_t most = 0;
};

/// Summarizes a column. O(rows). Precondition: column < rows.columns.
[[nodiscard]] length_summary summarize_lengths(const length_rows& rows, std::size_t column);

namespace detail {

/// Rows and the choice of text-only rows have streams of their own.
[[nodiscard]] inline random_stream length_stream(const length_draw_options& options) {
  return stream_for(options.seed, random_purpose::length_table, 0);
}

/// Sets the first column to 0 in a share of the rows.
void make_text_only(length_rows& table, const length_draw_options& options);

/// Throws invalid_input unless `samples` rows can be drawn from.
void expect_drawable(std::size_t samples, const length_draw_options& options);

}  // namespace detail

template <std::size_t Resources>
length_rows resample_lengths(std::span<const loads<Resources>> samples,
                             const length_draw_options& options) {
  detail::expect_drawable(samples.size(), options);
  random_stream random = detail::length_stream(options);
  length_rows table{.columns = Resources};
  table.values.reserve(options.rows * Resources);
  const auto count = static_cast<std::uint32_t>(samples.size());
  for (std::size_t i = 0; i < options.rows; ++i) {
    const loads<Resources>& row = samples[uniform_below(random, count)];
    table.values.insert(table.values.end(), row.begin(), row.end());
  }
  detail::make_text_only(table, options);
  return table;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dataset/impl/length_shape.ipp>
#endif
