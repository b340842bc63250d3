// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE load_axis::load_axis(std::size_t resource, std::int64_t capacity, std::uint64_t unit)
    : resource_(resource),
      unit_(unit),
      size_(static_cast<std::uint32_t>(static_cast<std::uint64_t>(capacity) / unit)) {
  if (capacity >= most_tabled) return;
  whole_units_.resize(static_cast<std::size_t>(capacity) + 1);
  for (std::size_t load = 0; load < whole_units_.size(); ++load)
    whole_units_[load] = static_cast<std::uint16_t>(load / unit);
}

OMNIBAL_INLINE load_axis make_axis(const resource_estimate& seen, std::int64_t capacity,
                                   std::uint64_t most) {
  const auto whole = static_cast<std::uint64_t>(capacity);
  const bool exact = seen.divisor != 0 && whole / seen.divisor <= most;
  return {seen.resource, capacity, exact ? seen.divisor : whole / most + (whole % most != 0)};
}

}  // namespace omnibal::inline v0::detail
