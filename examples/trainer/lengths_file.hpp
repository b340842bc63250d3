// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lengths of real samples from the tables that the command `omnibal` reads: JSON, JSON Lines, CSV
/// or NumPy.
#pragma once

#include <cstdint>
#include <vector>

#include "picture.hpp"
#include "tables/tables.hpp"

namespace omnibal::trainer {

/// Tables with the resources `images`, which are tiles, and `tokens`, which hold those of tiles.
struct lengths_files {
  cli::table_options tables = {};
  std::int64_t tile_tokens = 256;  ///< Tokens of a tile, which are no text.
};

/// The tiles and the text of all samples, in the order of the files. Other columns may hold
/// anything. Throws invalid_input naming file, record, column and value for what cannot be read, is
/// longer than longest_sample, or has fewer tokens than its tiles.
[[nodiscard]] std::vector<sample_lengths> read_lengths(const lengths_files& from);

}  // namespace omnibal::trainer
