// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE evaluated_plan evaluate_plan(const pipeline_problem& problem, std::string name,
                                            pipeline_plan plan) {
  const plan_evaluation result = evaluate(problem, plan);
  return {.name = std::move(name),
          .fits = result.fits(),
          .plan = std::move(plan),
          .makespan = result.makespan,
          .bytes_over = result.why.bytes_short};
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
