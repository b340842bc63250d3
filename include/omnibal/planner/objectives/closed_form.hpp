// SPDX-License-Identifier: Apache-2.0
/// @file
/// Closed form: Σ (T + C) + (m − 1) · max T, the time of a step of equal micro-batches as it is
/// usually estimated. Search: dynamic programs under falling caps on T.
///
/// Source: Narayanan et al., SC 2021.
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

struct closed_form {
  static constexpr std::string_view name = "closed_form";
  static constexpr bool monotone = true;

  [[nodiscard]] static rational value(const std::vector<stage_cost>& stages,
                                      const schedule_shape& schedule);
  [[nodiscard]] static rational bound(const pipeline_problem& problem);
  [[nodiscard]] static joint_result search(const pipeline_problem& problem,
                                           const joint_options& options);
};

}  // namespace omnibal::inline v0::objectives

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/objectives/closed_form.ipp>
#endif
