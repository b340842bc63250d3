// SPDX-License-Identifier: Apache-2.0
/// @file
/// Variance: p · Σ F² − (Σ F)² with F the forward time of a device. The modes are those of least
/// extra time that fit; they do not change it. Search: dynamic program.
///
/// Source: OmniBal, arXiv 2407.20761.
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

struct variance {
  static constexpr std::string_view name = "variance";
  static constexpr bool monotone = false;

  [[nodiscard]] static rational value(const std::vector<stage_cost>& stages,
                                      const schedule_shape& schedule);
  [[nodiscard]] static rational bound(const pipeline_problem& problem);
  [[nodiscard]] static joint_result search(const pipeline_problem& problem,
                                           const joint_options& options);
};

}  // namespace omnibal::inline v0::objectives

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objectives/variance.ipp>
#endif
