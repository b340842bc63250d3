// SPDX-License-Identifier: Apache-2.0
/// @file
/// Objectives, options and result of joint planning (planner/plan_jointly.hpp).
#pragma once

#include <cstdint>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

/// The quantity to minimise, with T the forward plus backward time of a stage and C the latency of
/// the edge after it (pipeline/evaluate.hpp).
enum class plan_objective {
  bottleneck,           ///< Largest Σ T on a device; of equals the least Σ (T + C).
  blocking_bottleneck,  ///< Largest T plus the latencies of both edges; likewise.
  closed_form,          ///< Σ (T + C) + (m − 1) · max T.
  period,    ///< Steady period of 1F1B: max over intervals of (Σ T + Σ inner C) / stages.
  makespan,  ///< The simulated time of a step.
  variance,  ///< p · Σ F² − (Σ F)², as in OmniBal; the modes are those of least extra time that
             ///< fit.
};

[[nodiscard]] constexpr std::string_view to_string(plan_objective objective) noexcept {
  switch (objective) {
    case plan_objective::bottleneck: return "bottleneck";
    case plan_objective::blocking_bottleneck: return "blocking_bottleneck";
    case plan_objective::closed_form: return "closed_form";
    case plan_objective::period: return "period";
    case plan_objective::makespan: return "makespan";
    case plan_objective::variance: return "variance";
  }
  return "unknown";
}

/// The objective of stages under a schedule; the makespan is simulated. O(stages²) for the period,
/// O(p·m·v) for the makespan, O(stages) for the others.
[[nodiscard]] rational objective_of(const std::vector<stage_cost>& stages,
                                    const schedule_shape& schedule, plan_objective objective);

/// Limits and control of the search.
struct joint_options {
  /// Operations that branch and bound may simulate, about 4 ns each, before it stops with the best
  /// plan and the bound proven so far. A count instead of a time makes answers reproducible.
  std::uint64_t operation_limit = 1'500'000'000;
  recompute_options recompute = {};  ///< Knapsacks of schedules without virtual stages.
  search_control control = {};
};

/// The plan found.
struct joint_plan {
  search_status status = search_status::infeasible;
  rational objective = {};  ///< An integer except for the period and for means over scenarios.
  rational bound = {};      ///< Proven lower bound on the objective of every plan.
  pipeline_plan plan = {};
  infeasibility why = {};  ///< If infeasible.
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objective.ipp>
#endif
