// SPDX-License-Identifier: Apache-2.0
/// @file
/// The dispatch plan: which rank trains on which packs in which step. dispatch_packs makes one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>

namespace omnibal::inline v0 {

/// The assignment of packs to steps, ranks and micro-batches.
struct dispatch_plan {
  std::uint32_t ranks = 1;
  /// Group step · ranks + rank contains the packs of that rank's micro-batches, in order.
  grouping<std::uint32_t> groups = {};
  /// Packs in no step (last_step_policy::drop), ascending.
  std::vector<std::uint32_t> dropped = {};
  /// One entry per element of groups.indices(): 1 for a real pack, 0 for a repeated one. Empty when
  /// no pack is repeated.
  std::vector<std::uint8_t> mask = {};

  [[nodiscard]] std::uint64_t steps() const noexcept { return groups.size() / ranks; }

  /// The packs of a rank's micro-batches in a step. Precondition: step < steps(), rank < ranks.
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step,
                                                     std::uint32_t rank) const noexcept {
    return groups[step * ranks + rank];
  }

  /// Which of them are real (1) or repeated (0); empty when no pack of the plan is repeated.
  [[nodiscard]] std::span<const std::uint8_t> real(std::uint64_t step,
                                                   std::uint32_t rank) const noexcept;

  /// The packs of all ranks in a step, rank after rank. Precondition: step < steps().
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint64_t step) const noexcept;

  friend bool operator==(const dispatch_plan&, const dispatch_plan&) = default;
};

/// A fingerprint of the packs of each step and of the dropped packs, the same on every platform. It
/// does not depend on the ranks: plans with the same steps on different numbers of ranks have the
/// same fingerprint. O(packs · log(packs in a step)).
[[nodiscard]] std::uint64_t step_fingerprint(const dispatch_plan& plan);

/// Throws invalid_input unless the plan is consistent: whole steps of at least one rank, and a mask
/// with one entry per pack, or none. For plans from outside. O(size of the plan).
void validate(const dispatch_plan& plan);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/plan.ipp>
#endif
