// SPDX-License-Identifier: Apache-2.0
/// @file
/// Analytic cost model: time and bytes of every layer of a vision-language model under tensor and
/// data parallelism, for the chain vision layers → projector → embedding → language layers → head.
/// Use it to plan before anything has been measured.
///
///     const auto chain = omnibal::cost_layers(model, device, {.tensor_parallel = 8});
///
/// Time: FLOPs over the achieved rate, split over t tensor-parallel devices, plus two all-reduces
/// of the layer's activations and a fixed overhead per direction. Heads and vocabulary are those
/// that t devices can share (cost/tensor_parallel.hpp). The backward does twice the
/// forward's matrix FLOPs and 2.5 times its attention FLOPs (fused attention recomputes its
/// scores). Attention of the language model follows Σ of squared sub-sequence lengths: packed
/// samples do not attend to each other.
///
/// Bytes per trainable parameter: bf16 weights (2), fp32 gradients (4) and the optimizer's state
/// (12 for Adam with fp32 master weights), the last divided over the data-parallel ranks if
/// sharded. Bytes of activations per layer and token, with fused attention and no dropout:
///   both norms' inputs and outputs                8 h     whole on every rank unless
///                                                         sequence-parallel
///   q and attention output, k and v, statistics   4 h + 4 h·kv/a + 4 a          divided by t
///   feed-forward, plain or gated                  4 f or 6 f                    divided by t
///
/// Recompute modes: `none`; `selective` drops what elementwise work restores, the norms' outputs
/// (4 h) and the activation function's output (2 f); `full` saves only the layer's input (2 h).
///
/// Sources: Narayanan et al., SC 2021 (FLOPs, all-reduces); Korthikanti et al., MLSys 2023
/// (activations, sequence parallelism); Dao, "FlashAttention-2", 2023 (backward of attention);
/// Xu et al., "Automatic cross-replica sharding of weight update", 2020 (sharded optimizer).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::inline v0 {

/// The part of the model that is not trained.
enum class frozen_part { none, vision, language };

/// How the model is parallelised and trained: the inputs of the cost model beside model and device.
struct training_setup {
  std::int64_t tensor_parallel = 1;
  std::int64_t data_parallel = 1;
  bool sequence_parallel = false;     ///< Norms' activations divided by t as well.
  bool shard_optimizer = false;       ///< Optimizer state divided over data-parallel ranks.
  std::int64_t optimizer_bytes = 12;  ///< Bytes of optimizer state per parameter.
  frozen_part freeze = frozen_part::none;
};

/// A recompute mode of a layer: nanoseconds added to the backward by one recomputation, bytes saved
/// from the forward to the backward, and transient bytes while the backward runs.
struct mode_cost {
  std::string name = "none";
  recompute_kind kind = recompute_kind::custom;
  linear_cost extra_time = {};
  linear_cost saved_bytes = {};
  linear_cost transient_bytes = {};
  /// Bytes from B to W of a trainer that recomputes in B alone, under a schedule that splits the
  /// backward. Absent: what mode `none` saves or, without such a mode, the saved and transient
  /// bytes of this one.
  std::optional<linear_cost> saved_for_weight_gradient = {};

  friend bool operator==(const mode_cost&, const mode_cost&) = default;
};

/// A layer's costs: nanoseconds and bytes as functions of a micro-batch's workload.
struct layer_cost {
  std::string name = {};
  layer_kind kind = layer_kind::custom;
  std::int64_t parameters = 0;  ///< Over all tensor-parallel ranks.
  bool trainable = true;
  linear_cost forward_time = {};
  linear_cost backward_time = {};         ///< Without recomputation, weight gradient included.
  linear_cost weight_gradient_time = {};  ///< The part of backward_time that is W.
  linear_cost forward_latency = {};       ///< Transfer to the next stage, if a stage ends here.
  linear_cost backward_latency = {};      ///< Transfer from the next stage, if a stage ends here.
  linear_cost output_bytes = {};          ///< Of the output on one device; 0: unknown, or none.
  std::int64_t static_bytes = 0;          ///< Weights, gradients, optimizer state on one device.
  std::int64_t step_time = 0;       ///< Gradient reduction and optimizer, once per training step.
  std::int64_t reduction_time = 0;  ///< The part of step_time that reduces gradients.
  std::int64_t gather_time = 0;     ///< The part that gathers parameters of a sharded optimizer.
  std::vector<mode_cost> modes = {};

  friend bool operator==(const layer_cost&, const layer_cost&) = default;
};

/// The index of the mode without recomputation: of that kind, otherwise the one that adds the least
/// time at this workload. O(modes). Precondition: the layer has a mode.
[[nodiscard]] std::size_t bare_mode(const layer_cost& layer, const workload& work);

/// The index of the mode of full recomputation: of that kind, otherwise the one that saves the
/// fewest bytes at this workload. O(modes). Precondition: the layer has a mode.
[[nodiscard]] std::size_t full_mode(const layer_cost& layer, const workload& work);

/// Throws invalid_input naming the option that is out of range or does not divide the model, with
/// the nearest that does.
void validate(const training_setup& setup, const model_shape& model);

/// The costs of a model's layers, in the order of the chain. Throws invalid_input if an argument is
/// out of range. O(layers).
[[nodiscard]] std::vector<layer_cost> cost_layers(const model_shape& model,
                                                  const device_shape& device,
                                                  const training_setup& setup);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/layer_costs.ipp>
#endif
