// SPDX-License-Identifier: Apache-2.0
/// @file
/// The candidate partitions of the OmniBal paper's method, and its recomputation of each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/paper_options.hpp>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/assign_modes.hpp>

namespace omnibal::inline v0::detail {

/// The plan with these cuts and every stage's modes by the paper's rule, if it fits.
[[nodiscard]] inline std::optional<pipeline_plan> with_adaptive_recomputation(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  pipeline_plan plan{.cuts = cuts};
  const static_memory fixed(problem);
  const std::span<const pipeline_layer> layers(problem.layers);
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    const bool bounded = !problem.memory_limit.empty();
    const std::int64_t budget =
        problem.budget(s) - (bounded ? fixed.bytes({cuts[s], cuts[s + 1]}) : 0);
    const recompute_result choice = choose_recomputation_adaptively(
        layers.subspan(cuts[s], cuts[s + 1] - cuts[s]),
        static_cast<std::int64_t>(in_flight(problem.schedule, s)), budget);
    if (!choice.has_modes()) return std::nullopt;
    plan.modes.insert(plan.modes.end(), choice.modes.begin(), choice.modes.end());
  }
  return plan;
}

/// The plan of least simulated makespan for these partitions among those that fit.
[[nodiscard]] inline std::optional<pipeline_plan> fastest_with_adaptive_recomputation(
    const pipeline_problem& problem, std::span<const anchored_partition> candidates) {
  std::optional<pipeline_plan> best;
  std::int64_t least = 0;
  for (const anchored_partition& candidate : candidates) {
    const auto plan = with_adaptive_recomputation(problem, candidate.cuts);
    if (!plan) continue;
    const std::int64_t time = makespan(problem.schedule, stage_costs(problem, *plan));
    if (best && time >= least) continue;
    best = plan;
    least = time;
  }
  return best;
}

enum class candidate_memory { must_fit, ignored };

/// Partitions near the anchor that satisfy the constraints. The radius is doubled until
/// there are any, as a user of the paper's method would do.
[[nodiscard]] inline std::vector<anchored_partition> paper_candidates(
    const pipeline_problem& problem, const paper_options& options, candidate_memory memory) {
  std::vector<std::int64_t> forward;
  std::vector<std::int64_t> latency;
  for (const pipeline_layer& one : problem.layers) {
    forward.push_back(one.forward_time);
    latency.push_back(one.forward_latency + one.backward_latency);
  }
  const partition_constraints rules(problem);
  if (!rules.allow_partition(problem.schedule.stages)) return {};
  stage_memory memory_of(problem);
  const auto allows = [&](std::size_t stage, std::size_t begin, std::size_t end) {
    return rules.allows(stage, begin, end) &&
           (memory == candidate_memory::ignored || memory_of.overrun(stage, begin, end) <= 0);
  };
  for (std::size_t radius = options.radius;; radius = std::max<std::size_t>(1, 2 * radius)) {
    auto candidates = anchored_partitions(forward, latency, problem.schedule.stages,
                                          {.radius = radius, .top = options.top, .allows = allows});
    if (!candidates.empty() || radius >= forward.size()) return candidates;
  }
}

}  // namespace omnibal::inline v0::detail
