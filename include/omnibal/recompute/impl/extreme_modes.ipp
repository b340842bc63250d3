// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE extreme_modes extreme_modes_of(const pipeline_layer& one) {
  extreme_modes found;
  for (std::size_t m = 1; m < one.modes.size(); ++m) {
    const recompute_mode& mode = one.modes[m];
    if (mode.saved_bytes < one.modes[found.minimum_memory].saved_bytes) found.minimum_memory = m;
    if (mode.extra_time < one.modes[found.minimum_time].extra_time) found.minimum_time = m;
  }
  return found;
}

OMNIBAL_INLINE std::int64_t activation_peak(std::span<const pipeline_layer> layers,
                                            std::span<const std::size_t> modes,
                                            std::int64_t in_flight) {
  std::int64_t saved = 0;
  std::int64_t transient = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    saved += layers[l].modes[modes[l]].saved_bytes;
    transient = std::max(transient, layers[l].modes[modes[l]].transient_bytes);
  }
  return in_flight * saved + transient;
}

}  // namespace omnibal::inline v0
