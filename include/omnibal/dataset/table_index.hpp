// SPDX-License-Identifier: Apache-2.0
/// @file
/// Several length tables read as one: sample ids run on from table to table.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// A row of a table.
struct table_row {
  std::size_t table = 0;
  std::uint64_t row = 0;
  friend bool operator==(const table_row&, const table_row&) = default;
};

/// Translates between sample ids and rows of tables that are read one after the other.
class table_index {
 public:
  table_index() = default;
  /// Tables with these numbers of rows, in order; empty ones are legal.
  explicit table_index(std::span<const std::uint64_t> rows) {
    offsets_.reserve(rows.size() + 1);
    for (const std::uint64_t count : rows)
      offsets_.push_back(checked_add(offsets_.back(), count, "rows"));
  }

  [[nodiscard]] std::size_t tables() const noexcept { return offsets_.size() - 1; }
  /// The number of samples in all tables together.
  [[nodiscard]] std::uint64_t samples() const noexcept { return offsets_.back(); }
  /// The number of rows of a table. Precondition: table < tables().
  [[nodiscard]] std::uint64_t rows(std::size_t table) const noexcept {
    return offsets_[table + 1] - offsets_[table];
  }

  /// The table and row of a sample; throws invalid_input when there is none. O(log tables).
  [[nodiscard]] table_row locate(std::uint64_t sample) const {
    if (sample >= samples())
      throw invalid_input("sample", sample, "must be less than " + std::to_string(samples()));
    // The last table starting at or before the sample: empty tables start where the next one does.
    const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), sample);
    const auto table = static_cast<std::size_t>(after - offsets_.begin()) - 1;
    return {.table = table, .row = sample - offsets_[table]};
  }

  /// The sample id of a row; throws invalid_input when there is no such row. O(1).
  [[nodiscard]] std::uint64_t sample(const table_row& at) const {
    if (at.table >= tables())
      throw invalid_input("table", at.table, "must be less than " + std::to_string(tables()));
    if (at.row >= rows(at.table))
      throw invalid_input("row", at.row, "must be less than " + std::to_string(rows(at.table)));
    return offsets_[at.table] + at.row;
  }

  friend bool operator==(const table_index&, const table_index&) = default;

 private:
  std::vector<std::uint64_t> offsets_ = {0};
};

}  // namespace omnibal::inline v0
