// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dataset/sample_keys.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE grouping<std::uint32_t> renumber_samples(const grouping<std::uint32_t>& packs,
                                                        std::span<const std::uint32_t> places) {
  grouping<std::uint32_t> renumbered;
  renumbered.reserve(packs.size(), packs.indices().size());
  for (std::size_t pack = 0; pack < packs.size(); ++pack) {
    for (const std::uint32_t sample : packs[pack]) {
      if (sample >= places.size())
        throw invalid_input("packs", pack, sample,
                            "names a sample beyond the last of " + std::to_string(places.size()));
      renumbered.push_back(places[sample]);
    }
    renumbered.close_group();
  }
  return renumbered;
}

}  // namespace omnibal::inline v0
