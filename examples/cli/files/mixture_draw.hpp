// SPDX-License-Identifier: Apache-2.0
/// @file
/// A weighted mixture of tables as packs.json records it: enough to draw the same samples again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/dataset/mixture.hpp>

#include "files/json.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// The parameters from which the samples of an epoch are drawn.
struct mixture_draw {
  std::vector<mixture_rate> rates = {};  ///< One per table.
  std::vector<std::uint64_t> rows = {};  ///< Of each table. Not written: inputs have them.
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;

  friend bool operator==(const mixture_draw&, const mixture_draw&) = default;
};

/// Rates in lowest terms from `1,5/2,2.5`. Throws invalid_input naming `option`, index and text
/// where one is no whole number, fraction or decimal number, is 0, or has a numerator or
/// denominator of more than 32 bits.
[[nodiscard]] std::vector<mixture_rate> parse_rates(std::string_view option, std::string_view text);

/// The same for the rate with this index alone.
[[nodiscard]] mixture_rate parse_rate(std::string_view field, std::size_t index,
                                      std::string_view text);

/// How many samples each table has.
[[nodiscard]] std::vector<std::uint64_t> rows_of(const std::vector<table_input>& inputs);

/// The ids of the epoch's samples in the order drawn, each as often as it was drawn. Throws
/// invalid_input where draw_mixture does.
[[nodiscard]] std::vector<std::uint32_t> draw_samples(const mixture_draw& mixture);

/// As written into packs: {rates: ["1", "5/2"], seed, epoch}.
[[nodiscard]] json to_json(const mixture_draw& mixture);

}  // namespace omnibal::cli
