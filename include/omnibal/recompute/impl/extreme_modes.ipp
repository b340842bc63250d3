// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE extreme_modes extreme_modes_of(const pipeline_layer& one) {
  const auto bytes_first = [](const recompute_mode& mode) {
    return std::tuple(mode.saved_bytes, mode.extra_time, mode.transient_bytes,
                      mode.saved_for_weight_gradient);
  };
  const auto time_first = [](const recompute_mode& mode) {
    return std::tuple(mode.extra_time, mode.saved_bytes, mode.transient_bytes,
                      mode.saved_for_weight_gradient);
  };
  const auto least = [&](const auto& measure) {
    return static_cast<std::size_t>(std::ranges::min_element(one.modes, {}, measure) -
                                    one.modes.begin());
  };
  return {.minimum_memory = least(bytes_first), .minimum_time = least(time_first)};
}

OMNIBAL_INLINE std::size_t bare_mode(const pipeline_layer& one) {
  return mode_of_kind(one.modes, recompute_kind::none).value_or(extreme_modes_of(one).minimum_time);
}

OMNIBAL_INLINE std::size_t full_mode(const pipeline_layer& one) {
  return mode_of_kind(one.modes, recompute_kind::full)
      .value_or(extreme_modes_of(one).minimum_memory);
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
