// SPDX-License-Identifier: Apache-2.0
/// @file
/// Period: the steady period of 1F1B, max over intervals of stages of (Σ T + Σ inner C) / stages.
/// Search: dynamic programs, each for a period below the last one found.
///
/// Source: the maximum cycle mean of the schedule's event graph (docs/planner.md).
#pragma once

#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/planner/objective.hpp>

namespace omnibal::inline v0::objectives {

struct period {
  static constexpr std::string_view name = "period";
  static constexpr bool monotone = true;

  [[nodiscard]] static rational value(const std::vector<stage_cost>& stages,
                                      const schedule_shape& schedule);
  [[nodiscard]] static rational bound(const pipeline_problem& problem);
  [[nodiscard]] static joint_result search(const pipeline_problem& problem,
                                           const joint_options& options);
};

}  // namespace omnibal::inline v0::objectives

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objectives/period.ipp>
#endif
