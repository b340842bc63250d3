// SPDX-License-Identifier: Apache-2.0
/// @file
/// A plan under the name of who would make it, judged by the same exact simulation of time and
/// memory as everybody's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

struct named_plan {
  std::string name = {};
  bool fits = false;  ///< Whether every device stays within its memory.
  pipeline_plan plan = {};
  std::int64_t makespan = 0;  ///< Simulated, in the problem's unit; as if it fitted if it does not.
  std::int64_t bytes_over = 0;  ///< By how much the worst device overruns its memory; 0 if it fits.
};

/// Simulates a plan. Precondition: problem and plan are valid. O(p·m·v).
[[nodiscard]] inline named_plan judge(const pipeline_problem& problem, std::string name,
                                      pipeline_plan plan) {
  const std::vector<stage_cost> stages = stage_costs(problem, plan);
  std::int64_t over = 0;
  if (!problem.memory_limit.empty()) {
    const std::vector<std::int64_t> peaks = peak_memory(problem, stages);
    for (std::size_t device = 0; device < peaks.size(); ++device)
      over = std::max(over, peaks[device] + problem.memory_margin - problem.memory_limit[device]);
  }
  return {.name = std::move(name),
          .fits = over == 0,
          .plan = std::move(plan),
          .makespan = makespan(problem.schedule, stages),
          .bytes_over = over};
}

/// The fastest of the plans that fit, or, if none does, the one that overruns least; the first of
/// equals. Preconditions: there is a plan; problem and plans are valid. O(plans · p·m·v).
[[nodiscard]] inline named_plan judge_best(const pipeline_problem& problem, const std::string& name,
                                           std::span<const pipeline_plan> plans) {
  named_plan best = judge(problem, name, plans.front());
  for (const pipeline_plan& plan : plans.subspan(1)) {
    named_plan next = judge(problem, name, plan);
    if (std::pair(next.bytes_over, next.makespan) < std::pair(best.bytes_over, best.makespan))
      best = std::move(next);
  }
  return best;
}

}  // namespace omnibal::inline v0
