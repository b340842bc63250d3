// SPDX-License-Identifier: Apache-2.0
/// @file
/// What others would plan for the same problem, each judged by the same simulator: trainers that
/// do not search, planners whose objective is not the makespan, and the paper.
///
/// | name            | cuts                                          | recomputation            |
/// |-----------------|-----------------------------------------------|--------------------------|
/// | even layers     | equal numbers of layers                       | one rule for all stages  |
/// | even parameters | least largest sum of parameters               | one rule for all stages  |
/// | alpa            | least Σ T + (m − 1) · max T                   | none, or full everywhere |
/// | nnscaler        | least (m − 1 + p) · max T                     | none, or full everywhere |
/// | least variance  | the exact best few by variance of forwards    | the paper's, by stage    |
/// | published       | the best few near the paper's anchor, by same | the paper's, by stage    |
///
/// Each is as strong as its description allows: of its choices of recomputation and of its few best
/// cuts it takes the fastest that fits under the simulator, memory counts the micro-batches that
/// are truly in flight, and all keep the problem's rules. What they cannot do is cut with latencies
/// in view, which the paper alone does, to rank equals, or with recomputation of each stage's own.
/// Sources: one rule, Korthikanti et al., MLSys 2023 (one_rule.hpp); alpa, Zheng et al., OSDI 2022,
/// the dynamic program over stages for each largest stage; nnscaler, Lin et al., OSDI 2024, the
/// minimum of the largest stage; variance, OmniBal, arXiv 2407.20761. Partitions within operators,
/// which alpa and nnscaler also search, are no part of the problem.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
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

/// The best `top` partitions by variance of the stages' forward times, of those that keep the rules
/// and fit memory in their leanest modes; best first, equals by latency and then by cuts. As in the
/// paper the speeds of devices do not count. Fewer where fewer exist.
/// O(p·n²) prices of memory and O(p·n² · top · log top). Throws invalid_input for problems out of
/// range, interleaved schedules and `top` 0.
[[nodiscard]] inline std::vector<anchored_partition> least_variance_partitions(
    const pipeline_problem& problem, std::size_t top) {
  validate(problem);
  return detail::published_candidates(problem, {.radius = problem.layers.size(), .top = top},
                                      detail::candidate_memory::must_fit);
}

namespace detail {

/// The problem's rules over a chain in which all that counts is one weight a layer.
[[nodiscard]] inline pipeline_problem weights_alone(const pipeline_problem& problem,
                                                    std::span<const std::int64_t> weights) {
  pipeline_problem plain{.schedule = {.stages = problem.schedule.stages},
                         .together = problem.together,
                         .apart = problem.apart};
  for (const std::int64_t weight : weights) plain.layers.push_back({.forward_time = weight});
  return plain;
}

[[nodiscard]] inline bool keeps_rules(const pipeline_problem& problem,
                                      const std::vector<std::size_t>& cuts) {
  const cut_rules rules(problem);
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s)
    if (!rules.allows(cuts[s], cuts[s + 1])) return false;
  return true;
}

/// Least Σ of squared numbers of layers; where rules forbid the usual cuts, the best they allow.
[[nodiscard]] inline std::vector<std::size_t> cuts_of_even_layers(const pipeline_problem& problem) {
  const std::vector<std::int64_t> ones(problem.layers.size(), 1);
  const std::vector<std::size_t> cuts = partition_evenly(ones, problem.schedule.stages);
  if (keeps_rules(problem, cuts)) return cuts;
  return plan_jointly(weights_alone(problem, ones), plan_objective::variance).plan.cuts;
}

[[nodiscard]] inline std::vector<std::size_t> cuts_of_even_parameters(
    const pipeline_problem& problem, std::span<const std::int64_t> parameters) {
  return plan_jointly(weights_alone(problem, parameters), plan_objective::bottleneck).plan.cuts;
}

/// The problem as planners see it that take recomputation as given and latencies as nothing.
[[nodiscard]] inline pipeline_problem without_choice(pipeline_problem problem,
                                                     const std::vector<std::size_t>& modes) {
  for (std::size_t l = 0; l < modes.size(); ++l) {
    layer& one = problem.layers[l];
    one.forward_latency = one.backward_latency = 0;
    one.modes = {one.modes[modes[l]]};
  }
  return problem;
}

/// The best cuts for an objective under none and under full recomputation.
[[nodiscard]] inline std::vector<pipeline_plan> plans_of_global_recomputation(
    const pipeline_problem& problem, plan_objective objective) {
  std::vector<pipeline_plan> plans;
  for (const layer_rule rule : {layer_rule::none, layer_rule::full}) {
    const std::vector<std::size_t> modes = modes_by_rule(problem.layers, rule);
    const joint_plan found = plan_jointly(without_choice(problem, modes), objective);
    if (!found.plan.cuts.empty()) plans.push_back({.cuts = found.plan.cuts, .modes = modes});
  }
  return plans;
}

[[nodiscard]] inline named_plan plan_with_global_recomputation(const pipeline_problem& problem,
                                                               const std::string& name,
                                                               plan_objective objective) {
  std::vector<pipeline_plan> plans = plans_of_global_recomputation(problem, objective);
  if (plans.empty())
    plans = plans_of_global_recomputation(without_memory_limit(problem), objective);
  return judge_best(problem, name, plans);
}

[[nodiscard]] inline named_plan plan_by_variance(const pipeline_problem& problem,
                                                 const std::string& name,
                                                 const published_options& options) {
  const auto fitting = published_candidates(problem, options, candidate_memory::must_fit);
  if (auto plan = fastest_with_adaptive_recomputation(problem, fitting))
    return judge(problem, name, std::move(*plan));
  std::vector<pipeline_plan> leanest;
  for (const anchored_partition& one :
       published_candidates(problem, options, candidate_memory::ignored))
    leanest.push_back({.cuts = one.cuts, .modes = modes_by_rule(problem.layers, layer_rule::full)});
  return judge_best(problem, name, leanest);
}

inline void validate_baselines(const pipeline_problem& problem,
                               std::span<const std::int64_t> parameters) {
  validate(problem);
  if (problem.schedule.kind != schedule_kind::gpipe &&
      problem.schedule.kind != schedule_kind::one_forward_one_backward)
    throw invalid_input("schedule", to_string(problem.schedule.kind),
                        "has no baselines; use 1f1b or gpipe");
  if (parameters.size() != problem.layers.size())
    throw invalid_input("parameters", parameters.size(),
                        "must have one entry per layer, " + std::to_string(problem.layers.size()));
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < parameters.size(); ++l) {
    require_not_negative("parameters", l, parameters[l]);
    sum = checked_add(sum, parameters[l], "parameters");
  }
  // They are planned for like times, with as much room for sums of them.
  (void)checked_multiply(sum, static_cast<std::int64_t>(16 * (1 + problem.schedule.stages)),
                         "parameters");
}

}  // namespace detail

/// The plans of the table above, in its order, under 1F1B and GPipe; `parameters` has one number a
/// layer. One that finds nothing that fits says so and keeps the plan that overruns least of those
/// it weighs without a limit. Empty where no partition exists, for lack of layers or by the rules.
/// Throws invalid_input for problems out of range, other schedules, and parameters that are
/// negative, too many or not one a layer.
/// O(p·n² · top · log top) for the rankings, O(p·n²) for each bottleneck and each cap of alpa's,
/// and O(n/p + top) simulations of O(p·m).
[[nodiscard]] inline std::vector<named_plan> plan_baselines(
    const pipeline_problem& problem, std::span<const std::int64_t> parameters,
    const published_options& options = {}) {
  detail::validate_baselines(problem, parameters);
  if (detail::impossible_partition(problem).reason != infeasibility::cause::none) return {};
  const auto by_one_rule = [&](const std::string& name, const std::vector<std::size_t>& cuts) {
    return judge_best(problem, name, plans_by_one_rule(problem, cuts));
  };
  const published_options anywhere{.radius = problem.layers.size(), .top = options.top};
  return {by_one_rule("even layers", detail::cuts_of_even_layers(problem)),
          by_one_rule("even parameters", detail::cuts_of_even_parameters(problem, parameters)),
          detail::plan_with_global_recomputation(problem, "alpa", plan_objective::closed_form),
          detail::plan_with_global_recomputation(problem, "nnscaler", plan_objective::bottleneck),
          detail::plan_by_variance(problem, "least variance", anywhere),
          detail::plan_by_variance(problem, "published", options)};
}

}  // namespace omnibal::inline v0
