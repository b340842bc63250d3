// SPDX-License-Identifier: Apache-2.0
/// @file
/// Bottleneck: the largest Σ T on a device, of equals the least Σ (T + C). The rate at which a long
/// step goes on. Search: dynamic program over stages.
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

struct bottleneck {
  static constexpr std::string_view name = "bottleneck";
  static constexpr bool monotone = true;

  [[nodiscard]] static rational value(const std::vector<stage_cost>& stages,
                                      const schedule_shape& schedule);
  [[nodiscard]] static rational bound(const pipeline_problem& problem);
  [[nodiscard]] static joint_result search(const pipeline_problem& problem,
                                           const joint_options& options);
};

}  // namespace omnibal::inline v0::objectives

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objectives/bottleneck.ipp>
#endif
