// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/detail/makespan.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/detail/variance.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline joint_plan answer(const cut_plan& found, const makespan_measure& measure,
                                       std::size_t scenarios, stage_search& search) {
  if (found.cuts.empty()) return {.status = found.status, .why = search.explain()};
  const wide_integer denominator = measure.denominator(scenarios);
  return {.status = found.status,
          .objective = reduced(found.value, denominator, "makespan"),
          .bound = reduced(found.bound, denominator, "makespan"),
          .plan = search.table().plan_of(found.cuts)};
}

[[nodiscard]] inline objective_and_cuts plan_by_recurrence(const pipeline_problem& problem,
                                                           plan_objective objective,
                                                           stage_search& search,
                                                           std::int64_t bottleneck) {
  switch (objective) {
    case plan_objective::closed_form:
      return plan_for_closed_form(search, bottleneck, problem.schedule.microbatches);
    case plan_objective::period: return plan_for_period(problem, search, bottleneck);
    case plan_objective::blocking_bottleneck:
      return plan_for_bottleneck(search, bottleneck, stage_weight::blocking_time);
    default: return plan_for_bottleneck(search, bottleneck, stage_weight::time);
  }
}

/// Plans with the stage costs of the search's table.
[[nodiscard]] inline joint_plan plan_with_table(const pipeline_problem& problem,
                                                plan_objective objective, stage_search& search,
                                                const joint_options& options) {
  if (objective == plan_objective::makespan) {
    const makespan_measure one{.of = makespan_measure::kind::worst};
    const step_times times(problem);
    return answer(plan_for_makespan(problem, times, one, search, options), one, 1, search);
  }
  objective_and_cuts best;
  if (objective == plan_objective::variance) {
    variance_plan found = plan_for_variance(search.table());
    if (found.found)
      best = {.objective = reduced(found.value, 1, "variance"), .cuts = std::move(found.cuts)};
  } else {
    const std::int64_t bottleneck = search.least_bottleneck(
        objective == plan_objective::blocking_bottleneck ? stage_weight::blocking_time
                                                         : stage_weight::time);
    if (bottleneck != stage_search::infeasible)
      best = plan_by_recurrence(problem, objective, search, bottleneck);
  }
  if (best.cuts.empty()) return {.why = search.explain()};
  return {.status = search_status::optimal,
          .objective = best.objective,
          .bound = best.objective,
          .plan = search.table().plan_of(best.cuts)};
}

/// If a knapsack reached its limit, a stage may cost less than in the table, so the optimum over
/// the table is no lower bound; the optimum without memory limits is.
inline void weaken(joint_plan& found, const rational& bound) {
  if (found.plan.cuts.empty()) return;
  found.bound = std::min(found.bound, bound);
  found.status = found.bound == found.objective ? search_status::optimal : search_status::stopped;
}

[[nodiscard]] inline joint_plan plan_stages(const pipeline_problem& problem,
                                            plan_objective objective,
                                            const joint_options& options) {
  stage_search search(problem, options.recompute);
  joint_plan found = plan_with_table(problem, objective, search, options);
  if (!search.table().proven())
    weaken(found, plan_stages(without_memory_limit(problem), objective, options).bound);
  return found;
}

/// The same for scenarios; `average` is the problem with their mean times.
[[nodiscard]] inline joint_plan plan_stages(const pipeline_problem& average,
                                            const step_times& times,
                                            const makespan_measure& measure,
                                            const joint_options& options) {
  stage_search search(average, options.recompute);
  joint_plan found = answer(plan_for_makespan(average, times, measure, search, options), measure,
                            times.scenarios(), search);
  if (!search.table().proven())
    weaken(found, plan_stages(without_memory_limit(average), times, measure, options).bound);
  return found;
}

}  // namespace detail

OMNIBAL_INLINE rational objective_of(const pipeline_problem& problem, const pipeline_plan& plan,
                                     plan_objective objective) {
  return objective_of(stage_costs(problem, plan), problem.schedule, objective);
}

OMNIBAL_INLINE std::vector<std::int64_t> scenario_makespans(const pipeline_problem& problem,
                                                            std::span<const scenario> scenarios,
                                                            const pipeline_plan& plan) {
  const detail::step_times times(problem, scenarios);
  detail::suffix_simulator simulator(problem.schedule, times);
  for (std::size_t j = 0; j + 1 < plan.cuts.size(); ++j) {
    std::int64_t extra = 0;
    for (std::size_t l = plan.cuts[j]; l < plan.cuts[j + 1]; ++l)
      extra += problem.layers[l].modes[plan.modes[l]].extra_time;
    times.stage(problem.schedule.device(j), plan.cuts[j], plan.cuts[j + 1], extra,
                simulator.durations(j));
    const pipeline_layer& last = problem.layers[plan.cuts[j + 1] - 1];
    simulator.set_latency(j, last.forward_latency, last.backward_latency);
  }
  std::vector<std::int64_t> makespans;
  for (std::size_t k = 0; k < scenarios.size(); ++k) makespans.push_back(simulator.run(0, k).all);
  return makespans;
}

OMNIBAL_INLINE joint_plan plan_jointly(const pipeline_problem& problem, plan_objective objective,
                                       const joint_options& options) {
  validate(problem);
  detail::require_microbatches_in_order(problem.schedule);
  if (const infeasibility why = impossible_partition(problem);
      why.reason != infeasibility::cause::none)
    return {.why = why};
  if (detail::weighs_devices(problem.schedule))
    return detail::plan_interleaved(problem, objective, options);
  return detail::plan_stages(problem, objective, options);
}

OMNIBAL_INLINE joint_plan plan_jointly(const pipeline_problem& problem,
                                       std::span<const scenario> scenarios,
                                       const makespan_measure& measure,
                                       const joint_options& options) {
  validate(problem);
  validate(problem, scenarios);
  validate(measure);
  detail::require_microbatches_in_order(problem.schedule);
  if (const infeasibility why = impossible_partition(problem);
      why.reason != infeasibility::cause::none)
    return {.why = why};
  const pipeline_problem average = on_average(problem, scenarios);
  const detail::step_times times(problem, scenarios);
  if (detail::weighs_devices(problem.schedule))
    return detail::plan_interleaved_makespan(average, times, measure, options);
  return detail::plan_stages(average, times, measure, options);
}

}  // namespace omnibal::inline v0
