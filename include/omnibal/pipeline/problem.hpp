// SPDX-License-Identifier: Apache-2.0
/// @file
/// The planning problem: a chain of layers, the ways to recompute each, and the devices with their
/// memory and speed; and a plan for it: where the chain is cut and which way each layer recomputes.
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
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// One way to trade a layer's activation memory for time.
struct recompute_mode {
  std::string name = "none";
  std::int64_t extra_time = 0;       ///< Added to the backward.
  std::int64_t kept_bytes = 0;       ///< Held per in-flight micro-batch.
  std::int64_t transient_bytes = 0;  ///< Held while the stage's backward runs; the largest counts.
  std::int64_t kept_for_weight_gradient = 0;  ///< Part of kept_bytes held on from B to W.

  friend bool operator==(const recompute_mode&, const recompute_mode&) = default;
};

/// A layer of the chain. Times are integers of any unit, the same for all.
struct layer {
  std::string name = {};
  std::int64_t forward_time = 0;
  std::int64_t backward_time = 0;         ///< Without recomputation, weight gradient included.
  std::int64_t weight_gradient_time = 0;  ///< The part of backward_time that is W.
  std::int64_t static_bytes = 0;          ///< Weights, gradients and optimizer state.
  std::int64_t forward_latency = 0;   ///< Of the forward edge, if a stage ends after this layer.
  std::int64_t backward_latency = 0;  ///< Of the backward edge, if a stage ends after this layer.
  std::vector<recompute_mode> modes = {recompute_mode{}};

  friend bool operator==(const layer&, const layer&) = default;
};

/// Two layers between which something holds.
struct layer_pair {
  std::size_t first = 0;
  std::size_t second = 0;

  friend bool operator==(const layer_pair&, const layer_pair&) = default;
};

struct pipeline_problem {
  schedule_shape schedule = {};
  std::vector<layer> layers = {};
  std::vector<std::int64_t> memory_limit = {};  ///< Bytes per device; empty means no limit.
  std::vector<std::int64_t> reserved = {};      ///< Bytes per device; empty means 0.
  std::int64_t memory_margin = 0;               ///< Bytes to leave free on every device.
  /// Per device: what the duration of each of its operations (F, B, W) is multiplied by, rounded
  /// up; empty means 1. Latencies are the network's and stay as they are.
  std::vector<rational> time_factor = {};
  /// Layers with the same weights: on one device their static bytes count once, the largest.
  std::vector<layer_pair> tied = {};
  std::vector<layer_pair> together = {};  ///< Layers that must share a virtual stage.
  std::vector<layer_pair> apart = {};     ///< Layers that must not share a virtual stage.

  /// Bytes of device d that layers may fill; no limit is the largest integer.
  [[nodiscard]] std::int64_t budget(std::size_t device) const noexcept {
    if (memory_limit.empty()) return std::numeric_limits<std::int64_t>::max();
    return memory_limit[device] - (reserved.empty() ? 0 : reserved[device]) - memory_margin;
  }
  [[nodiscard]] rational factor(std::size_t device) const noexcept {
    return time_factor.empty() ? rational{1} : time_factor[device];
  }
};

/// Virtual stage j holds layers cuts[j] … cuts[j + 1] − 1, at least one; layer l recomputes in
/// mode modes[l].
struct pipeline_plan {
  std::vector<std::size_t> cuts = {};
  std::vector<std::size_t> modes = {};

  friend bool operator==(const pipeline_plan&, const pipeline_plan&) = default;
};

namespace detail {

inline void require_not_negative(const char* field, std::size_t index, std::int64_t value) {
  if (value < 0) throw invalid_input(field, index, value, "must not be negative");
}

inline void validate(const layer& one, std::size_t index) {
  require_not_negative("layers.fwd", index, one.forward_time);
  require_not_negative("layers.bwd", index, one.backward_time);
  require_not_negative("layers.wgrad", index, one.weight_gradient_time);
  require_not_negative("layers.static", index, one.static_bytes);
  require_not_negative("layers.cf", index, one.forward_latency);
  require_not_negative("layers.cb", index, one.backward_latency);
  if (one.weight_gradient_time > one.backward_time)
    throw invalid_input("layers.wgrad", index, one.weight_gradient_time,
                        "must not be more than bwd, of which it is a part");
  if (one.modes.empty())
    throw invalid_input("layers.modes", index, "nothing", "needs at least one recompute mode");
  for (const recompute_mode& mode : one.modes) {
    require_not_negative("layers.modes.extra", index, mode.extra_time);
    require_not_negative("layers.modes.act", index, mode.kept_bytes);
    require_not_negative("layers.modes.trans", index, mode.transient_bytes);
    require_not_negative("layers.modes.act_w", index, mode.kept_for_weight_gradient);
    if (mode.kept_for_weight_gradient > mode.kept_bytes)
      throw invalid_input("layers.modes.act_w", index, mode.kept_for_weight_gradient,
                          "must not be more than act, of which it is a part");
  }
}

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
    throw invalid_input("devices", factors.size(),
                        "must have one entry per device, " + std::to_string(devices));
  for (std::size_t device = 0; device < factors.size(); ++device) {
    if (factors[device].numerator < 0)
      throw invalid_input("devices.speed.num", device, factors[device].numerator,
                          "must not be negative");
    if (factors[device].denominator < 1)
      throw invalid_input("devices.speed.den", device, factors[device].denominator,
                          "must be at least 1");
  }
}

/// The time of all layers on the slowest device, plus what rounding up may add.
[[nodiscard]] inline std::int64_t longest_time(const pipeline_problem& problem, std::int64_t time) {
  std::int64_t longest = time;
  for (const rational& factor : problem.time_factor)
    longest = std::max(longest, checked_scaled_rounding_up(time, factor, "layers times"));
  return checked_add(longest, static_cast<std::int64_t>(3 * problem.schedule.total_stages()),
                     "layers times");
}

/// Every sum a planner or simulation forms is at most `microbatches` times the sum of everything.
inline void validate_sums(const pipeline_problem& problem) {
  std::int64_t time = 0;
  std::int64_t bytes = 0;
  for (const layer& one : problem.layers) {
    std::int64_t extra = 0;
    std::int64_t held = 0;
    for (const recompute_mode& mode : one.modes) {
      extra = std::max(extra, mode.extra_time);
      held = std::max(held, checked_add(mode.kept_bytes, mode.transient_bytes, "layers.modes.act"));
    }
    for (const std::int64_t part :
         {one.forward_time, one.backward_time, extra, one.forward_latency, one.backward_latency})
      time = checked_add(time, part, "layers times");
    for (const std::int64_t part : {one.static_bytes, held})
      bytes = checked_add(bytes, part, "layers bytes");
  }
  for (const std::int64_t part : problem.reserved) bytes = checked_add(bytes, part, "reserved");
  bytes = checked_add(bytes, problem.memory_margin, "memory_margin");
  time = longest_time(problem, time);
  // A factor beyond the micro-batches leaves room for sums of a few such sums.
  const auto factor = static_cast<std::int64_t>(
      8 * (problem.schedule.microbatches + problem.schedule.total_stages()));
  (void)checked_multiply(time, factor, "layers times");
  (void)checked_multiply(bytes, factor, "layers bytes");
}

}  // namespace detail

/// Throws invalid_input unless every value is in range and no sum over the problem can overflow.
/// Fewer layers than stages is not an error: such a problem is infeasible. O(layers · modes).
inline void validate(const pipeline_problem& problem) {
  validate(problem.schedule);
  for (std::size_t l = 0; l < problem.layers.size(); ++l) detail::validate(problem.layers[l], l);
  detail::validate_per_device("mem_limit", problem.memory_limit, problem.schedule.stages);
  detail::validate_per_device("reserved", problem.reserved, problem.schedule.stages);
  if (problem.memory_margin < 0)
    throw invalid_input("memory_margin", problem.memory_margin, "must not be negative");
  detail::validate_factors(problem.time_factor, problem.schedule.stages);
  detail::validate_pairs("tied", problem.tied, problem.layers.size());
  detail::validate_pairs("together", problem.together, problem.layers.size());
  detail::validate_pairs("apart", problem.apart, problem.layers.size());
  detail::validate_sums(problem);
}

namespace detail {

/// Throws unless the pair shares a stage, or does not, as it must.
inline void validate_pair(const char* field, std::size_t index, const layer_pair& pair,
                          const std::vector<std::size_t>& cuts, bool together) {
  const auto stage = [&](std::size_t l) { return std::ranges::upper_bound(cuts, l); };
  if ((stage(pair.first) == stage(pair.second)) == together) return;
  throw invalid_input(field, index, pair.second,
                      std::string(together ? "must" : "must not") + " share a stage with layer " +
                          std::to_string(pair.first));
}

}  // namespace detail

/// Throws invalid_input unless the plan cuts the problem's chain into its stages, keeps together
/// and apart what must be, and names existing modes.
inline void validate(const pipeline_problem& problem, const pipeline_plan& plan) {
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
  if (plan.modes.size() != problem.layers.size())
    throw invalid_input("modes", plan.modes.size(),
                        "must have one entry per layer, " + std::to_string(problem.layers.size()));
  for (std::size_t l = 0; l < plan.modes.size(); ++l)
    if (plan.modes[l] >= problem.layers[l].modes.size())
      throw invalid_input("modes", l, plan.modes[l], "names a recompute mode the layer lacks");
}

}  // namespace omnibal::inline v0
