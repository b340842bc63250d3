// SPDX-License-Identifier: Apache-2.0
/// @file
/// Blocking bottleneck: the largest T of a stage plus the latencies of both its edges, of equals
/// the least Σ (T + C): for trainers whose transfers block the device. Search: dynamic program.
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

struct blocking_bottleneck {
  static constexpr std::string_view name = "blocking_bottleneck";
  static constexpr bool monotone = true;

  [[nodiscard]] static rational value(const std::vector<stage_cost>& stages,
                                      const schedule_shape& schedule);
  [[nodiscard]] static rational bound(const pipeline_problem& problem);
  [[nodiscard]] static joint_result search(const pipeline_problem& problem,
                                           const joint_options& options);
};

}  // namespace omnibal::inline v0::objectives

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objectives/blocking_bottleneck.ipp>
#endif
