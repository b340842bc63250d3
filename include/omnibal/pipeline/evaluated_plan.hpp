// SPDX-License-Identifier: Apache-2.0
/// @file
/// A plan under the name of who would make it, judged by the same exact simulation of time and
/// memory as everybody's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

struct named_plan {
  std::string name = {};
  bool fits = false;  ///< Whether every device stays within its memory.
  pipeline_plan plan = {};
  std::int64_t makespan = 0;  ///< Simulated, in the problem's unit; as if it fitted if it does not.
  std::int64_t bytes_over = 0;  ///< By how much the worst device overruns its memory; 0 if it fits.
};

/// The device that overruns its memory most, given the peak of each; `none` where all fit.
/// O(devices).
[[nodiscard]] inline infeasibility memory_overrun(const pipeline_problem& problem,
                                                  std::span<const std::int64_t> peaks) {
  infeasibility worst;
  if (problem.memory_limit.empty()) return worst;
  for (std::size_t device = 0; device < peaks.size(); ++device)
    if (const std::int64_t over =
            peaks[device] + problem.memory_margin - problem.memory_limit[device];
        over > worst.bytes_short)
      worst = {
          .reason = infeasibility::cause::memory, .binding_stage = device, .bytes_short = over};
  return worst;
}

/// Simulates a plan. Precondition: problem and plan are valid. O(p·m·v).
[[nodiscard]] inline named_plan judge(const pipeline_problem& problem, std::string name,
                                      pipeline_plan plan) {
  const std::vector<stage_cost> stages = stage_costs(problem, plan);
  const std::int64_t over = problem.memory_limit.empty()
                                ? 0
                                : memory_overrun(problem, peak_memory(problem, stages)).bytes_short;
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
