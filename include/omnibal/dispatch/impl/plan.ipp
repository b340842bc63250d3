// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::span<const std::uint8_t> dispatch_plan::real(
    std::uint64_t step, std::uint32_t rank) const noexcept {
  if (mask.empty()) return {};
  const auto offsets = groups.offsets().subspan(step * ranks + rank, 2);
  return std::span(mask).subspan(offsets[0], offsets[1] - offsets[0]);
}

OMNIBAL_INLINE std::span<const std::uint32_t> dispatch_plan::packs(
    std::uint64_t step) const noexcept {
  const std::uint64_t first = groups.offsets()[step * ranks];
  return groups.indices().subspan(first, groups.offsets()[(step + 1) * ranks] - first);
}

OMNIBAL_INLINE std::uint64_t step_fingerprint(const dispatch_plan& plan) {
  hash_stream hash;
  add_to_hash(hash, plan.steps());
  std::vector<std::pair<std::uint32_t, std::uint8_t>> step;
  for (std::uint64_t k = 0; k < plan.steps(); ++k) {
    step.clear();
    const std::uint64_t first = plan.groups.offsets()[k * plan.ranks];
    for (const std::uint32_t pack : plan.packs(k))
      step.emplace_back(pack, plan.mask.empty() ? 1 : plan.mask[first + step.size()]);
    std::sort(step.begin(), step.end());
    add_to_hash(hash, step.size());
    for (const auto& [pack, real] : step) add_to_hash(hash, 2 * std::uint64_t{pack} + real);
  }
  add_to_hash(hash, plan.dropped);
  return hash.value();
}

OMNIBAL_INLINE void validate(const dispatch_plan& plan) {
  if (plan.ranks == 0) throw invalid_input("plan ranks", 0, "must be at least 1");
  if (plan.groups.size() % plan.ranks != 0)
    throw invalid_input("plan groups", plan.groups.size(),
                        "must be as many in every step as ranks");
  if (!plan.mask.empty() && plan.mask.size() != plan.groups.indices().size())
    throw invalid_input("plan mask", plan.mask.size(), "entries must be as many as packs in steps");
}

}  // namespace omnibal::inline v0
