// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/dispatch/microbatch_order.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE void list_places(std::span<const std::uint32_t> packs,
                                std::vector<std::pair<std::uint32_t, std::uint32_t>>& places) {
  places.clear();
  for (std::uint32_t k = 0; k < packs.size(); ++k) places.emplace_back(packs[k], k);
  std::sort(places.begin(), places.end());
}

}  // namespace omnibal::inline v0::detail
