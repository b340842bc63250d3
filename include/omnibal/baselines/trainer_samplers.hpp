// SPDX-License-Identifier: Apache-2.0
/// @file
/// How packs are dealt where nobody balances: the baselines. Both deal every pack.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// How many packs a baseline deals to whom.
struct baseline_options {
  std::uint32_t ranks = 1;
  std::uint32_t microbatches = 1;  ///< Packs per rank in a full step.
};

/// Packs in order: a step takes the next ranks · microbatches of them, each rank the next share; a
/// short last step is spread over the ranks. O(packs).
[[nodiscard]] dispatch_plan dispatch_in_order(std::uint32_t packs, const baseline_options& options);

/// The published sampler: rank r owns the r-th contiguous share of the packs and runs it in order,
/// so that a packer which emits full packs first leaves the last ranks the underfull ones. (The
/// original drops the remainder; here ranks with a pack more run it in the last step.) O(packs).
[[nodiscard]] dispatch_plan dispatch_contiguous_shards(std::uint32_t packs,
                                                       const baseline_options& options);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/trainer_samplers.ipp>
#endif
