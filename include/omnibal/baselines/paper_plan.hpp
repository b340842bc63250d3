// SPDX-License-Identifier: Apache-2.0
/// @file
/// The paper's plan for a problem of plain numbers, as a baseline: partitions near a greedy anchor
/// by least variance (baselines/anchor_partition.hpp), each with adaptive recomputation
/// (baselines/adaptive_recomputation.hpp), the best few tried out under the simulator.
/// Source: OmniBal, arXiv 2407.20761. Its code was not published.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/assign_modes.hpp>

namespace omnibal::inline v0 {

struct published_options {
  std::size_t radius = 2;  ///< To start with; doubled until some partition fits.
  std::size_t top = 10;    ///< How many partitions are simulated.
};

namespace detail {

/// The plan of these cuts with every stage's modes by the paper's rule, if they fit.
[[nodiscard]] inline std::optional<pipeline_plan> with_adaptive_recomputation(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  pipeline_plan plan{.cuts = cuts};
  const static_memory fixed(problem);
  const std::span<const layer> layers(problem.layers);
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    const bool bounded = !problem.memory_limit.empty();
    const std::int64_t budget =
        problem.budget(s) - (bounded ? fixed.bytes({cuts[s], cuts[s + 1]}) : 0);
    const recompute_choice choice = choose_recomputation_adaptively(
        layers.subspan(cuts[s], cuts[s + 1] - cuts[s]),
        static_cast<std::int64_t>(in_flight(problem.schedule, s)), budget);
    if (!choice.has_modes()) return std::nullopt;
    plan.modes.insert(plan.modes.end(), choice.modes.begin(), choice.modes.end());
  }
  return plan;
}

/// The fastest under the simulator of the plans of these partitions that fit.
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

/// Partitions near the anchor that keep the rules, in the first radius in which there are any: one
/// in which there are none is no use to anybody, and its user would widen it.
[[nodiscard]] inline std::vector<anchored_partition> published_candidates(
    const pipeline_problem& problem, const published_options& options, candidate_memory memory) {
  std::vector<std::int64_t> forward;
  std::vector<std::int64_t> latency;
  for (const layer& one : problem.layers) {
    forward.push_back(one.forward_time);
    latency.push_back(one.forward_latency + one.backward_latency);
  }
  const cut_rules rules(problem);
  stage_memory memory_of(problem);
  const auto allows = [&](std::size_t stage, std::size_t begin, std::size_t end) {
    return rules.allows(begin, end) &&
           (memory == candidate_memory::ignored || memory_of.overrun(stage, begin, end) <= 0);
  };
  for (std::size_t radius = options.radius;; radius = std::max<std::size_t>(1, 2 * radius)) {
    auto candidates = anchored_partitions(forward, latency, problem.schedule.stages,
                                          {.radius = radius, .top = options.top, .allows = allows});
    if (!candidates.empty() || radius >= forward.size()) return candidates;
  }
}

}  // namespace detail

/// The published plan; nothing where none of its partitions fits. Throws invalid_input for
/// problems out of range and for schedules the paper does not treat: GPipe and 1F1B are left.
[[nodiscard]] inline std::optional<pipeline_plan> plan_as_published(
    const pipeline_problem& problem, const published_options& options = {}) {
  validate(problem);
  if (problem.schedule.kind != schedule_kind::gpipe &&
      problem.schedule.kind != schedule_kind::one_forward_one_backward)
    throw invalid_input("schedule", to_string(problem.schedule.kind),
                        "is not planned by the published method; use 1f1b or gpipe");
  return detail::fastest_with_adaptive_recomputation(
      problem, detail::published_candidates(problem, options, detail::candidate_memory::must_fit));
}

}  // namespace omnibal::inline v0
