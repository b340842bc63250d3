// SPDX-License-Identifier: Apache-2.0
/// @file
/// The planning problem of pipeline parallelism (a chain of layers with their recompute modes, a
/// schedule, and devices with memory and speed) and its plan: where the chain is cut into stages
/// and in which mode each layer recomputes.
///
///     omnibal::pipeline_problem problem{
///         .schedule = {.stages = 2, .microbatches = 8},
///         .layers = {{.forward_time = 3, .backward_time = 6},
///                    {.forward_time = 2, .backward_time = 4}}};
///     const omnibal::joint_result best =
///         omnibal::plan_jointly(problem, omnibal::objectives::makespan{});
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0 {

/// One way to trade a layer's activation memory for time.
struct recompute_mode {
  std::string name = "none";
  recompute_kind kind = recompute_kind::custom;
  std::int64_t extra_time = 0;       ///< Added to the backward.
  std::int64_t saved_bytes = 0;      ///< Per micro-batch in flight, from F to B.
  std::int64_t transient_bytes = 0;  ///< While the stage's backward runs; the largest counts.
  /// From B to W, where W is an operation of its own, in place of saved_bytes: a part of them, or
  /// more where B keeps what it has recomputed, so that W need not recompute it again.
  std::int64_t saved_for_weight_gradient = 0;

  friend bool operator==(const recompute_mode&, const recompute_mode&) = default;
};

/// A layer of the chain. Times are integers in any unit, the same for all layers.
struct pipeline_layer {
  std::string name = {};
  layer_kind kind = layer_kind::custom;
  std::int64_t forward_time = 0;
  std::int64_t backward_time = 0;         ///< Without recomputation, weight gradient included.
  std::int64_t weight_gradient_time = 0;  ///< The part of backward_time that is W.
  std::int64_t static_bytes = 0;          ///< Weights, gradients and optimizer state.
  std::int64_t forward_latency = 0;   ///< Of the forward edge, if a stage ends after this layer.
  std::int64_t backward_latency = 0;  ///< Of the backward edge, if a stage ends after this layer.
  /// Once per step, after the device's last operation: gradient reduction and optimizer. Not scaled
  /// by the device's factor.
  std::int64_t step_time = 0;
  /// The same where a trainer overlaps it (pipeline/step_times.hpp): the reduction of the layer's
  /// gradients, beside the stage's last backward, and the gathering of its parameters, beside the
  /// stage's first forward.
  std::int64_t reduction_time = 0;
  std::int64_t gather_time = 0;
  std::vector<recompute_mode> modes = {recompute_mode{}};

  friend bool operator==(const pipeline_layer&, const pipeline_layer&) = default;
};

/// Two layers that share weights, or that must or must not share a stage.
struct layer_pair {
  std::size_t first = 0;
  std::size_t second = 0;

  friend bool operator==(const layer_pair&, const layer_pair&) = default;
};

/// A virtual stage whose first layer is given.
struct fixed_cut {
  std::size_t stage = 0;  ///< At least 1: the first stage begins with the first layer.
  std::size_t layer = 0;

  friend bool operator==(const fixed_cut&, const fixed_cut&) = default;
};

/// A chain of layers, a schedule and its devices.
struct pipeline_problem {
  schedule_shape schedule = {};
  std::vector<pipeline_layer> layers = {};
  std::vector<std::int64_t> memory_limit = {};  ///< Bytes per device; empty means no limit.
  std::vector<std::int64_t> reserved = {};      ///< Bytes per device; empty means 0.
  std::int64_t memory_margin = 0;               ///< Bytes to leave free on every device.
  /// Per device: factor on the duration of each of its operations (F, B, W), rounded up; empty
  /// means 1. Latencies are not scaled.
  std::vector<rational> time_factor = {};
  /// Layers with the same weights: on one device their static bytes count once, the largest.
  std::vector<layer_pair> tied = {};
  std::vector<layer_pair> together = {};   ///< Layers that must share a virtual stage.
  std::vector<layer_pair> apart = {};      ///< Layers that must not share a virtual stage.
  std::vector<fixed_cut> fixed_cuts = {};  ///< No plan has them all if one is of no stage.

  /// Bytes of a device available to layers; the largest integer if there is no limit.
  [[nodiscard]] std::int64_t budget(std::size_t device) const noexcept;
  [[nodiscard]] rational factor(std::size_t device) const noexcept {
    return time_factor.empty() ? rational{1} : time_factor[device];
  }
};

/// Virtual stage j has layers cuts[j] … cuts[j + 1] − 1, at least one; layer l recomputes in mode
/// modes[l].
struct pipeline_plan {
  std::vector<std::size_t> cuts = {};
  std::vector<std::size_t> modes = {};

  friend bool operator==(const pipeline_plan&, const pipeline_plan&) = default;
};

namespace detail {

inline void require_not_negative(const char* field, std::initializer_list<std::size_t> indices,
                                 std::int64_t value) {
  if (value < 0) throw invalid_input(field, std::vector(indices), value, "must not be negative");
}

inline void require_not_negative(const char* field, std::size_t index, std::int64_t value) {
  require_not_negative(field, {index}, value);
}

inline void validate(const recompute_mode& mode, std::initializer_list<std::size_t> place) {
  require_not_negative("layers[].modes[].extra_time", place, mode.extra_time);
  require_not_negative("layers[].modes[].saved_bytes", place, mode.saved_bytes);
  require_not_negative("layers[].modes[].transient_bytes", place, mode.transient_bytes);
  require_not_negative("layers[].modes[].saved_for_weight_gradient", place,
                       mode.saved_for_weight_gradient);
}

inline void validate(const pipeline_layer& one, std::size_t index) {
  require_not_negative("layers[].forward_time", index, one.forward_time);
  require_not_negative("layers[].backward_time", index, one.backward_time);
  require_not_negative("layers[].weight_gradient_time", index, one.weight_gradient_time);
  require_not_negative("layers[].static_bytes", index, one.static_bytes);
  require_not_negative("layers[].forward_latency", index, one.forward_latency);
  require_not_negative("layers[].backward_latency", index, one.backward_latency);
  require_not_negative("layers[].step_time", index, one.step_time);
  require_not_negative("layers[].reduction_time", index, one.reduction_time);
  require_not_negative("layers[].gather_time", index, one.gather_time);
  if (one.weight_gradient_time > one.backward_time)
    throw invalid_input("layers[].weight_gradient_time", index, one.weight_gradient_time,
                        "must not be more than backward_time, of which it is a part");
  if (one.modes.empty())
    throw invalid_input("layers[].modes", index, "nothing", "needs at least one recompute mode");
  for (std::size_t k = 0; k < one.modes.size(); ++k) validate(one.modes[k], {index, k});
}

}  // namespace detail

/// Throws invalid_input if a sum that planning or simulation forms could overflow: each is at most
/// the sum over all layers times a multiple of micro-batches plus stages. O(layers · modes).
void validate_sums(const pipeline_problem& problem);

/// Throws invalid_input naming the field if a value is out of range or a sum could overflow. Fewer
/// layers than stages are not an error: such a problem is infeasible. O(layers · modes).
void validate(const pipeline_problem& problem);

/// Throws invalid_input unless the plan cuts the problem's chain into its stages, satisfies
/// `together`, `apart` and `fixed_cuts`, and names existing modes. O(layers + pairs · log stages).
void validate(const pipeline_problem& problem, const pipeline_plan& plan);

/// The same problem without memory limits.
[[nodiscard]] pipeline_problem without_memory_limit(pipeline_problem problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/problem.ipp>
#endif
