// SPDX-License-Identifier: Apache-2.0
/// @file
/// The list of all objectives. An objective that is not in it works as well, but no command can
/// name it.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/objectives/blocking_bottleneck.hpp>
#include <omnibal/planner/objectives/bottleneck.hpp>
#include <omnibal/planner/objectives/closed_form.hpp>
#include <omnibal/planner/objectives/makespan.hpp>
#include <omnibal/planner/objectives/period.hpp>
#include <omnibal/planner/objectives/variance.hpp>

namespace omnibal::inline v0 {

inline constexpr auto all_objectives = std::to_array<any_objective>(
    {objectives::bottleneck{}, objectives::blocking_bottleneck{}, objectives::closed_form{},
     objectives::period{}, objectives::makespan{}, objectives::variance{}});

/// The objective of this name; nothing if none has it.
[[nodiscard]] constexpr std::optional<any_objective> objective_named(std::string_view name) {
  for (const any_objective& one : all_objectives)
    if (one.name() == name) return one;
  return std::nullopt;
}

}  // namespace omnibal::inline v0
