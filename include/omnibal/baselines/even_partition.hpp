// SPDX-License-Identifier: Apache-2.0
/// @file
/// The partition of trainers that do not search: equal shares of something each layer has, one
/// for a count of layers, its parameters for parameter balance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// Cuts nearest to equal shares of `weights` (one a layer, none negative), each part non-empty.
/// Throws invalid_input when there are fewer layers than parts. O(n).
[[nodiscard]] inline std::vector<std::size_t> partition_evenly(
    std::span<const std::int64_t> weights, std::size_t parts) {
  if (parts == 0) throw invalid_input("parts", parts, "must be at least 1");
  if (weights.size() < parts)
    throw invalid_input("parts", parts,
                        "must not be more than the layers, " + std::to_string(weights.size()));
  return greedy_anchor(weights, parts);
}

}  // namespace omnibal::inline v0
