// SPDX-License-Identifier: Apache-2.0
/// @file
/// The least time of all layers, from which bounds on whole plans follow.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0::detail {

/// Forward plus backward of all layers with their minimum-time modes on the fastest device, rounded
/// once: at most the sum of the stages' times in any plan. O(layers + stages).
[[nodiscard]] inline std::int64_t least_whole_time(const pipeline_problem& problem) {
  stage_cost whole;
  for (const pipeline_layer& one : problem.layers) {
    std::int64_t extra = std::numeric_limits<std::int64_t>::max();
    for (const recompute_mode& mode : one.modes) extra = std::min(extra, mode.extra_time);
    whole.forward_time += one.forward_time;
    whole.backward_time += one.backward_time + extra;
    whole.weight_gradient_time += one.weight_gradient_time;
  }
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (std::size_t device = 0; device < problem.schedule.stages; ++device) {
    stage_cost scaled = whole;
    scale_times(scaled, problem.factor(device), problem.schedule.splits_backward());
    least = std::min(least, scaled.time());
  }
  return least;
}

}  // namespace omnibal::inline v0::detail
