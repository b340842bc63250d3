// SPDX-License-Identifier: Apache-2.0
/// @file
/// The largest differencing method of number partitioning: divides numbers into parts of nearly
/// equal sums. Rebalancing uses it when it is better than the local search from the current
/// placement. Source: Karmarkar and Karp, "The differencing method of set partitioning", 1982; for
/// several parts as in Michiels et al., "Performance ratios for the differencing method", 2003.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Divides numbers into parts and returns the part of each. Every number starts as a partition of
/// its own, with the number in one part and the others empty. Repeatedly, the two partitions with
/// the greatest differences between largest and smallest sum are merged, the largest parts of one
/// with the smallest parts of the other, until one partition is left. Preconditions: at least one
/// part, fewer than 2³² − 1 numbers, none negative, with a sum below 2⁶³. O(n · (log n + parts ·
/// log parts)); empty parts take no time and no memory.
[[nodiscard]] std::vector<std::uint32_t> differencing_parts(std::span<const std::int64_t> numbers,
                                                            std::uint32_t parts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/differencing.ipp>
#endif
