// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search of an objective that has a recurrence over stages: the recurrence where every stage
/// has a device to itself, branch and bound over virtual stages elsewhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/even_cuts.hpp>
#include <omnibal/planner/detail/interleaved_search.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
#include <omnibal/planner/detail/stage_recurrences.hpp>
#include <omnibal/planner/detail/tie_search.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0::detail {

/// The limits of the knapsacks, which also end when the search is asked to stop.
[[nodiscard]] inline recompute_options knapsack_options(const joint_options& options) {
  recompute_options limits = options.recompute;
  if (options.control.stop.stop_possible()) limits.control.stop = options.control.stop;
  return limits;
}

/// Whether the relaxations of the knapsacks of all intervals are a matter of a moment.
[[nodiscard]] inline bool relaxed_quickly(const stage_table& table) {
  constexpr std::size_t most = 4'000'000;
  const std::size_t intervals = table.stages() * table.layers() * table.layers() / 2;
  return table.relaxation_cost() <= most / std::max<std::size_t>(1, intervals);
}

/// A lower bound on the largest T of a stage in every plan that fits: the least one with the
/// relaxations of all knapsacks; 0 where that would take long.
[[nodiscard]] inline std::int64_t relaxed_bottleneck(const pipeline_problem& problem) {
  stage_search bounds(problem, {.work_limit = 0}, knapsack_value::bound);
  if (!relaxed_quickly(bounds.table())) return 0;
  const std::int64_t least = bounds.least_bottleneck(stage_weight::time);
  return least == stage_search::infeasible ? 0 : least;
}

/// Cuts for a search that was stopped before it had any: those that are best with the modes of the
/// relaxations or, where that would take long or nothing fits, of even times or bytes.
[[nodiscard]] inline std::vector<std::size_t> cuts_without_search(const pipeline_problem& problem,
                                                                  stage_search& stopped) {
  stage_search relaxed(problem, {.work_limit = 0});
  if (relaxed_quickly(relaxed.table()))
    if (auto best = plan_for_bottleneck(relaxed, stage_weight::time); !best.cuts.empty())
      return std::move(best.cuts);
  return stopped.simple_cuts();
}

/// If a knapsack reached its limit, a stage may cost less than in the table, so the optimum over
/// the table is no lower bound; the optimum without memory limits is.
inline void weaken(joint_result& found, const rational& bound) {
  if (found.plan.cuts.empty()) return;
  found.bound = std::min(found.objective, bound);
  found.status = found.bound == found.objective ? search_status::optimal : search_status::stopped;
}

/// The recomputation of partitions from a table of stage costs; models partition_recomputation.
struct table_recomputation {
  stage_table& table;

  [[nodiscard]] std::int64_t least(std::size_t j, std::size_t begin, std::size_t end) const {
    return table.least_extra(j, begin, end);
  }
  [[nodiscard]] std::optional<std::vector<std::int64_t>> of(
      const std::vector<std::size_t>& cuts) const {
    std::vector<std::int64_t> extra;
    for (std::size_t j = 0; j + 1 < cuts.size(); ++j) {
      extra.push_back(table.least_extra(j, cuts[j], cuts[j + 1]));
      if (extra.back() == stage_table::infeasible) return std::nullopt;
    }
    return extra;
  }
  [[nodiscard]] std::uint64_t cost() const {
    const std::uint64_t knapsack =
        table.problem().memory_limit.empty() ? 0 : 8 * table.relaxation_cost();
    return table.stages() * (1 + knapsack);
  }
};

/// Replaces the cuts by the first by the rule of ties among those of equal objective; whether the
/// tie is settled.
[[nodiscard]] inline bool settle_tie(const pipeline_problem& problem,
                                     const any_objective& objective, tie_rule rule,
                                     stage_search& search, objective_and_cuts& best,
                                     const joint_options& options) {
  if (rule == tie_rule::none || !search.table().proven()) return false;
  table_recomputation recomputation{search.table()};
  std::vector<std::vector<std::size_t>> starts = even_cuts(problem);
  starts.insert(starts.begin(), best.cuts);
  tied_plan first =
      tie_search(problem, objective, rule, recomputation, options).settle(best.objective, starts);
  // A knapsack that was cut short may promise less time than its modes have.
  if (first.cuts.empty() || !search.table().proven()) return false;
  best.cuts = std::move(first.cuts);
  return first.settled;
}

/// The optimum over the table of stage costs, by `recurrence(problem, search)`, whose cuts are
/// empty if nothing fits. The objective is at least `bottlenecks` times the largest T; the rule
/// says which of equal plans is taken.
template <typename Recurrence>
[[nodiscard]] joint_result search_by_recurrence(const pipeline_problem& problem,
                                                const any_objective& objective,
                                                const joint_options& options,
                                                const Recurrence& recurrence,
                                                std::int64_t bottlenecks, tie_rule rule) {
  if (weighs_devices(problem)) return search_tied_partitions(problem, objective, rule, options);
  stage_search search(problem, knapsack_options(options));
  objective_and_cuts best = recurrence(problem, search);
  if (best.cuts.empty()) {
    if (!search.table().stopped()) return {.why = search.explain()};
    best.cuts = cuts_without_search(problem, search);
    if (best.cuts.empty())
      return {.status = search_status::stopped, .bound = objective.bound(problem)};
  }
  const bool proven = search.table().proven();
  const bool settled = settle_tie(problem, objective, rule, search, best, options);
  joint_result found{.status = search_status::optimal,
                     .objective = best.objective,
                     .bound = best.objective,
                     .plan = search.table().plan_of(best.cuts)};
  if (rule != tie_rule::none) found.tie_settled = settled;
  if (proven) return found;
  // Modes that are chosen again after a limit may differ from those that the table was made of.
  found.objective = objective.value(stage_costs(problem, found.plan), problem.schedule);
  if (problem.memory_limit.empty()) {
    weaken(found, objective.bound(problem));
    return found;
  }
  const rational relaxed{bottlenecks == 0 ? 0 : bottlenecks * relaxed_bottleneck(problem)};
  weaken(found,
         std::max(relaxed, search_by_recurrence(without_memory_limit(problem), objective, options,
                                                recurrence, bottlenecks, tie_rule::none)
                               .bound));
  return found;
}

}  // namespace omnibal::inline v0::detail
