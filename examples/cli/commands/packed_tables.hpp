// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs of the samples of length tables, on their way from the packer to the report.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/packing/packer.hpp>

#include "files/packs_file.hpp"
#include "reports/pack_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

struct packed_tables {
  packs_file file;
  std::optional<std::size_t> drawn = {};  ///< How many samples a mixture drew, if one did.
  search_status status = search_status::feasible;
  std::vector<std::uint32_t> oversize = {};
  std::uint64_t bound = 0;
  std::vector<capacity_row> capacities = {};  ///< Those that a search for the capacity tried.
  pack_seconds seconds = {};
};

template <std::size_t Resources>
using sample_list = std::vector<loads<Resources>>;

template <std::size_t Resources>
resource_names<Resources> names_of(const length_tables& tables) {
  resource_names<Resources> names;
  std::copy(tables.resources.begin(), tables.resources.end(), names.begin());
  return names;
}

template <std::size_t Resources>
loads<Resources> to_loads(const std::vector<std::int64_t>& amounts) {
  loads<Resources> values = {};
  std::copy(amounts.begin(), amounts.end(), values.begin());
  return values;
}

}  // namespace omnibal::cli
