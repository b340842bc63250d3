// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/advice.hpp>
#include <omnibal/planner/plan_jointly.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline bool fits_memory(const pipeline_problem& problem) {
  const joint_result found =
      plan_jointly(problem, objectives::bottleneck{}, {.operation_limit = 10'000'000});
  return !found.plan.cuts.empty();
}

/// Fewer micro-batches never need more memory, so the most that fit are found by bisection.
[[nodiscard]] inline std::optional<std::size_t> most_microbatches_that_fit(
    pipeline_problem problem) {
  const auto runnable = [&](std::size_t microbatches) {
    return runnable_microbatches(problem.schedule, microbatches);
  };
  const auto fit = [&](std::size_t microbatches) {
    problem.schedule.microbatches = runnable(microbatches);
    return fits_memory(problem);
  };
  std::size_t high = problem.schedule.microbatches;
  std::size_t low = runnable(1);
  if (low >= high || !fit(low)) return std::nullopt;
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (fit(middle) ? low : high) = middle;
  }
  return runnable(low);
}

/// The problem on more devices, each with the least memory and the lowest speed of the given ones.
[[nodiscard]] inline std::optional<std::size_t> fewest_stages_that_fit(pipeline_problem problem) {
  if (problem.schedule.shares_devices()) return std::nullopt;
  const std::int64_t limit = *std::ranges::min_element(problem.memory_limit);
  const std::size_t most = std::min(problem.layers.size(), 2 * problem.schedule.stages + 4);
  while (problem.schedule.stages < most) {
    ++problem.schedule.stages;
    problem.memory_limit.push_back(limit);
    if (!problem.reserved.empty())
      problem.reserved.push_back(*std::ranges::max_element(problem.reserved));
    if (!problem.time_factor.empty()) problem.time_factor.push_back(problem.time_factor.back());
    if (fits_memory(problem)) return problem.schedule.stages;
  }
  return std::nullopt;
}

/// Of the layers with the most saved bytes in their minimum-memory mode, the first that makes the
/// problem fit by itself if it gets a full recompute mode.
[[nodiscard]] inline std::optional<std::size_t> layer_to_recompute(
    const pipeline_problem& problem) {
  constexpr std::size_t tries = 4;
  std::vector<std::int64_t> saved;
  for (const pipeline_layer& one : problem.layers)
    saved.push_back(std::ranges::min(one.modes, {}, &recompute_mode::saved_bytes).saved_bytes);
  std::vector<std::size_t> order(saved.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order,
                           [&](std::size_t a, std::size_t b) { return saved[a] > saved[b]; });
  for (std::size_t k = 0; k < std::min(tries, order.size()) && saved[order[k]] > 0; ++k) {
    pipeline_problem changed = problem;
    pipeline_layer& one = changed.layers[order[k]];
    one.modes.push_back({.extra_time = one.forward_time, .transient_bytes = saved[order[k]]});
    if (fits_memory(changed)) return order[k];
  }
  return std::nullopt;
}

}  // namespace detail

OMNIBAL_INLINE fit_advice advise(const pipeline_problem& problem, const infeasibility& why) {
  return {.bytes = why.bytes_short,
          .microbatches = detail::most_microbatches_that_fit(problem),
          .stages = detail::fewest_stages_that_fit(problem),
          .layer = detail::layer_to_recompute(problem)};
}

}  // namespace omnibal::inline v0
