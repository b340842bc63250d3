// SPDX-License-Identifier: Apache-2.0
/// @file
/// The same calls for units of both modes.
#pragma once

#include <cstdint>
#include <vector>

#include <omnibal/planner.hpp>
#include <omnibal/rebalance.hpp>

struct answers {
  omnibal::pipeline_plan plan;
  std::vector<omnibal::rebalance_point> frontier;

  friend bool operator==(const answers&, const answers&) = default;
};

/// Of the headers alone, whatever the caller is.
[[nodiscard]] answers header_only_answers();

// In an unnamed namespace, so that each unit has its own.
namespace {

[[nodiscard]] answers answers_of_this_unit() {
  omnibal::pipeline_problem problem{.schedule = {.stages = 3, .microbatches = 6}};
  omnibal::rebalance_problem held{.ranks = 3};
  for (std::uint32_t k = 0; k < 12; ++k) {
    const std::int64_t time = 1 + k * k % 7;
    problem.layers.push_back({.forward_time = time, .backward_time = 2 * time});
    held.samples.push_back({.rank = k % 2, .cost = time, .bytes = 10 + k});
  }
  return {omnibal::plan_jointly(problem, omnibal::objectives::makespan{}).plan,
          omnibal::rebalance(held).frontier};
}

}  // namespace
