// SPDX-License-Identifier: Apache-2.0
/// @file
/// From length tables to packs: the capacity, the samples of the epoch, the packs.
#pragma once

#include <omnibal/core/search_control.hpp>

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// Packs the samples of the tables, or those that a mixture draws; the packs are not yet assigned
/// to steps. Throws invalid_input where options and tables do not agree.
[[nodiscard]] packed_tables pack_samples(const length_tables& tables, const pack_options& options,
                                         const search_control& control);

}  // namespace omnibal::cli
