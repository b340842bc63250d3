// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans of different planners evaluated by the same exact simulation of time and memory, to
/// compare them.
///
///     const auto result = omnibal::evaluate_plan(problem, "mine", plan);
///     if (result.fits) std::cout << result.makespan;
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// A plan with its name, makespan and memory overrun.
struct evaluated_plan {
  std::string name = {};  ///< Of the planner or of the method.
  bool fits = false;      ///< Whether every device stays within its memory.
  pipeline_plan plan = {};
  std::int64_t makespan = 0;    ///< Simulated, in the problem's unit, whether the plan fits or not.
  std::int64_t bytes_over = 0;  ///< Largest memory overrun of a device; 0 if the plan fits.
};

/// Simulates a plan. Precondition: problem and plan are valid. O(p·m·v).
[[nodiscard]] evaluated_plan evaluate_plan(const pipeline_problem& problem, std::string name,
                                           pipeline_plan plan);

/// The plan of least makespan among those that fit or, if none fits, the one of least overrun; the
/// first of equals. Preconditions: there is a plan; problem and plans are valid. O(plans · p·m·v).
[[nodiscard]] evaluated_plan evaluate_best_plan(const pipeline_problem& problem,
                                                const std::string& name,
                                                std::span<const pipeline_plan> plans);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/evaluated_plan.ipp>
#endif
