// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/dataset/length_shape.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::string text_of(const length_bucket& bucket) {
  return "[" + std::to_string(bucket.least) + "," + std::to_string(bucket.most) + "," +
         std::to_string(bucket.weight) + "]";
}

/// The beginning of a list of buckets.
[[nodiscard]] inline std::string text_of(std::span<const length_bucket> buckets) {
  constexpr std::size_t longest = 60;
  std::string text = "[";
  for (std::size_t k = 0; k < buckets.size() && text.size() < longest; ++k)
    text += (k == 0 ? "" : ",") + text_of(buckets[k]);
  return (text + "]").substr(0, longest);
}

/// Checks columns in their order.
class length_shape_check {
 public:
  explicit length_shape_check(std::span<const length_column> columns) : columns_(columns) {}

  void check() {
    if (columns_.empty()) throw invalid_input("columns", "nothing", "needs at least one column");
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      check_name(c);
      check_buckets(c);
      most_.push_back(largest_value(c));
    }
  }

 private:
  static constexpr std::int64_t limit = std::int64_t{1} << 62;
  static constexpr std::int64_t widest = std::numeric_limits<std::uint32_t>::max();

  void check_name(std::size_t c) const {
    const std::string& name = columns_[c].name;
    if (name.empty()) throw invalid_input("columns[].name", c, "nothing", "must name the column");
    for (std::size_t other = 0; other < c; ++other)
      if (columns_[other].name == name)
        throw invalid_input("columns[].name", c, name, "is already taken");
  }

  void check_buckets(std::size_t c) const {
    const std::vector<length_bucket>& buckets = columns_[c].buckets;
    std::uint64_t total = 0;
    for (const length_bucket& one : buckets) {
      if (one.least < 0 || one.most > limit)
        throw invalid_input("columns[].buckets", c, text_of(one), "must be between 0 and 2^62");
      if (one.most < one.least || one.most - one.least >= widest)
        throw invalid_input("columns[].buckets", c, text_of(one),
                            "must run from its least value to its most, fewer than 2^32");
      total += one.weight;
    }
    if (total == 0 || total > static_cast<std::uint64_t>(widest))
      throw invalid_input("columns[].buckets", c, text_of(buckets),
                          "must have weights that sum to 1 ... 4294967295");
  }

  /// The largest value that the column may have.
  [[nodiscard]] std::int64_t largest_value(std::size_t c) const {
    std::int64_t most = 0;
    for (const length_bucket& one : columns_[c].buckets) most = std::max(most, one.most);
    for (const length_share& share : columns_[c].shares) {
      if (share.column >= c)
        throw invalid_input("columns[].shares", c, share.column, "must be a column before it");
      if (share.factor < 0)
        throw invalid_input("columns[].shares", c, share.factor, "must not be negative");
      const auto product = try_multiply(most_[share.column], share.factor);
      const auto sum = product ? try_add(most, *product) : std::nullopt;
      if (!sum || *sum > limit)
        throw invalid_input("columns[].shares", c, columns_[c].name, "can grow past 2^62");
      most = *sum;
    }
    return most;
  }

  std::span<const length_column> columns_;
  std::vector<std::int64_t> most_;
};

[[nodiscard]] inline std::uint32_t total_weight(const length_column& column) {
  std::uint32_t total = 0;
  for (const length_bucket& one : column.buckets) total += one.weight;
  return total;
}

/// A number from the buckets of a column, whose weights sum to `total`.
[[nodiscard]] inline std::int64_t draw_from(const length_column& column, std::uint32_t total,
                                            random_stream& random) {
  std::uint32_t left = uniform_below(random, total);
  auto bucket = column.buckets.begin();
  for (; left >= bucket->weight; ++bucket) left -= bucket->weight;
  const auto width = static_cast<std::uint32_t>(bucket->most - bucket->least + 1);
  return bucket->least + uniform_below(random, width);
}

OMNIBAL_INLINE void make_text_only(length_rows& table, const length_draw_options& options) {
  if (options.text_only_numerator == 0) return;
  random_stream random = stream_for(options.seed, random_purpose::length_table, 1);
  for (std::size_t i = 0; i < table.size(); ++i)
    if (uniform_below(random, options.text_only_denominator) < options.text_only_numerator)
      table.values[i * table.columns] = 0;
}

inline void expect_share(const length_draw_options& options) {
  if (options.text_only_denominator == 0)
    throw invalid_input("text_only_denominator", 0, "must be at least 1");
  if (options.text_only_numerator > options.text_only_denominator)
    throw invalid_input(
        "text_only_numerator", options.text_only_numerator,
        "must be at most text_only_denominator, " + std::to_string(options.text_only_denominator));
}

OMNIBAL_INLINE void expect_drawable(std::size_t samples, const length_draw_options& options) {
  if (samples == 0) throw invalid_input("samples", "nothing", "needs a row to draw from");
  if (samples > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of samples", samples, "must be at most 2^32 - 1");
  expect_share(options);
}

}  // namespace detail

OMNIBAL_INLINE void validate(std::span<const length_column> columns) {
  detail::length_shape_check(columns).check();
}

OMNIBAL_INLINE length_rows draw_lengths(std::span<const length_column> columns,
                                        const length_draw_options& options) {
  validate(columns);
  detail::expect_share(options);
  std::vector<std::uint32_t> totals;
  for (const length_column& column : columns) totals.push_back(detail::total_weight(column));
  random_stream random = detail::length_stream(options);
  length_rows table{.columns = columns.size()};
  table.values.reserve(options.rows * columns.size());
  for (std::size_t i = 0; i < options.rows; ++i) {
    const std::size_t row = table.values.size();
    for (std::size_t c = 0; c < columns.size(); ++c) {
      std::int64_t value = detail::draw_from(columns[c], totals[c], random);
      for (const length_share& share : columns[c].shares)
        value += share.factor * table.values[row + share.column];
      table.values.push_back(value);
    }
  }
  detail::make_text_only(table, options);
  return table;
}

OMNIBAL_INLINE length_summary summarize_lengths(const length_rows& rows, std::size_t column) {
  if (rows.values.empty()) return {};
  length_summary summary{.least = std::numeric_limits<std::int64_t>::max()};
  double sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t value = rows.row(i)[column];
    summary.least = std::min(summary.least, value);
    summary.most = std::max(summary.most, value);
    sum += static_cast<double>(value);
  }
  summary.mean = sum / static_cast<double>(rows.size());
  return summary;
}

}  // namespace omnibal::inline v0
