// SPDX-License-Identifier: Apache-2.0
/// @file
/// A share of a linear cost.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0::detail {

/// A cost with every coefficient multiplied by the same share, at most 1.
[[nodiscard]] inline linear_cost share_of(const linear_cost& whole, double share) {
  const auto part = [&](std::int64_t coefficient) {
    return std::min(coefficient, static_cast<std::int64_t>(
                                     std::llround(static_cast<double>(coefficient) * share)));
  };
  return {part(whole.constant), part(whole.per_tile), part(whole.per_token),
          part(whole.per_squared_token)};
}

}  // namespace omnibal::inline v0::detail
