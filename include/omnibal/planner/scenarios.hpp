// SPDX-License-Identifier: Apache-2.0
/// @file
/// Steps whose micro-batches differ: the time of every layer on every micro-batch in each of
/// several scenarios, and the ways to make one number of their makespans.
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

/// One step: [layer][micro-batch] times, without recomputation.
struct scenario {
  std::vector<std::vector<std::int64_t>> forward = {};
  std::vector<std::vector<std::int64_t>> backward = {};         ///< Weight gradient included.
  std::vector<std::vector<std::int64_t>> weight_gradient = {};  ///< The part that is W; or empty.
};

/// How the makespans of equally likely scenarios become one number.
struct makespan_measure {
  enum class kind { mean, worst, cvar };

  kind of = kind::mean;
  /// For cvar: it is the mean of the worst share 1 − alpha of the scenarios. Where that share is
  /// not a whole number of scenarios, the last one counts in part; alpha 0 is the mean, and a
  /// share of at most one scenario is the worst.
  /// Source: Rockafellar and Uryasev, Journal of Banking and Finance 2002, section 6.
  rational alpha = {19, 20};

  /// What value() is to be divided by. Preconditions: valid, scenarios ≥ 1.
  [[nodiscard]] wide_integer denominator(std::size_t scenarios) const;

  /// The measure times its denominator. Never falls when a makespan grows. Sorts the makespans
  /// where it needs their order. O(n log n).
  [[nodiscard]] wide_integer value(std::vector<std::int64_t>& makespans) const;
};

/// Throws invalid_input unless the scenarios fit the problem and no sum over them can overflow.
/// O(scenarios · layers · micro-batches).
void validate(const pipeline_problem& problem, std::span<const scenario> scenarios);

void validate(const makespan_measure& measure);

/// The problem whose layers take their mean times over all scenarios and micro-batches, rounded
/// up: what a planner that knows averages only would see.
[[nodiscard]] pipeline_problem on_average(pipeline_problem problem,
                                          std::span<const scenario> scenarios);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/scenarios.ipp>
#endif
