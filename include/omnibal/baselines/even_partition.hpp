// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baseline: the partition of trainers that do not search, into equal shares of a weight per layer:
/// 1 for equal numbers of layers, the parameters for balanced parameters.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Cuts nearest to equal shares of `weights` (one per layer, none negative), each part non-empty.
/// Throws invalid_input if `parts` is 0 or there are fewer layers than parts. O(n).
[[nodiscard]] std::vector<std::size_t> partition_evenly(std::span<const std::int64_t> weights,
                                                        std::size_t parts);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/baselines/impl/even_partition.ipp>
#endif
