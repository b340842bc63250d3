// SPDX-License-Identifier: Apache-2.0
/// @file
/// The peak activation memory of a choice of recompute modes, and the extreme modes of a layer:
/// minimum-memory and minimum-time, without and with full recomputation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Indices of modes of a layer. They do not depend on the order of the modes, unless two are equal.
struct extreme_modes {
  /// Saves the fewest bytes per micro-batch in flight; of these the one that adds the least time.
  std::size_t minimum_memory = 0;
  std::size_t minimum_time = 0;  ///< Adds the least time; of these the one that saves the fewest.
};

/// The extreme modes of a layer. O(modes). Precondition: the layer has a mode.
[[nodiscard]] extreme_modes extreme_modes_of(const pipeline_layer& one);

/// The index of the mode without recomputation: of that kind, otherwise the minimum-time mode.
/// O(modes). Precondition: the layer has a mode.
[[nodiscard]] std::size_t bare_mode(const pipeline_layer& one);

/// The index of the mode of full recomputation: of that kind, otherwise the minimum-memory mode.
/// O(modes). Precondition: the layer has a mode.
[[nodiscard]] std::size_t full_mode(const pipeline_layer& one);

/// Peak activation bytes of a stage whose layers are in these modes: in_flight · Σ saved plus the
/// largest transient. O(layers). Precondition: one mode per layer.
[[nodiscard]] std::int64_t activation_peak(std::span<const pipeline_layer> layers,
                                           std::span<const std::size_t> modes,
                                           std::int64_t in_flight);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/recompute/impl/extreme_modes.ipp>
#endif
