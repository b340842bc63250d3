// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a plan may be optimal for, and the options and result of joint planning
/// (planner/plan_jointly.hpp).
///
///     const auto best = omnibal::plan_jointly(problem, omnibal::objectives::makespan{});
///
/// Every objective is a type of its own, in planner/objectives/; planner/objectives.hpp lists them.
/// A program may bring its own: a type that models planning_objective is enough. In their
/// documentation T is the forward plus backward time of a stage and C the latency of the edge after
/// it (pipeline/evaluate.hpp).
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

/// Limits and control of the search.
struct joint_options {
  /// Operations that branch and bound may simulate, about 4 ns each, before it stops with the best
  /// plan and the bound proven so far. A count instead of a time makes answers reproducible.
  std::uint64_t operation_limit = 1'500'000'000;
  recompute_options recompute = {};  ///< Knapsacks of schedules without virtual stages.
  search_control control = {};
};

/// The plan found.
struct joint_result {
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;
  rational objective = {};  ///< An integer except for the period and for means over scenarios.
  rational bound = {};      ///< Proven lower bound on the objective of every plan.
  pipeline_plan plan = {};
  /// Whether no plan of equal objective comes before this one by the objective's rule of ties
  /// (docs/planner.md); false where the search for it reached its limit, absent if there is no
  /// rule.
  std::optional<bool> tie_settled = {};
  infeasibility why = {};  ///< If infeasible.
};

/// An objective: an empty type whose static members give its name in files and on the command line,
/// its value, and how it is minimised.
/// - `monotone`: the value does not decrease when a time of a stage grows. The value of one that is
///   not monotone must not depend on backward times, since modes are chosen for the least extra
///   time.
/// - `value(stages, schedule)` is what is minimised: exact, and within 64 bits for stages of hours in
///   nanoseconds.
/// - `bound(problem)` is at most the value of every plan, whether it fits memory or not.
/// - `search(problem, options)` finds the plan of least value that fits memory, with a proven lower
///   bound; search_partitions() serves any objective. The problem is valid and has a layer for each
///   stage.
template <typename Objective>
concept planning_objective = std::is_empty_v<Objective> && std::default_initializable<Objective> &&
    requires(const std::vector<stage_cost>& stages, const schedule_shape& schedule,
             const pipeline_problem& problem, const joint_options& options) {
  { Objective::name } -> std::convertible_to<std::string_view>;
  { Objective::monotone } -> std::convertible_to<bool>;
  { Objective::value(stages, schedule) } -> std::same_as<rational>;
  { Objective::bound(problem) } -> std::same_as<rational>;
  { Objective::search(problem, options) } -> std::same_as<joint_result>;
};

/// Any objective, by value. Equal if the names are.
class any_objective {
 public:
  template <planning_objective Objective>
  constexpr any_objective(Objective) noexcept : members_(&members_of<Objective>) {}

  [[nodiscard]] constexpr std::string_view name() const noexcept { return members_->name; }
  [[nodiscard]] constexpr bool monotone() const noexcept { return members_->monotone; }
  [[nodiscard]] rational value(const std::vector<stage_cost>& stages,
                               const schedule_shape& schedule) const {
    return members_->value(stages, schedule);
  }
  [[nodiscard]] rational bound(const pipeline_problem& problem) const {
    return members_->bound(problem);
  }
  [[nodiscard]] joint_result search(const pipeline_problem& problem,
                                    const joint_options& options) const {
    return members_->search(problem, options);
  }

  friend constexpr bool operator==(const any_objective& left, const any_objective& right) noexcept {
    return left.name() == right.name();
  }

 private:
  struct members {
    std::string_view name;
    bool monotone;
    rational (*value)(const std::vector<stage_cost>&, const schedule_shape&);
    rational (*bound)(const pipeline_problem&);
    joint_result (*search)(const pipeline_problem&, const joint_options&);
  };
  template <typename Objective>
  static constexpr members members_of{Objective::name, Objective::monotone, Objective::value,
                                      Objective::bound, Objective::search};

  const members* members_;
};

}  // namespace omnibal::inline v0
