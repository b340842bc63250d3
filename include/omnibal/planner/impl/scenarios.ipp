// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE wide_integer makespan_measure::denominator(std::size_t scenarios) const {
  if (of == kind::worst) return 1;
  const auto count = static_cast<wide_integer>(scenarios);
  if (of == kind::mean) return count;
  return std::max<wide_integer>(count * (alpha.denominator - alpha.numerator), alpha.denominator);
}

OMNIBAL_INLINE wide_integer makespan_measure::value(std::vector<std::int64_t>& makespans) const {
  if (of == kind::worst) return *std::ranges::max_element(makespans);
  if (of == kind::mean) return std::accumulate(makespans.begin(), makespans.end(), wide_integer{0});
  std::ranges::sort(makespans, std::greater<>{});
  wide_integer left = denominator(makespans.size());
  wide_integer sum = 0;
  for (const std::int64_t makespan : makespans) {
    const wide_integer weight = std::min<wide_integer>(left, alpha.denominator);
    sum += weight * makespan;
    left -= weight;
  }
  return sum;
}

namespace detail {

inline void validate_times(const char* field, std::size_t scenario,
                           const std::vector<std::vector<std::int64_t>>& times,
                           const pipeline_problem& problem) {
  if (times.size() != problem.layers.size())
    throw invalid_input(field, scenario, times.size(),
                        "must have one row per layer, " + std::to_string(problem.layers.size()));
  for (std::size_t l = 0; l < times.size(); ++l) {
    if (times[l].size() != problem.schedule.microbatches)
      throw invalid_input(
          field, {scenario, l}, times[l].size(),
          "must have one time per micro-batch, " + std::to_string(problem.schedule.microbatches));
    for (std::size_t k = 0; k < times[l].size(); ++k)
      require_not_negative(field, {scenario, l, k}, times[l][k]);
  }
}

}  // namespace detail

OMNIBAL_INLINE void validate(const pipeline_problem& problem, std::span<const scenario> scenarios) {
  if (scenarios.empty()) throw invalid_input("scenarios", "nothing", "needs at least one scenario");
  for (std::size_t s = 0; s < scenarios.size(); ++s) {
    const scenario& one = scenarios[s];
    detail::validate_times("scenarios[].forward", s, one.forward, problem);
    detail::validate_times("scenarios[].backward", s, one.backward, problem);
    if (!one.weight_gradient.empty())
      detail::validate_times("scenarios[].weight_gradient", s, one.weight_gradient, problem);
    pipeline_problem longest = problem;
    for (std::size_t l = 0; l < problem.layers.size(); ++l) {
      pipeline_layer& worst = longest.layers[l];
      worst.forward_time = *std::ranges::max_element(one.forward[l]);
      worst.backward_time = *std::ranges::max_element(one.backward[l]);
      worst.weight_gradient_time = 0;
      if (one.weight_gradient.empty()) continue;
      for (std::size_t k = 0; k < one.weight_gradient[l].size(); ++k)
        if (one.weight_gradient[l][k] > one.backward[l][k])
          throw invalid_input("scenarios[].weight_gradient", {s, l, k}, one.weight_gradient[l][k],
                              "must not be more than the backward of its layer and micro-batch, of "
                              "which it is a part");
    }
    validate_sums(longest);
  }
}

OMNIBAL_INLINE void validate(const makespan_measure& measure) {
  if (measure.alpha.denominator < 1 || measure.alpha.numerator < 0 ||
      measure.alpha.numerator > measure.alpha.denominator)
    throw invalid_input("measure.alpha", measure.alpha.numerator, "must be a share from 0 to 1");
}

OMNIBAL_INLINE pipeline_problem on_average(pipeline_problem problem,
                                           std::span<const scenario> scenarios) {
  const auto mean = [&](std::size_t l, auto member) {
    wide_integer sum = 0;
    std::size_t count = 0;
    for (const scenario& one : scenarios) {
      if ((one.*member).empty()) continue;
      for (const std::int64_t time : (one.*member)[l]) sum += time;
      count += (one.*member)[l].size();
    }
    const auto divisor = static_cast<wide_integer>(std::max<std::size_t>(1, count));
    return static_cast<std::int64_t>((sum + divisor - 1) / divisor);
  };
  for (std::size_t l = 0; l < problem.layers.size(); ++l) {
    pipeline_layer& one = problem.layers[l];
    one.forward_time = mean(l, &scenario::forward);
    one.backward_time = mean(l, &scenario::backward);
    one.weight_gradient_time = std::min(one.backward_time, mean(l, &scenario::weight_gradient));
  }
  return problem;
}

}  // namespace omnibal::inline v0
