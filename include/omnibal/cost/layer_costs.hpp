// SPDX-License-Identifier: Apache-2.0
/// @file
/// What each layer of a vision-language model costs in time and bytes under tensor and data
/// parallelism: the chain vision layers → projector → embedding → language layers → head.
///
/// Time: FLOPs over the achieved rate, split over t tensor-parallel devices, plus two all-reduces
/// of a layer's activations and a fixed overhead each way. The backward does twice the forward's
/// matrix FLOPs and 2.5 times its attention FLOPs (fused attention recomputes its scores).
/// Attention of the language model follows Σ of squared sub-sequence lengths: packed samples do not
/// attend to each other.
///
/// Bytes: bf16 weights (2) and fp32 gradients (4) a trainable parameter, and the optimizer's state
/// (12 for Adam with fp32 master weights), divided over the data-parallel ranks when sharded.
/// Activations of a layer a token, with fused attention and no dropout:
///   both norms' inputs and outputs                8 h     whole on every rank unless
///                                                         sequence-parallel
///   q and attention output, k and v, statistics   4 h + 4 h·kv/a + 4 a          divided by t
///   feed-forward, plain or gated                  4 f or 6 f                    divided by t
///
/// Recompute modes: `none`; `selective` drops what elementwise work restores, the norms' outputs
/// (4 h) and the activation function's output (2 f); `full` keeps the layer's input (2 h).
///
/// Sources: Narayanan et al., SC 2021 (FLOPs, all-reduces); Korthikanti et al., MLSys 2023
/// (activations, sequence parallelism); Dao, "FlashAttention-2", 2023 (backward of attention);
/// Xu et al., "Automatic cross-replica sharding of weight update", 2020 (sharded optimizer).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

enum class frozen_part { none, vision, language };

/// How the model is spread and trained; what its layers' costs depend on beside shape and device.
struct training_setup {
  std::int64_t tensor_parallel = 1;
  std::int64_t data_parallel = 1;
  bool sequence_parallel = false;     ///< Norms' activations divided by t as well.
  bool shard_optimizer = false;       ///< Optimizer state divided over data-parallel ranks.
  std::int64_t optimizer_bytes = 12;  ///< Optimizer state a parameter.
  frozen_part freeze = frozen_part::none;
};

/// A way to recompute a layer: nanoseconds added to the backward, bytes kept and transient.
struct mode_cost {
  std::string name = "none";
  linear_cost extra_time = {};
  linear_cost saved_bytes = {};
  linear_cost transient_bytes = {};

  friend bool operator==(const mode_cost&, const mode_cost&) = default;
};

/// A layer's costs: nanoseconds and bytes as functions of a micro-batch's workload.
struct layer_cost {
  std::string name = {};
  std::int64_t parameters = 0;  ///< On all tensor-parallel ranks together.
  bool trainable = true;
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Without recomputation, weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};       ///< To the next stage, if one starts after this layer.
  linear_cost backward_latency = {};      ///< From the next stage.
  std::int64_t static_bytes = 0;          ///< Weights, gradients, optimizer state on one device.
  std::int64_t step_time = 0;  ///< Gradient reduction and optimizer step, once a training step.
  std::vector<mode_cost> modes = {};

  friend bool operator==(const layer_cost&, const layer_cost&) = default;
};

/// The kind of a layer: its name without the number behind it.
[[nodiscard]] constexpr std::string_view layer_kind(std::string_view name) noexcept {
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

/// Throws invalid_input unless the setup is sound for the model.
void validate(const training_setup& setup, const model_shape& model);

/// The chain of layers of a model. Throws invalid_input when an argument is out of range.
[[nodiscard]] std::vector<layer_cost> price_layers(const model_shape& model,
                                                   const device_shape& device,
                                                   const training_setup& setup);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/layer_costs.ipp>
#endif
