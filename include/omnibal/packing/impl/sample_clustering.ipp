// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/detail/sample_clustering.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE plane_cells cell_divider::divide() {
  const std::vector<row_band> bands = make_bands();
  std::vector<std::size_t> ranges;
  std::size_t sum = 0;
  for (const row_band& band : bands) sum += ranges.emplace_back(ranges_wanted(band));
  plane_cells result{.cell_of = std::vector<std::uint8_t>(counts_.size())};
  for (std::size_t k = 0; k < bands.size(); ++k) {
    const std::size_t share = sum <= most_ranges ? ranges[k] : ranges[k] * most_ranges / sum;
    cut_band(bands[k], std::max<std::size_t>(share, 1), result);
  }
  return result;
}

OMNIBAL_INLINE std::vector<row_band> cell_divider::make_bands() const {
  std::vector<row_band> rows;
  std::uint64_t samples = 0;
  for (std::uint32_t k = 0; k < counts_.size() / width_; ++k) {
    row_band band{.first = k, .last = k, .columns = {row(k).begin(), row(k).end()}};
    for (const std::uint64_t count : band.columns) band.samples += count;
    samples += band.samples;
    if (band.samples > 0) rows.push_back(std::move(band));
  }
  return rows.size() <= most_own_bands ? rows : merge(rows, samples);
}

OMNIBAL_INLINE std::vector<row_band> cell_divider::merge(const std::vector<row_band>& rows,
                                                         std::uint64_t samples) {
  std::vector<row_band> bands;
  std::uint64_t before = 0;
  for (const row_band& row : rows) {
    if (before >= samples * bands.size() / shared_bands) {
      bands.push_back(row);
    } else {
      row_band& band = bands.back();
      band.last = row.last;
      for (std::size_t k = 0; k < row.columns.size(); ++k) band.columns[k] += row.columns[k];
      band.samples += row.samples;
    }
    before += row.samples;
  }
  return bands;
}

OMNIBAL_INLINE std::size_t cell_divider::ranges_wanted(const row_band& band) noexcept {
  constexpr std::size_t most = 32;
  constexpr std::size_t scale = 64;
  wide_integer sum = 0;
  wide_integer squares = 0;
  for (std::size_t column = 0; column < band.columns.size(); ++column) {
    const auto weighted = static_cast<wide_integer>(band.columns[column] * column);
    sum += weighted;
    squares += weighted * static_cast<wide_integer>(column);
  }
  const wide_integer variance = squares * static_cast<wide_integer>(band.samples) - sum * sum;
  const std::size_t affordable =
      static_cast<std::size_t>(std::min<std::uint64_t>(most, band.samples / least_samples));
  std::size_t ranges = 1;
  while (ranges < affordable &&
         static_cast<wide_integer>(ranges * ranges) * sum * sum < scale * scale * variance)
    ++ranges;
  return ranges;
}

OMNIBAL_INLINE void cell_divider::cut_band(const row_band& band, std::size_t ranges,
                                           plane_cells& result) const {
  wide_integer volume = 0;
  for (std::size_t k = 0; k < width_; ++k)
    volume += static_cast<wide_integer>(band.columns[k] * (k + 1));
  wide_integer before = 0;
  std::size_t cut = 0;
  for (std::uint32_t k = 0; k < width_; ++k) {
    if (band.columns[k] == 0) continue;
    if (before * static_cast<wide_integer>(ranges) >= volume * static_cast<wide_integer>(cut)) {
      result.cells.push_back({.least = {.row = band.first, .column = k}});
      while (before * static_cast<wide_integer>(ranges) >= volume * static_cast<wide_integer>(cut))
        ++cut;
    }
    result.cells.back().count += band.columns[k];
    before += static_cast<wide_integer>(band.columns[k] * (k + 1));
    for (std::size_t r = band.first; r <= band.last; ++r)
      result.cell_of[r * width_ + k] = static_cast<std::uint8_t>(result.cells.size() - 1);
  }
}

}  // namespace omnibal::inline v0::detail
