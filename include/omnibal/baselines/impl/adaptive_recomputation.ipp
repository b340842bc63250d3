// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE recompute_result choose_recomputation_adaptively(
    std::span<const pipeline_layer> layers, std::int64_t in_flight, std::int64_t budget) {
  std::vector<std::size_t> modes;
  std::vector<std::size_t> minimum_time;
  for (const pipeline_layer& one : layers) {
    const extreme_modes found = extreme_modes_of(one);
    modes.push_back(found.minimum_memory);
    minimum_time.push_back(found.minimum_time);
  }
  const std::int64_t least = activation_peak(layers, modes, in_flight);
  if (least > budget) return {.status = search_status::infeasible, .bytes_short = least - budget};

  std::vector<std::size_t> order(layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto saved = [&](std::size_t l) -> wide_integer {
    return layers[l].modes[modes[l]].extra_time - layers[l].modes[minimum_time[l]].extra_time;
  };
  const auto cost = [&](std::size_t l) -> wide_integer {
    return layers[l].modes[minimum_time[l]].saved_bytes - layers[l].modes[modes[l]].saved_bytes;
  };
  std::ranges::stable_sort(order, [&](std::size_t left, std::size_t right) {
    return saved(left) * cost(right) > saved(right) * cost(left);
  });
  std::vector<std::size_t> chosen = modes;
  for (const std::size_t l : order) {
    chosen[l] = minimum_time[l];
    if (activation_peak(layers, chosen, in_flight) > budget) chosen[l] = modes[l];
  }
  recompute_result choice{.status = search_status::feasible, .modes = chosen};
  for (std::size_t l = 0; l < layers.size(); ++l)
    choice.objective += layers[l].modes[chosen[l]].extra_time;
  return choice;
}

}  // namespace omnibal::inline v0
