// SPDX-License-Identifier: Apache-2.0
/// @file
/// The bytes that parameters need on a rank: weights, gradients and the optimizer's sharded state.
#pragma once

#include <cstddef>
#include <cstdint>

#include <omnibal/comm/sharded_step.hpp>
#include <omnibal/comm/tensor.hpp>

#include "flat_stage.hpp"

namespace omnibal::trainer {

/// Bytes of a layer's weights in floats and, where it computes with others, in these.
[[nodiscard]] constexpr std::int64_t weight_bytes(std::int64_t parameters,
                                                  element_type numbers) noexcept {
  return parameters * (numbers == element_type::f32 ? 4 : 6);
}

/// What the optimizer keeps of a parameter: summed gradient, updated value and two moments.
inline constexpr std::int64_t optimizer_bytes = 16;

/// Bytes of a layer's gradients, and of its share of what the optimizer keeps, which is in whole
/// blocks.
[[nodiscard]] constexpr std::int64_t training_bytes(std::int64_t parameters,
                                                    std::size_t replicas) noexcept {
  const auto ranks = static_cast<std::int64_t>(replicas);
  const std::size_t padded = shard_blocks(static_cast<std::size_t>(parameters)) * shard_block;
  const std::int64_t kept = optimizer_bytes * static_cast<std::int64_t>(padded);
  return 4 * parameters + (kept + ranks - 1) / ranks;
}

/// What the largest shard of a stage may have beyond its share: blocks are not divided.
[[nodiscard]] constexpr std::int64_t undivided_bytes(std::size_t replicas) noexcept {
  return replicas > 1 ? optimizer_bytes * static_cast<std::int64_t>(shard_block) : 0;
}

}  // namespace omnibal::trainer
