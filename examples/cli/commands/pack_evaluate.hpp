// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs made before, held against the tables that they are for.
#pragma once

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// Reads the packs that --evaluate names. Throws invalid_input where they do not hold each sample
/// that fits as often as they must, or exceed their capacity.
[[nodiscard]] packed_tables evaluate_packs(const length_tables& tables,
                                           const pack_options& options);

}  // namespace omnibal::cli
