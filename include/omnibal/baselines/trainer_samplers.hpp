// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baselines of dispatch: assignment of packs to steps and ranks without balancing, as trainers'
/// samplers do it. Both assign every pack. The balanced assignment is in dispatch/dispatch.hpp.
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// The size of a step.
struct baseline_options {
  std::uint32_t ranks = 1;
  std::uint32_t microbatches = 1;  ///< Packs per rank in a full step.
};

/// Packs in order: each step takes the next ranks · microbatches of them, each rank the next share;
/// a short last step is divided over the ranks. Throws invalid_input if an option is 0. O(packs).
[[nodiscard]] dispatch_plan dispatch_in_order(std::uint32_t packs, const baseline_options& options);

/// The sampler of the OmniBal paper: rank r owns the r-th contiguous share of the packs and runs it
/// in order. If the packer emits full packs first, the last ranks get the underfull ones. (The
/// original drops the remainder; here ranks with one pack more run it in the last step.) Throws
/// invalid_input if an option is 0. O(packs).
[[nodiscard]] dispatch_plan dispatch_contiguous_shards(std::uint32_t packs,
                                                       const baseline_options& options);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/trainer_samplers.ipp>
#endif
