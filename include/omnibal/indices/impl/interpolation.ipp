// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/interpolation.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

OMNIBAL_INLINE void interpolate_patches(const laid_images& images, std::int64_t side,
                                        bool align_corners, interpolation_mode mode,
                                        std::span<std::int64_t> indices, std::span<float> weights) {
  detail::require_at_least(side, 1, "side");
  // Beyond, float32 does not tell neighbouring taps apart.
  if (side > 1 << 23) throw invalid_input("side", side, "must be at most 8388608");
  const interpolation_of taps{images.row(), side, align_corners, mode};
  const auto each = static_cast<std::size_t>(taps.taps() * taps.taps());
  const auto entries = static_cast<std::size_t>(images.patches()) * each;
  detail::require_size(indices, entries, "indices");
  detail::require_size(weights, entries, "weights");
  const auto split = [&](std::int64_t entry, auto value) {
    const auto number = static_cast<std::int64_t>(each);
    return value(entry / number, static_cast<int>(entry % number));
  };
  detail::tabulate(indices, [&](std::int64_t entry) {
    return split(entry, [&](std::int64_t patch, int i) { return taps.index(patch, i); });
  });
  detail::tabulate(weights, [&](std::int64_t entry) {
    return split(entry, [&](std::int64_t patch, int i) { return taps.weight_at(patch, i); });
  });
}

}  // namespace omnibal::inline v0::indices
