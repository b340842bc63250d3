// SPDX-License-Identifier: Apache-2.0
/// @file
/// What joint planning minimises, how long it may take, and what it answers.
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

enum class plan_objective {
  bottleneck,           ///< Largest Σ T on a device; among equals the least Σ (T + C).
  blocking_bottleneck,  ///< Largest T plus the latencies of both edges; likewise.
  closed_form,          ///< Σ (T + C) + (m − 1) · max T.
  period,    ///< Steady period of 1F1B: max over intervals of (Σ T + Σ inner C) / stages.
  makespan,  ///< The simulated time of a step.
  variance,  ///< p · Σ F² − (Σ F)², the published rank; the modes are the cheapest that fit.
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

/// The objective of stages under a schedule, the makespan by simulation. O(stages²) for the period,
/// O(p·m·v) for the makespan, O(stages) for the others.
[[nodiscard]] rational objective_of(const std::vector<stage_cost>& stages,
                                    const schedule_shape& schedule, plan_objective objective);

struct joint_options {
  /// Operations a search by branch and bound may simulate before it stops with what it has
  /// proven; about 4 ns each. A count and not a time, so that answers repeat.
  std::uint64_t operation_limit = 1'500'000'000;
  recompute_options recompute = {};  ///< Of the knapsacks of stages that are devices of their own.
  search_control control = {};
};

struct joint_plan {
  search_status status = search_status::infeasible;
  rational objective = {};  ///< A fraction only for the period and for means over scenarios.
  rational bound = {};
  pipeline_plan plan = {};
  infeasibility why = {};  ///< If infeasible.
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objective.ipp>
#endif
