// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which rank runs which packs in which step.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>

namespace omnibal::inline v0 {

/// Packs dealt to steps, ranks and micro-batches.
struct dispatch_plan {
  std::uint32_t ranks = 1;
  /// Group step · ranks + rank holds the packs of that rank's micro-batches, in order.
  grouping<std::uint32_t> groups = {};
  /// Packs in no step (last_step_policy::drop), ascending.
  std::vector<std::uint32_t> dropped = {};
  /// One entry an element of groups.indices(): 1 for a real pack, 0 for a repeated one. Empty
  /// where no pack is repeated.
  std::vector<std::uint8_t> mask = {};

  [[nodiscard]] std::uint64_t steps() const noexcept { return groups.size() / ranks; }

  /// The packs of a rank's micro-batches in a step. Precondition: step < steps(), rank < ranks.
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step,
                                                     std::uint32_t rank) const noexcept {
    return groups[step * ranks + rank];
  }

  /// Which of them are real (1) or repeated (0); empty where no pack of the plan is repeated.
  [[nodiscard]] std::span<const std::uint8_t> real(std::uint64_t step,
                                                   std::uint32_t rank) const noexcept {
    if (mask.empty()) return {};
    const auto offsets = groups.offsets().subspan(step * ranks + rank, 2);
    return std::span(mask).subspan(offsets[0], offsets[1] - offsets[0]);
  }

  /// The packs of all ranks in a step, rank after rank. Precondition: step < steps().
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step) const noexcept {
    const std::uint64_t first = groups.offsets()[step * ranks];
    return groups.indices().subspan(first, groups.offsets()[(step + 1) * ranks] - first);
  }

  friend bool operator==(const dispatch_plan&, const dispatch_plan&) = default;
};

/// A fingerprint of what the steps of a plan hold and what it drops, on every platform the same. It
/// does not say which rank runs what: plans that deal the same steps to other numbers of ranks
/// share it. O(packs · log(packs in a step)).
[[nodiscard]] inline std::uint64_t step_fingerprint(const dispatch_plan& plan) {
  hash_stream hash;
  add_to_hash(hash, plan.steps());
  std::vector<std::pair<std::uint32_t, std::uint8_t>> step;
  for (std::uint64_t k = 0; k < plan.steps(); ++k) {
    step.clear();
    const std::uint64_t first = plan.groups.offsets()[k * plan.ranks];
    for (const std::uint32_t pack : plan.packs(k))
      step.emplace_back(pack, plan.mask.empty() ? 1 : plan.mask[first + step.size()]);
    std::ranges::sort(step);
    add_to_hash(hash, step.size());
    for (const auto& [pack, real] : step) add_to_hash(hash, 2 * std::uint64_t{pack} + real);
  }
  add_to_hash(hash, plan.dropped);
  return hash.value();
}

namespace detail {

/// What a plan must be whoever wrote it.
inline void validate(const dispatch_plan& plan) {
  if (plan.ranks == 0) throw invalid_input("plan ranks", 0, "must be at least 1");
  if (plan.groups.size() % plan.ranks != 0)
    throw invalid_input("plan groups", plan.groups.size(),
                        "must be as many in every step as ranks");
  if (!plan.mask.empty() && plan.mask.size() != plan.groups.indices().size())
    throw invalid_input("plan mask", plan.mask.size(), "entries must be as many as packs in steps");
}

}  // namespace detail

}  // namespace omnibal::inline v0
