// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/detail/paper_candidates.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/baselines/planners.hpp>
#include <omnibal/baselines/uniform_recomputation.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/plan_jointly.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<anchored_partition> least_variance_partitions(
    const pipeline_problem& problem, std::size_t top) {
  validate(problem);
  return detail::paper_candidates(problem, {.radius = problem.layers.size(), .top = top},
                                  detail::candidate_memory::must_fit);
}

namespace detail {

/// A problem with the constraints of the given one and a single weight per layer.
[[nodiscard]] inline pipeline_problem weights_alone(const pipeline_problem& problem,
                                                    std::span<const std::int64_t> weights) {
  pipeline_problem plain{.schedule = {.stages = problem.schedule.stages},
                         .together = problem.together,
                         .apart = problem.apart,
                         .fixed_cuts = problem.fixed_cuts};
  for (const std::int64_t weight : weights) plain.layers.push_back({.forward_time = weight});
  return plain;
}

[[nodiscard]] inline bool satisfies_constraints(const pipeline_problem& problem,
                                                const std::vector<std::size_t>& cuts) {
  return partition_constraints(problem).allow(cuts);
}

/// Equal numbers of layers; if constraints forbid those cuts, the allowed ones of least Σ of
/// squared numbers of layers.
[[nodiscard]] inline std::vector<std::size_t> cuts_of_even_layers(const pipeline_problem& problem) {
  const std::vector<std::int64_t> ones(problem.layers.size(), 1);
  const std::vector<std::size_t> cuts = partition_evenly(ones, problem.schedule.stages);
  if (satisfies_constraints(problem, cuts)) return cuts;
  return plan_jointly(weights_alone(problem, ones), objectives::variance{}).plan.cuts;
}

[[nodiscard]] inline std::vector<std::size_t> cuts_of_even_parameters(
    const pipeline_problem& problem, std::span<const std::int64_t> parameters) {
  return plan_jointly(weights_alone(problem, parameters), objectives::bottleneck{}).plan.cuts;
}

/// The problem for planners with given recomputation and without latencies.
[[nodiscard]] inline pipeline_problem without_choice(pipeline_problem problem,
                                                     const std::vector<std::size_t>& modes) {
  for (std::size_t l = 0; l < modes.size(); ++l) {
    pipeline_layer& one = problem.layers[l];
    one.forward_latency = one.backward_latency = 0;
    one.modes = {one.modes[modes[l]]};
  }
  return problem;
}

/// The best cuts for an objective without recomputation and with full recomputation.
[[nodiscard]] inline std::vector<pipeline_plan> plans_of_global_recomputation(
    const pipeline_problem& problem, const any_objective& objective) {
  std::vector<pipeline_plan> plans;
  for (const uniform_rule rule : {uniform_rule::none, uniform_rule::full}) {
    const std::vector<std::size_t> modes = modes_by_uniform_rule(problem.layers, rule);
    const joint_result found = plan_jointly(without_choice(problem, modes), objective);
    if (!found.plan.cuts.empty()) plans.push_back({.cuts = found.plan.cuts, .modes = modes});
  }
  return plans;
}

[[nodiscard]] inline evaluated_plan plan_with_global_recomputation(const pipeline_problem& problem,
                                                                   const std::string& name,
                                                                   const any_objective& objective) {
  std::vector<pipeline_plan> plans = plans_of_global_recomputation(problem, objective);
  if (plans.empty())
    plans = plans_of_global_recomputation(without_memory_limit(problem), objective);
  return evaluate_best_plan(problem, name, plans);
}

[[nodiscard]] inline evaluated_plan plan_by_variance(const pipeline_problem& problem,
                                                     const std::string& name,
                                                     const paper_options& options) {
  const auto fitting = paper_candidates(problem, options, candidate_memory::must_fit);
  if (auto plan = fastest_with_adaptive_recomputation(problem, fitting))
    return evaluate_plan(problem, name, std::move(*plan));
  std::vector<pipeline_plan> minimum_memory;
  for (const anchored_partition& one :
       paper_candidates(problem, options, candidate_memory::ignored))
    minimum_memory.push_back(
        {.cuts = one.cuts, .modes = modes_by_uniform_rule(problem.layers, uniform_rule::full)});
  return evaluate_best_plan(problem, name, minimum_memory);
}

inline void validate_baselines(const pipeline_problem& problem,
                               std::span<const std::int64_t> parameters) {
  validate(problem);
  if (problem.schedule.shares_devices() || problem.schedule.splits_backward())
    throw invalid_input("schedule", problem.schedule.kind.name(),
                        "has no baselines; use 1f1b or gpipe");
  if (parameters.size() != problem.layers.size())
    throw invalid_input("parameters", parameters.size(),
                        "must have one entry per layer, " + std::to_string(problem.layers.size()));
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < parameters.size(); ++l) {
    require_not_negative("parameters", l, parameters[l]);
    sum = checked_add(sum, parameters[l], "parameters");
  }
  // They take the place of times in the planner, whose sums must not overflow.
  (void)checked_multiply(sum, static_cast<std::int64_t>(16 * (1 + problem.schedule.stages)),
                         "parameters");
}

}  // namespace detail

OMNIBAL_INLINE std::vector<evaluated_plan> plan_baselines(const pipeline_problem& problem,
                                                          std::span<const std::int64_t> parameters,
                                                          const paper_options& options) {
  detail::validate_baselines(problem, parameters);
  if (impossible_partition(problem).reason != infeasibility::cause::none) return {};
  const auto uniformly = [&](const std::string& name, const std::vector<std::size_t>& cuts) {
    return evaluate_best_plan(problem, name, plans_with_uniform_recomputation(problem, cuts));
  };
  const paper_options anywhere{.radius = problem.layers.size(), .top = options.top};
  return {uniformly("even layers", detail::cuts_of_even_layers(problem)),
          uniformly("even parameters", detail::cuts_of_even_parameters(problem, parameters)),
          detail::plan_with_global_recomputation(problem, "alpa", objectives::closed_form{}),
          detail::plan_with_global_recomputation(problem, "nnscaler", objectives::bottleneck{}),
          detail::plan_by_variance(problem, "least variance", anywhere),
          detail::plan_by_variance(problem, "published", options)};
}

}  // namespace omnibal::inline v0
