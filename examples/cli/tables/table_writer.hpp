// SPDX-License-Identifier: Apache-2.0
/// @file
/// Length tables as files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace omnibal::cli {

/// Rows of integers under named columns, row by row.
struct integer_table {
  std::vector<std::string> columns;
  std::vector<std::int64_t> values = {};  ///< Row i, column c is values[i * columns.size() + c].

  [[nodiscard]] std::size_t rows() const { return values.size() / columns.size(); }
  [[nodiscard]] std::span<const std::int64_t> row(std::size_t i) const {
    return std::span(values).subspan(i * columns.size(), columns.size());
  }
};

/// Throws invalid_input unless the path ends in .json, .jsonl, .csv or .npy, or is `-`, which is
/// JSON on standard output.
void expect_table_format(const std::string& path);

/// The bytes of a table in the format that the path's ending names, the same on every platform:
/// JSON with one object per line, JSON Lines, CSV with a heading, or NumPy 64-bit integers.
[[nodiscard]] std::string table_bytes(const integer_table& table, const std::string& path);

}  // namespace omnibal::cli
