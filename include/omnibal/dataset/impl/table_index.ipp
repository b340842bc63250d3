// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/dataset/table_index.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE table_index::table_index(std::span<const std::uint64_t> rows) {
  ends_.reserve(rows.size());
  for (const std::uint64_t count : rows) ends_.push_back(checked_add(samples(), count, "rows"));
}

OMNIBAL_INLINE table_row table_index::locate(std::uint64_t sample) const {
  if (sample >= samples())
    throw invalid_input("sample", sample, "must be less than " + std::to_string(samples()));
  // The first table that ends after the sample: an empty one ends where it begins.
  const auto found = std::upper_bound(ends_.begin(), ends_.end(), sample);
  const auto table = static_cast<std::size_t>(found - ends_.begin());
  return {.table = table, .row = sample - begin(table)};
}

OMNIBAL_INLINE std::uint64_t table_index::sample(const table_row& at) const {
  if (at.table >= tables())
    throw invalid_input("table", at.table, "must be less than " + std::to_string(tables()));
  if (at.row >= rows(at.table))
    throw invalid_input("row", at.row, "must be less than " + std::to_string(rows(at.table)));
  return begin(at.table) + at.row;
}

}  // namespace omnibal::inline v0
