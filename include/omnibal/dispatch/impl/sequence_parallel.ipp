// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE grouping<std::uint32_t> samples_of_groups(const grouping<std::uint32_t>& groups,
                                                         const grouping<std::uint32_t>& packs) {
  grouping<std::uint32_t> samples;
  samples.reserve(groups.size(), packs.indices().size());
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (const std::uint32_t pack : groups[group]) {
      if (pack >= packs.size())
        throw invalid_input("groups", group, pack, "names a pack beyond the last");
      for (const std::uint32_t id : packs[pack]) samples.push_back(id);
    }
    samples.close_group();
  }
  return samples;
}

OMNIBAL_INLINE dispatch_plan plan_of_packs(const dispatch_plan& plan,
                                           const grouping<std::uint32_t>& groups) {
  validate(plan);
  dispatch_plan packs{.ranks = plan.ranks};
  const auto append_group = [&](std::uint32_t group, auto append) {
    if (group >= groups.size()) throw invalid_input("plan", group, "names a group beyond the last");
    for (const std::uint32_t pack : groups[group]) append(pack);
  };
  std::size_t place = 0;
  for (std::size_t rank = 0; rank < plan.groups.size(); ++rank) {
    for (const std::uint32_t group : plan.groups[rank]) {
      append_group(group, [&](std::uint32_t pack) {
        packs.groups.push_back(pack);
        if (!plan.mask.empty()) packs.mask.push_back(plan.mask[place]);
      });
      ++place;
    }
    packs.groups.close_group();
  }
  for (const std::uint32_t group : plan.dropped)
    append_group(group, [&](std::uint32_t pack) { packs.dropped.push_back(pack); });
  std::sort(packs.dropped.begin(), packs.dropped.end());
  return packs;
}

}  // namespace omnibal::inline v0
