// SPDX-License-Identifier: Apache-2.0
/// @file
/// Assigns packs to steps, ranks and micro-batches, by a cost that needs no model.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>

#include "commands/pack_options.hpp"
#include "commands/packed_tables.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// The cost of each pack: the sum, over resources, of its load in millionths of the capacity.
template <std::size_t Resources>
std::vector<std::int64_t> pack_costs(const std::vector<loads<Resources>>& packs,
                                     const std::vector<std::int64_t>& capacity) {
  constexpr std::int64_t full = 1'000'000;
  std::vector<std::int64_t> costs;
  costs.reserve(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k) {
    wide_integer cost = 0;
    for (std::size_t r = 0; r < Resources; ++r)
      cost += wide_integer{packs[k][r]} * full / capacity[r];
    if (cost > std::numeric_limits<std::int64_t>::max())
      throw invalid_input("load of a pack", k, "beyond the capacity a trillion times",
                          "is too large to be given a cost");
    costs.push_back(static_cast<std::int64_t>(cost));
  }
  return costs;
}

/// The samples of each micro-batch: of each pack, or of each group of packs.
[[nodiscard]] grouping<std::uint32_t> samples_by_microbatch(const packs_file& file);

/// Assigns the packs to steps and ranks, in groups under sequence parallelism.
void assign_packs(const length_tables& tables, const pack_options& options, packed_tables& packed);

}  // namespace omnibal::cli
