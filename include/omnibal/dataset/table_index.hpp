// SPDX-License-Identifier: Apache-2.0
/// @file
/// Several length tables read as one: sample ids are numbered consecutively from table to table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A row of a table.
struct table_row {
  std::size_t table = 0;
  std::uint64_t row = 0;
  friend bool operator==(const table_row&, const table_row&) = default;
};

/// Translates between sample ids and rows of the concatenated tables. An index that was moved from
/// has no tables.
class table_index {
 public:
  table_index() = default;
  /// Tables with these numbers of rows, in order; they may be empty. Throws invalid_input when the
  /// sum exceeds 64 bits. O(tables).
  explicit table_index(std::span<const std::uint64_t> rows);

  [[nodiscard]] std::size_t tables() const noexcept { return ends_.size(); }
  /// The number of samples in all tables together.
  [[nodiscard]] std::uint64_t samples() const noexcept { return begin(tables()); }
  /// The number of rows of a table. Precondition: table < tables().
  [[nodiscard]] std::uint64_t rows(std::size_t table) const noexcept {
    return ends_[table] - begin(table);
  }

  /// The table and row of a sample; throws invalid_input unless sample < samples(). O(log tables).
  [[nodiscard]] table_row locate(std::uint64_t sample) const;

  /// The sample id of a row; throws invalid_input when there is no such row. O(1).
  [[nodiscard]] std::uint64_t sample(const table_row& at) const;

  friend bool operator==(const table_index&, const table_index&) = default;

 private:
  /// The id of the first sample of a table, which is where the table before it ends.
  [[nodiscard]] std::uint64_t begin(std::size_t table) const noexcept {
    return table == 0 ? 0 : ends_[table - 1];
  }

  std::vector<std::uint64_t> ends_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dataset/impl/table_index.ipp>
#endif
