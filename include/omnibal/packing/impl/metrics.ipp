// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/packing/metrics.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<std::uint32_t> pack_sizes(const grouping<std::uint32_t>& packs) {
  std::vector<std::uint32_t> sizes;
  sizes.reserve(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k)
    sizes.push_back(static_cast<std::uint32_t>(packs[k].size()));
  return sizes;
}

}  // namespace omnibal::inline v0
