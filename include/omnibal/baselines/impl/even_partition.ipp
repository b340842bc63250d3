// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<std::size_t> partition_evenly(std::span<const std::int64_t> weights,
                                                         std::size_t parts) {
  if (parts == 0) throw invalid_input("parts", parts, "must be at least 1");
  if (weights.size() < parts)
    throw invalid_input("parts", parts,
                        "must not be more than the layers, " + std::to_string(weights.size()));
  return greedy_anchor(weights, parts);
}

}  // namespace omnibal::inline v0
