// SPDX-License-Identifier: Apache-2.0
/// @file
/// A plan under the name of who would make it, judged by the same exact simulation of time and
/// memory as everybody's.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

struct evaluated_plan {
  std::string name = {};
  bool fits = false;  ///< Whether every device stays within its memory.
  pipeline_plan plan = {};
  std::int64_t makespan = 0;  ///< Simulated, in the problem's unit; as if it fitted if it does not.
  std::int64_t bytes_over = 0;  ///< By how much the worst device overruns its memory; 0 if it fits.
};

/// The device that overruns its memory most, given the peak of each; `none` where all fit.
/// O(devices).
[[nodiscard]] infeasibility memory_overrun(const pipeline_problem& problem,
                                           std::span<const std::int64_t> peaks);

/// Simulates a plan. Precondition: problem and plan are valid. O(p·m·v).
[[nodiscard]] evaluated_plan evaluate_plan(const pipeline_problem& problem, std::string name,
                                           pipeline_plan plan);

/// The fastest of the plans that fit, or, if none does, the one that overruns least; the first of
/// equals. Preconditions: there is a plan; problem and plans are valid. O(plans · p·m·v).
[[nodiscard]] evaluated_plan evaluate_best_plan(const pipeline_problem& problem,
                                                const std::string& name,
                                                std::span<const pipeline_plan> plans);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/evaluated_plan.ipp>
#endif
