// SPDX-License-Identifier: Apache-2.0
/// @file
/// The peak activation memory of a choice of recompute modes, and the two extreme modes of a layer:
/// minimum-memory and minimum-time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Indices of modes of a layer; the first of equals.
struct extreme_modes {
  std::size_t minimum_memory = 0;  ///< Saves the fewest bytes per micro-batch in flight.
  std::size_t minimum_time = 0;    ///< Adds the least time.
};

/// The extreme modes of a layer. O(modes). Precondition: the layer has a mode.
[[nodiscard]] extreme_modes extreme_modes_of(const pipeline_layer& one);

/// Peak activation bytes of a stage whose layers are in these modes: in_flight · Σ saved plus the
/// largest transient. O(layers). Precondition: one mode per layer.
[[nodiscard]] std::int64_t activation_peak(std::span<const pipeline_layer> layers,
                                           std::span<const std::size_t> modes,
                                           std::int64_t in_flight);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/recompute/impl/extreme_modes.ipp>
#endif
