// SPDX-License-Identifier: Apache-2.0
/// @file
/// The largest differencing method: numbers into parts of nearly even sums, wherever the numbers
/// are now. Rebalancing starts from it where its own search found nothing as even.
/// Source: Karmarkar and Karp, "The differencing method of set partitioning", 1982; for several
/// parts as in Michiels et al., "Performance ratios for the differencing method", 2003.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Splits numbers into parts and returns the part of each. Every number starts as a partition of
/// its own: one part holds it, the others hold nothing. The two partitions whose largest and
/// smallest sums lie farthest apart are merged, the largest parts of one with the smallest of the
/// other, until one partition is left. Preconditions: at least one part, fewer than 2³² − 1
/// numbers, none negative, with a sum below 2⁶³. O(n · (log n + parts · log parts)); parts that
/// hold nothing take no time and no room.
[[nodiscard]] std::vector<std::uint32_t> differencing_parts(std::span<const std::int64_t> numbers,
                                                            std::uint32_t parts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/rebalance/impl/differencing.ipp>
#endif
