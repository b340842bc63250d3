// SPDX-License-Identifier: Apache-2.0
/// @file
/// Clusters similar samples into classes: cells of the load plane of the two tightest resources.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

/// The samples in a range of columns of neighbouring rows.
struct plane_cell {
  plane_point least;        ///< the smallest row and the smallest column of any sample
  std::uint64_t count = 0;  ///< number of samples
};

/// A division of samples into cells, at most most_cells.
struct plane_cells {
  static constexpr std::size_t most_cells = 64;

  std::vector<plane_cell> cells = {};
  std::vector<std::uint8_t> cell_of = {};  ///< by point: its cell, where it has samples
};

/// Neighbouring rows of the plane, merged.
struct row_band {
  std::uint32_t first = 0;                  ///< the first row that has samples
  std::uint32_t last = 0;                   ///< the last one
  std::vector<std::uint64_t> columns = {};  ///< samples by column
  std::uint64_t samples = 0;
};

/// Divides the samples of a plane into bands of rows, with one row per band when few rows have
/// samples, and each band into ranges of columns, more ranges the more its columns vary.
class cell_divider {
 public:
  /// `counts` holds the number of samples by point, row after row of `width` columns.
  cell_divider(std::span<const std::uint32_t> counts, std::size_t width)
      : counts_(counts), width_(width) {}

  [[nodiscard]] plane_cells divide();

 private:
  static constexpr std::size_t most_own_bands = 16;
  static constexpr std::size_t shared_bands = 8;
  static constexpr std::size_t most_ranges = plane_cells::most_cells - most_own_bands;
  static constexpr std::uint64_t least_samples = 256;  // in a range, on average

  [[nodiscard]] std::span<const std::uint32_t> row(std::size_t k) const noexcept {
    return counts_.subspan(k * width_, width_);
  }

  [[nodiscard]] std::vector<row_band> make_bands() const;

  // Merges rows into bands of about equally many samples.
  [[nodiscard]] static std::vector<row_band> merge(const std::vector<row_band>& rows,
                                                   std::uint64_t samples);

  // The standard deviation of the columns in 64ths of their mean.
  [[nodiscard]] static std::size_t ranges_wanted(const row_band& band) noexcept;

  // Cuts a band into ranges of about equal volume.
  void cut_band(const row_band& band, std::size_t ranges, plane_cells& result) const;

  std::span<const std::uint32_t> counts_;
  std::size_t width_;
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/sample_clustering.ipp>
#endif
