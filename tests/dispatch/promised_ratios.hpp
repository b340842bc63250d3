// SPDX-License-Identifier: Apache-2.0
/// @file
/// What is promised of ranks whose packs come from the balanced packer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/packing/balanced.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

namespace omnibal::test {

struct promise {
  loads<2> capacity;
  std::uint32_t ranks;
  double most;  ///< that the slowest rank of full steps may cost, as a multiple of the mean
};

inline void check_promise(const length_table& table, const promise& promised) {
  const loads<2> cost{12'000'000, 38'600};  // MFLOP of a tile and a token of InternVL 6 + 20 B
  const auto packs = pack_balanced(table, {.capacity = promised.capacity, .cost = cost}).packs;
  const auto pack_cost = [&](std::size_t pack) {
    std::int64_t squares = 0;
    std::int64_t sum = 0;
    for (const std::uint32_t id : packs[pack]) {
      const auto [tiles, tokens] = table[id];
      sum += cost[0] * tiles + cost[1] * tokens;
      squares += tokens * tokens;
    }
    return sum + squares * 59 / 100;
  };
  std::vector<std::int64_t> costs(packs.size());
  for (std::size_t pack = 0; pack < packs.size(); ++pack) costs[pack] = pack_cost(pack);
  const auto plan =
      dispatch_packs(packs.size(), pack_cost, {.ranks = promised.ranks, .microbatches = 8});
  CHECK(full_steps_cost_ratio<std::int64_t>(plan, costs) <= promised.most);
  // The short last step cannot be even: 408 packs on 64 ranks.
  CHECK(cost_ratio<std::int64_t>(plan, costs) <=
        std::max(promised.most, cost_ratio_bound<std::int64_t>(plan, costs) + 0.001));
}

}  // namespace omnibal::test
