// SPDX-License-Identifier: Apache-2.0
/// @file
/// The figures that `omnibal pack` reports of packs and their assignment.
#pragma once

#include "commands/packed_tables.hpp"
#include "reports/pack_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

[[nodiscard]] pack_report measure(const length_tables& tables, const packed_tables& packed);

}  // namespace omnibal::cli
