// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE infeasibility memory_overrun(const pipeline_problem& problem,
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

OMNIBAL_INLINE evaluated_plan evaluate_plan(const pipeline_problem& problem, std::string name,
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

OMNIBAL_INLINE evaluated_plan evaluate_best_plan(const pipeline_problem& problem,
                                                 const std::string& name,
                                                 std::span<const pipeline_plan> plans) {
  evaluated_plan best = evaluate_plan(problem, name, plans.front());
  for (const pipeline_plan& plan : plans.subspan(1)) {
    evaluated_plan next = evaluate_plan(problem, name, plan);
    if (std::pair(next.bytes_over, next.makespan) < std::pair(best.bytes_over, best.makespan))
      best = std::move(next);
  }
  return best;
}

}  // namespace omnibal::inline v0
