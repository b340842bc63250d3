// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search of an objective that has a recurrence over stages: the recurrence where every stage
/// has a device to itself, branch and bound over virtual stages elsewhere.
#pragma once

#include <algorithm>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/search_partitions.hpp>

namespace omnibal::inline v0::detail {

/// If a knapsack reached its limit, a stage may cost less than in the table, so the optimum over
/// the table is no lower bound; the optimum without memory limits is.
inline void weaken(joint_plan& found, const rational& bound) {
  if (found.plan.cuts.empty()) return;
  found.bound = std::min(found.bound, bound);
  found.status = found.bound == found.objective ? search_status::optimal : search_status::stopped;
}

/// The optimum over the table of stage costs, by `recurrence(problem, search)`, whose cuts are
/// empty if nothing fits.
template <typename Recurrence>
[[nodiscard]] joint_plan search_by_recurrence(const pipeline_problem& problem,
                                              const any_objective& objective,
                                              const joint_options& options,
                                              const Recurrence& recurrence) {
  if (weighs_devices(problem.schedule)) return search_partitions(problem, objective, options);
  stage_search search(problem, options.recompute);
  const objective_and_cuts best = recurrence(problem, search);
  if (best.cuts.empty()) return {.why = search.explain()};
  joint_plan found{.status = search_status::optimal,
                   .objective = best.objective,
                   .bound = best.objective,
                   .plan = search.table().plan_of(best.cuts)};
  if (!search.table().proven())
    weaken(
        found,
        search_by_recurrence(without_memory_limit(problem), objective, options, recurrence).bound);
  return found;
}

}  // namespace omnibal::inline v0::detail
