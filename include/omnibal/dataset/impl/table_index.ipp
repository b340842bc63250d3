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
  offsets_.reserve(rows.size() + 1);
  for (const std::uint64_t count : rows)
    offsets_.push_back(checked_add(offsets_.back(), count, "rows"));
}

OMNIBAL_INLINE table_row table_index::locate(std::uint64_t sample) const {
  if (sample >= samples())
    throw invalid_input("sample", sample, "must be less than " + std::to_string(samples()));
  // The last table that starts at or before the sample: empty tables start at the same id as the
  // table after them.
  const auto after = std::upper_bound(offsets_.begin(), offsets_.end(), sample);
  const auto table = static_cast<std::size_t>(after - offsets_.begin()) - 1;
  return {.table = table, .row = sample - offsets_[table]};
}

OMNIBAL_INLINE std::uint64_t table_index::sample(const table_row& at) const {
  if (at.table >= tables())
    throw invalid_input("table", at.table, "must be less than " + std::to_string(tables()));
  if (at.row >= rows(at.table))
    throw invalid_input("row", at.row, "must be less than " + std::to_string(rows(at.table)));
  return offsets_[at.table] + at.row;
}

}  // namespace omnibal::inline v0
