// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE std::size_t packs_in_full_step(const dispatch_plan& plan) {
  std::size_t most = 0;
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    most = std::max(most, plan.packs(step).size());
  return most;
}

OMNIBAL_INLINE wide_integer least_slowest_rank(std::span<wide_integer> costs, std::uint32_t ranks) {
  if (costs.empty()) return 0;
  std::sort(costs.begin(), costs.end(), std::greater<>{});
  const auto sum_of = [](std::span<const wide_integer> some) {
    return std::accumulate(some.begin(), some.end(), wide_integer{0});
  };
  wide_integer least = (sum_of(costs) + ranks - 1) / ranks;
  const std::size_t share = std::max<std::size_t>(costs.size() / ranks, 1);
  least = std::max(least, costs[0] + sum_of(costs.last(share - 1)));
  for (std::size_t j = 1; j * ranks < costs.size(); ++j)
    least = std::max(least, sum_of(costs.subspan(j * ranks - j, j + 1)));
  return least;
}

}  // namespace omnibal::inline v0::detail
