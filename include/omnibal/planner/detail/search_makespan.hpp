// SPDX-License-Identifier: Apache-2.0
/// @file
/// The plan of least simulated makespan, or of least mean, worst or CVaR of makespans over
/// scenarios, for any schedule.
///
/// A makespan is a longest path, so it does not decrease when a stage's times grow, and
/// recomputation only adds to backwards. Where no stage shares its memory, the least recomputation
/// that fits is optimal for every stage and only cuts are searched (branch_and_bound.hpp);
/// elsewhere modes are assigned to whole partitions (interleaved_search.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/branch_and_bound.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/search_by_recurrence.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// The simulated makespan of a plan in every scenario.
[[nodiscard]] inline std::vector<std::int64_t> makespans_of(const pipeline_problem& problem,
                                                            const interval_times& times,
                                                            const pipeline_plan& plan) {
  suffix_simulator simulator(problem.schedule, times);
  for (std::size_t j = 0; j + 1 < plan.cuts.size(); ++j) {
    std::int64_t extra = 0;
    for (std::size_t l = plan.cuts[j]; l < plan.cuts[j + 1]; ++l)
      extra += problem.layers[l].modes[plan.modes[l]].extra_time;
    times.stage(problem.schedule.device(j), plan.cuts[j], plan.cuts[j + 1], extra,
                simulator.durations(j));
    simulator.set_step(j, times.step(plan.cuts[j], plan.cuts[j + 1]));
    const pipeline_layer& last = problem.layers[plan.cuts[j + 1] - 1];
    simulator.set_latency(j, last.forward_latency, last.backward_latency);
  }
  std::vector<std::int64_t> makespans;
  for (std::size_t k = 0; k < times.scenarios(); ++k) makespans.push_back(simulator.run(0, k).all);
  return makespans;
}

/// Starting partitions: the optima of objectives that approximate the makespan.
[[nodiscard]] inline std::vector<std::vector<std::size_t>> promising_cuts(
    const pipeline_problem& problem, stage_search& search) {
  auto closed_form = plan_for_closed_form(search, problem.schedule.microbatches);
  if (search.table().stopped()) {
    if (closed_form.cuts.empty()) closed_form.cuts = cuts_without_search(problem, search);
    if (closed_form.cuts.empty()) return {};
    return {std::move(closed_form.cuts)};
  }
  if (closed_form.cuts.empty()) return {};
  return {std::move(closed_form.cuts), plan_for_bottleneck(search, stage_weight::time).cuts,
          plan_for_period(problem, search).cuts};
}

/// A lower bound on the makespan of every plan that fits: some device is busy for all micro-batches
/// of the largest stage. 0 where micro-batches or scenarios differ.
[[nodiscard]] inline rational least_busy(const pipeline_problem& problem,
                                         const interval_times& times) {
  if (times.scenarios() != 1 || times.columns() != 1) return {0};
  return {static_cast<std::int64_t>(problem.schedule.microbatches) * relaxed_bottleneck(problem)};
}

/// `problem` has the mean times of all scenarios.
[[nodiscard]] inline joint_result search_makespan(const pipeline_problem& problem,
                                                  const interval_times& times,
                                                  const makespan_measure& measure,
                                                  const joint_options& options) {
  if (weighs_devices(problem)) return plan_interleaved_makespan(problem, times, measure, options);
  stage_search search(problem, knapsack_options(options));
  const auto starts = promising_cuts(problem, search);
  if (starts.empty()) {
    if (search.table().stopped()) return {.status = search_status::stopped};
    return {.why = search.explain()};
  }
  const cut_plan best = cut_search(problem, times, measure, search.table(), options).solve(starts);
  if (best.cuts.empty()) {
    if (best.status == search_status::stopped) return {.status = best.status};
    return {.status = best.status, .why = search.explain()};
  }
  const wide_integer denominator = measure.denominator(times.scenarios());
  joint_result found{.status = best.status,
                     .objective = reduced(best.value, denominator, "makespan"),
                     .bound = reduced(best.bound, denominator, "makespan"),
                     .plan = search.table().plan_of(best.cuts)};
  if (search.table().proven()) return found;
  // Modes that are chosen again after a limit may differ from those that the table was made of.
  std::vector<std::int64_t> makespans = makespans_of(problem, times, found.plan);
  found.objective = reduced(measure.value(makespans), denominator, "makespan");
  if (problem.memory_limit.empty())
    weaken(found, found.bound);
  else
    weaken(found,
           std::max(least_busy(problem, times),
                    search_makespan(without_memory_limit(problem), times, measure, options).bound));
  return found;
}

}  // namespace omnibal::inline v0::detail
