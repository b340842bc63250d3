// SPDX-License-Identifier: Apache-2.0
/// @file
/// Assigns packs to steps, ranks and micro-batches, by a cost that needs no model.
#pragma once

#include <cstdint>

#include <omnibal/core/grouping.hpp>

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// The samples of each micro-batch: of each pack, or of each group of packs.
[[nodiscard]] grouping<std::uint32_t> samples_by_microbatch(const packs_file& file);

/// Assigns the packs to steps and ranks, in groups under sequence parallelism.
void assign_packs(const length_tables& tables, const pack_options& options, packed_tables& packed);

}  // namespace omnibal::cli
