// SPDX-License-Identifier: Apache-2.0
/// @file
/// Serialization of dispatch plans: written once, then read on every rank or in a later run. A plan
/// refers to packs by number, so its bytes include a fingerprint of the inputs that it was made
/// for, and reading fails for other inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// The bytes of a plan: version 1, little-endian, with a checksum. `inputs` is a fingerprint of
/// what the plan was made for, for example table_fingerprint, or plan_hash of packs and costs.
/// O(packs).
[[nodiscard]] std::vector<std::byte> to_bytes(const dispatch_plan& plan, std::uint64_t inputs);

/// The plan from its bytes. Throws invalid_input when they are damaged, of another version or not a
/// plan, and when `inputs` is not the fingerprint with which they were written. O(packs).
[[nodiscard]] dispatch_plan dispatch_plan_from_bytes(std::span<const std::byte> bytes,
                                                     std::uint64_t inputs);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/serialize.ipp>
#endif
