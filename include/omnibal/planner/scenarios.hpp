// SPDX-License-Identifier: Apache-2.0
/// @file
/// Planning under uncertainty: training steps whose micro-batches differ, given as scenarios with
/// the time of every layer on every micro-batch, and measures (mean, worst, CVaR) of the makespans
/// over scenarios. Pass them to plan_jointly() for a plan that is robust against such differences.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// One training step: times by [layer][micro-batch], without recomputation.
struct scenario {
  std::vector<std::vector<std::int64_t>> forward = {};
  std::vector<std::vector<std::int64_t>> backward = {};         ///< Weight gradient included.
  std::vector<std::vector<std::int64_t>> weight_gradient = {};  ///< The part that is W; or empty.
};

/// The measure of the makespans of equally likely scenarios.
struct makespan_measure {
  enum class kind { mean, worst, cvar };

  kind of = kind::mean;
  /// For cvar (conditional value at risk), the mean of the worst share 1 − alpha of the scenarios.
  /// If that share is not a whole number of scenarios, the last one counts in part; alpha 0 gives
  /// the mean, and a share of at most one scenario gives the worst.
  /// Source: Rockafellar and Uryasev, Journal of Banking and Finance 2002, section 6.
  rational alpha = {19, 20};

  /// The denominator of value(). Preconditions: the measure is valid, scenarios ≥ 1.
  [[nodiscard]] wide_integer denominator(std::size_t scenarios) const;

  /// The measure times its denominator. Not decreasing in any makespan. May sort the makespans.
  /// O(n log n).
  [[nodiscard]] wide_integer value(std::vector<std::int64_t>& makespans) const;
};

/// Throws invalid_input unless the scenarios match the problem and no sum over them can overflow.
/// O(scenarios · layers · micro-batches).
void validate(const pipeline_problem& problem, std::span<const scenario> scenarios);

/// Throws invalid_input unless alpha is from 0 to 1.
void validate(const makespan_measure& measure);

/// The problem with the mean times of every layer over all scenarios and micro-batches, rounded up:
/// the input of a planner that uses averages only.
[[nodiscard]] pipeline_problem on_average(pipeline_problem problem,
                                          std::span<const scenario> scenarios);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/scenarios.ipp>
#endif
