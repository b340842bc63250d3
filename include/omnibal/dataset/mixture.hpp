// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weighted mixtures of several tables: which samples an epoch contains when each table is
/// oversampled or undersampled by a rate of its own. The result is what a packer then packs.
///
///     const std::vector<std::uint64_t> rows = {1000, 50};
///     const table_index tables(rows);
///     const std::vector<mixture_rate> rates = {{1, 1}, {5, 2}};  // once, and 5/2 times
///     auto samples = draw_mixture(tables, rates, {.seed = 1, .epoch = 0});
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/dataset/table_index.hpp>

namespace omnibal::inline v0 {

/// How often an epoch contains each sample of a table: numerator / denominator times. 5/2 is two
/// or three times, 1/4 is every fourth sample, 0/1 none.
struct mixture_rate {
  std::uint64_t numerator = 1;
  std::uint64_t denominator = 1;

  friend bool operator==(const mixture_rate&, const mixture_rate&) = default;
};

/// Options of draw_mixture.
struct mixture_options {
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< Counted from 0. Each continues where the one before it ended.
};

/// The sample ids of an epoch in random order, repeats included: of a table with n rows and rate r,
/// ⌊(epoch + 1) · n · r⌋ − ⌊epoch · n · r⌋ of them.
///
/// A table is read as an endless sequence of passes, each a new shuffle of all its rows, and every
/// epoch continues where the one before it stopped. So after any number of epochs, the numbers of
/// times that two samples of a table were drawn differ by at most one. Ids are those of `tables`;
/// table_index::locate gives table and row. Throws invalid_input unless there is one rate per table
/// with a denominator above 0; when the epoch has more than 2³² − 1 samples; and when a number of
/// rows, a numerator, a denominator or a number of passes exceeds 2³² − 1, or the number of tables
/// 2²⁴. O(samples of the epoch + rows of the tables within which it begins or ends).
[[nodiscard]] std::vector<std::uint64_t> draw_mixture(const table_index& tables,
                                                      std::span<const mixture_rate> rates,
                                                      const mixture_options& options = {});

/// The rates with which an epoch has exactly `samples` samples, divided among the tables in
/// proportion to `weights`: shares are rounded by largest remainders, equal ones in order of
/// tables. Throws invalid_input unless there is one weight per table; when all weights are 0 or a
/// table without rows has a positive one; and when a weight or `samples` exceeds 2³² − 1. O(tables
/// · log(tables)).
[[nodiscard]] std::vector<mixture_rate> rates_for(const table_index& tables,
                                                  std::span<const std::uint64_t> weights,
                                                  std::uint64_t samples);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dataset/impl/mixture.ipp>
#endif
