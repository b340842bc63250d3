// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which rank runs which packs in which step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>

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
                                                   std::uint32_t rank) const noexcept;

  /// The packs of all ranks in a step, rank after rank. Precondition: step < steps().
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step) const noexcept;

  friend bool operator==(const dispatch_plan&, const dispatch_plan&) = default;
};

/// A fingerprint of what the steps of a plan hold and what it drops, on every platform the same. It
/// does not say which rank runs what: plans that deal the same steps to other numbers of ranks
/// share it. O(packs · log(packs in a step)).
[[nodiscard]] std::uint64_t step_fingerprint(const dispatch_plan& plan);

/// Throws invalid_input unless the plan is sound, whoever wrote it: whole steps of at least one
/// rank, and a mask of as many places as there are packs, or none. O(size of the plan).
void validate(const dispatch_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/plan.ipp>
#endif
