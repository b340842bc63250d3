// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::int64_t pipeline_problem::budget(std::size_t device) const noexcept {
  if (memory_limit.empty()) return std::numeric_limits<std::int64_t>::max();
  return memory_limit[device] - (reserved.empty() ? 0 : reserved[device]) - memory_margin;
}

namespace detail {

inline void validate_per_device(const char* field, const std::vector<std::int64_t>& values,
                                std::size_t devices) {
  if (!values.empty() && values.size() != devices)
    throw invalid_input(field, values.size(),
                        "must have one entry per device, " + std::to_string(devices));
  for (std::size_t device = 0; device < values.size(); ++device)
    require_not_negative(field, device, values[device]);
}

inline void validate_pairs(const char* field, const std::vector<layer_pair>& pairs,
                           std::size_t layers) {
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    for (const std::size_t l : {pairs[k].first, pairs[k].second})
      if (l >= layers)
        throw invalid_input(field, k, l, "must be less than the layers, " + std::to_string(layers));
    if (pairs[k].first == pairs[k].second)
      throw invalid_input(field, k, pairs[k].first, "must name two different layers");
  }
}

inline void validate_factors(const std::vector<rational>& factors, std::size_t devices) {
  if (!factors.empty() && factors.size() != devices)
    throw invalid_input("time_factor", factors.size(),
                        "must have one entry per device, " + std::to_string(devices));
  for (std::size_t device = 0; device < factors.size(); ++device) {
    if (factors[device].numerator < 0)
      throw invalid_input("time_factor[].numerator", device, factors[device].numerator,
                          "must not be negative");
    if (factors[device].denominator < 1)
      throw invalid_input("time_factor[].denominator", device, factors[device].denominator,
                          "must be at least 1");
  }
}

/// The time of all layers on the slowest device, plus the most that rounding up can add.
[[nodiscard]] inline std::int64_t longest_time(const pipeline_problem& problem, std::int64_t time) {
  std::int64_t longest = time;
  for (const rational& factor : problem.time_factor)
    longest = std::max(longest, checked_scaled_rounding_up(time, factor, "times of all layers"));
  return checked_add(longest, static_cast<std::int64_t>(3 * problem.schedule.total_stages()),
                     "times of all layers");
}

}  // namespace detail

OMNIBAL_INLINE void validate_sums(const pipeline_problem& problem) {
  std::int64_t time = 0;
  std::int64_t bytes = 0;
  for (const pipeline_layer& one : problem.layers) {
    std::int64_t extra = 0;
    std::int64_t activation = 0;
    for (const recompute_mode& mode : one.modes) {
      extra = std::max(extra, mode.extra_time);
      activation = std::max(activation,
                            checked_add(std::max(mode.saved_bytes, mode.saved_for_weight_gradient),
                                        mode.transient_bytes, "saved_bytes of all layers"));
    }
    for (const std::int64_t part :
         {one.forward_time, one.backward_time, extra, one.forward_latency, one.backward_latency,
          one.step_time, one.reduction_time, one.gather_time})
      time = checked_add(time, part, "times of all layers");
    for (const std::int64_t part : {one.static_bytes, activation})
      bytes = checked_add(bytes, part, "bytes of all layers");
  }
  for (const std::int64_t part : problem.reserved) bytes = checked_add(bytes, part, "reserved");
  bytes = checked_add(bytes, problem.memory_margin, "memory_margin");
  time = detail::longest_time(problem, time);
  // 8 times the largest sum, so that planners may add up a few of them.
  const auto factor = static_cast<std::int64_t>(
      8 * (problem.schedule.microbatches + problem.schedule.total_stages()));
  (void)checked_multiply(time, factor, "times of all layers");
  (void)checked_multiply(bytes, factor, "bytes of all layers");
}

namespace detail {

inline void validate_fixed_cuts(const std::vector<fixed_cut>& cuts, std::size_t layers) {
  for (std::size_t k = 0; k < cuts.size(); ++k) {
    if (cuts[k].stage == 0)
      throw invalid_input("fixed_cuts", k, cuts[k].stage, "must be a stage after the first");
    if (cuts[k].layer == 0 || cuts[k].layer >= layers)
      throw invalid_input("fixed_cuts", k, cuts[k].layer, "must be a layer after the first");
  }
}

}  // namespace detail

OMNIBAL_INLINE void validate(const pipeline_problem& problem) {
  validate(problem.schedule);
  for (std::size_t l = 0; l < problem.layers.size(); ++l) detail::validate(problem.layers[l], l);
  detail::validate_per_device("memory_limit", problem.memory_limit, problem.schedule.stages);
  detail::validate_per_device("reserved", problem.reserved, problem.schedule.stages);
  if (problem.memory_margin < 0)
    throw invalid_input("memory_margin", problem.memory_margin, "must not be negative");
  detail::validate_factors(problem.time_factor, problem.schedule.stages);
  detail::validate_pairs("tied", problem.tied, problem.layers.size());
  detail::validate_pairs("together", problem.together, problem.layers.size());
  detail::validate_pairs("apart", problem.apart, problem.layers.size());
  detail::validate_fixed_cuts(problem.fixed_cuts, problem.layers.size());
  validate_sums(problem);
}

namespace detail {

/// Throws unless the pair shares a stage exactly if `together`.
inline void validate_pair(const char* field, std::size_t index, const layer_pair& pair,
                          const std::vector<std::size_t>& cuts, bool together) {
  const auto stage = [&](std::size_t l) { return std::ranges::upper_bound(cuts, l); };
  if ((stage(pair.first) == stage(pair.second)) == together) return;
  throw invalid_input(field, index, pair.second,
                      std::string(together ? "must" : "must not") + " share a stage with layer " +
                          std::to_string(pair.first));
}

inline void validate_fixed_cut(std::size_t index, const fixed_cut& cut,
                               const std::vector<std::size_t>& cuts) {
  if (cut.stage + 1 < cuts.size() && cuts[cut.stage] == cut.layer) return;
  throw invalid_input("fixed_cuts", index, cut.layer,
                      "must be the first layer of stage " + std::to_string(cut.stage));
}

}  // namespace detail

OMNIBAL_INLINE void validate(const pipeline_problem& problem, const pipeline_plan& plan) {
  const std::size_t stages = problem.schedule.total_stages();
  if (plan.cuts.size() != stages + 1)
    throw invalid_input("cuts", plan.cuts.size(),
                        "must have " + std::to_string(stages + 1) + " entries, 0 to the layers");
  if (plan.cuts.front() != 0) throw invalid_input("cuts", 0, plan.cuts.front(), "must be 0");
  for (std::size_t j = 1; j < plan.cuts.size(); ++j)
    if (plan.cuts[j] <= plan.cuts[j - 1])
      throw invalid_input("cuts", j, plan.cuts[j], "must be more than the one before");
  if (plan.cuts.back() != problem.layers.size())
    throw invalid_input("cuts", stages, plan.cuts.back(),
                        "must be the number of layers, " + std::to_string(problem.layers.size()));
  for (std::size_t k = 0; k < problem.together.size(); ++k)
    detail::validate_pair("together", k, problem.together[k], plan.cuts, true);
  for (std::size_t k = 0; k < problem.apart.size(); ++k)
    detail::validate_pair("apart", k, problem.apart[k], plan.cuts, false);
  for (std::size_t k = 0; k < problem.fixed_cuts.size(); ++k)
    detail::validate_fixed_cut(k, problem.fixed_cuts[k], plan.cuts);
  if (plan.modes.size() != problem.layers.size())
    throw invalid_input("modes", plan.modes.size(),
                        "must have one entry per layer, " + std::to_string(problem.layers.size()));
  for (std::size_t l = 0; l < plan.modes.size(); ++l)
    if (plan.modes[l] >= problem.layers[l].modes.size())
      throw invalid_input("modes", l, plan.modes[l],
                          "names a recompute mode that the layer does not have");
}

OMNIBAL_INLINE pipeline_problem without_memory_limit(pipeline_problem problem) {
  problem.memory_limit.clear();
  problem.reserved.clear();
  return problem;
}

}  // namespace omnibal::inline v0
