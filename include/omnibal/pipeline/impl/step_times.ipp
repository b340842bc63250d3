// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/pipeline/step_times.hpp>

namespace omnibal::inline v0 {

namespace detail {

OMNIBAL_INLINE void exposed_transfers::add(std::int64_t transfer, std::int64_t hiding) {
  highest_.front().push_back(before_.back() + transfer);
  before_.push_back(highest_.front().back() - hiding);
}

OMNIBAL_INLINE void exposed_transfers::finish() {
  const std::size_t layers = highest_.front().size();
  for (std::size_t half = 1; 2 * half <= layers; half *= 2) {
    const std::vector<std::int64_t>& shorter = highest_.back();
    std::vector<std::int64_t> longer;
    for (std::size_t l = 0; l + 2 * half <= layers; ++l)
      longer.push_back(std::max(shorter[l], shorter[l + half]));
    highest_.push_back(std::move(longer));
  }
}

OMNIBAL_INLINE std::int64_t exposed_transfers::of(std::size_t begin, std::size_t end) const {
  const auto k = static_cast<std::size_t>(std::bit_width(end - begin) - 1);
  const std::size_t last = end - (std::size_t{1} << k);
  return std::max(highest_[k][begin], highest_[k][last]) - before_[begin];
}

/// The time on the fastest device, rounded down.
[[nodiscard]] inline std::int64_t on_fastest(const pipeline_problem& problem, std::int64_t time) {
  std::int64_t least = time;
  for (const rational& factor : problem.time_factor)
    least = std::min(least, static_cast<std::int64_t>(static_cast<wide_integer>(time) *
                                                      factor.numerator / factor.denominator));
  return least;
}

}  // namespace detail

OMNIBAL_INLINE stage_step_times::stage_step_times(const pipeline_problem& problem) {
  const bool split = problem.schedule.splits_backward();
  for (const pipeline_layer& one : problem.layers) {
    const std::int64_t backward = split ? one.weight_gradient_time : one.backward_time;
    step_before_.push_back(step_before_.back() + one.step_time);
    overlapped_before_.push_back(overlapped_before_.back() + one.reduction_time + one.gather_time);
    reductions_.add(one.reduction_time, detail::on_fastest(problem, backward));
    gathers_.add(one.gather_time, detail::on_fastest(problem, one.forward_time));
  }
  reductions_.finish();
  gathers_.finish();
}

OMNIBAL_INLINE std::int64_t stage_step_times::exposed(const layer_range& layers) const {
  if (layers.begin == layers.end) return 0;
  return reductions_.of(layers.begin, layers.end) + gathers_.of(layers.begin, layers.end);
}

OMNIBAL_INLINE std::int64_t stage_step_times::time(const layer_range& layers) const {
  return fixed(layers) + exposed(layers);
}

OMNIBAL_INLINE std::int64_t stage_step_times::fixed(const layer_range& layers) const {
  return step_before_[layers.end] - step_before_[layers.begin];
}

OMNIBAL_INLINE std::int64_t stage_step_times::hidden(const layer_range& layers) const {
  return overlapped_before_[layers.end] - overlapped_before_[layers.begin] - exposed(layers);
}

}  // namespace omnibal::inline v0
