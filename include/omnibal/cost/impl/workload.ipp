// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::int64_t to_fixed_point(double value, std::string_view field) {
  const double scaled = value * static_cast<double>(std::int64_t{1} << fixed_point_bits) + 0.5;
  if (!(scaled >= 0.0) || scaled >= 9.2e18)
    throw invalid_input(field, std::to_string(value), "must be finite, not negative and not huge");
  return static_cast<std::int64_t>(scaled);
}

}  // namespace omnibal::inline v0
