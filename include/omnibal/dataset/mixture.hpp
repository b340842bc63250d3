// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weighted mixtures of several tables: which samples an epoch holds when tables are repeated or
/// held back by a rate each. Packers take the samples from there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/dataset/table_index.hpp>

namespace omnibal::inline v0 {

/// How often an epoch holds each sample of a table: numerator / denominator times. 5/2 is two or
/// three times, 1/4 is every fourth sample, 0/1 none.
struct mixture_rate {
  std::uint64_t numerator = 1;
  std::uint64_t denominator = 1;

  friend bool operator==(const mixture_rate&, const mixture_rate&) = default;
};

/// Options of draw_mixture.
struct mixture_options {
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< Counted from 0; where one ends in a table, the next goes on.
};

/// The sample ids of an epoch in random order, repeats included: of a table with n rows and rate r,
/// ⌊(epoch + 1) · n · r⌋ − ⌊epoch · n · r⌋ of them.
///
/// A table is read as an endless sequence of passes, each a fresh shuffle of all its rows, and
/// every epoch takes up where the one before stopped: after any number of epochs no sample of a
/// table was there more than once oftener than another. Ids are those of `tables`, and
/// table_index::locate leads back to table and row. Throws invalid_input unless there is one rate a
/// table, with denominators above 0; where an epoch has more than 2³² − 1 samples; and where
/// numbers are beyond 2³² − 1 (rows of a table, numerators, denominators, passes) or 2²⁴ (tables).
/// O(samples of the epoch, and rows of the tables that it begins or ends within).
[[nodiscard]] std::vector<std::uint64_t> draw_mixture(const table_index& tables,
                                                      std::span<const mixture_rate> rates,
                                                      const mixture_options& options = {});

/// The rates at which an epoch has `samples` samples in proportion to the weights: each table's
/// share rounded by largest remainders, of equal ones the first. Throws invalid_input where there
/// is not one weight a table, all weights are 0 or a table without rows has one; and where weights
/// or samples are beyond 2³² − 1. O(tables · log(tables)).
[[nodiscard]] std::vector<mixture_rate> rates_for(const table_index& tables,
                                                  std::span<const std::uint64_t> weights,
                                                  std::uint64_t samples);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dataset/impl/mixture.ipp>
#endif
