// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs made before, checked against the tables that they were made from.
#pragma once

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// Reads the packs that --evaluate names. Throws invalid_input where a sample that fits is not in
/// them as often as it must be, or a pack exceeds the capacity.
[[nodiscard]] packed_tables evaluate_packs(const length_tables& tables,
                                           const pack_options& options);

}  // namespace omnibal::cli
