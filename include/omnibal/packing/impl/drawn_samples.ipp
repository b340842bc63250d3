// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/drawn_samples.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<std::uint32_t> times_drawn(std::span<const std::uint32_t> drawn,
                                                      std::size_t samples) {
  detail::expect_drawn_from(drawn, samples);
  std::vector<std::uint32_t> times(samples);
  for (const std::uint32_t id : drawn) ++times[id];
  return times;
}

}  // namespace omnibal::inline v0
