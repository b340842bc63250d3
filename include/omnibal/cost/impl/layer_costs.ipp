// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/tensor_parallel.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const training_setup& setup, const model_shape& model) {
  expect_divisible(model, setup.tensor_parallel);
  if (setup.data_parallel < 1 || setup.data_parallel > (1 << 20))
    throw invalid_input("data_parallel", setup.data_parallel, "must be between 1 and 2^20");
  if (setup.optimizer_bytes < 0 || setup.optimizer_bytes > 64)
    throw invalid_input("optimizer_bytes", setup.optimizer_bytes, "must be between 0 and 64");
}

namespace detail {

/// Turns FLOPs and bytes into costs on a device. Amounts are per unit: per tile or per token.
class layer_builder {
 public:
  layer_builder(const device_shape& device, const training_setup& setup)
      : device_(device),
        setup_(setup),
        split_(static_cast<double>(setup.tensor_parallel)),
        tensor_parallel_bandwidth_(
            omnibal::tensor_parallel_bandwidth(device, setup.tensor_parallel)) {}

  /// The gradients that the backward of a layer computes.
  struct gradients {
    bool of_inputs = true;
    bool of_weights = true;

    [[nodiscard]] bool any() const noexcept { return of_inputs || of_weights; }
    [[nodiscard]] int passes() const noexcept { return (of_inputs ? 1 : 0) + (of_weights ? 1 : 0); }
  };

  /// What a layer's amounts are per.
  enum class unit { tile, token };

  [[nodiscard]] linear_cost seconds(unit per, double amount) const {
    return cost(per, 1e9 * amount);
  }
  [[nodiscard]] linear_cost cost(unit per, double amount) const {
    const std::int64_t fixed = to_fixed_point(amount, "cost");
    return per == unit::tile ? linear_cost{.per_tile = fixed} : linear_cost{.per_token = fixed};
  }
  [[nodiscard]] linear_cost squared_token_seconds(double amount) const {
    return {.per_squared_token = to_fixed_point(1e9 * amount, "cost")};
  }

  [[nodiscard]] double matrix_seconds(double flops) const {
    return flops / (split_ * device_.matrix_flops);
  }
  [[nodiscard]] double attention_seconds(double flops) const {
    return flops / (split_ * device_.attention_flops);
  }
  [[nodiscard]] double memory_seconds(double bytes) const {
    return bytes / device_.memory_bandwidth;
  }
  /// A ring all-reduce among the tensor-parallel ranks.
  [[nodiscard]] double all_reduce_seconds(double bytes) const {
    return 2.0 * all_gather_seconds(bytes);
  }
  /// A ring all-gather of `bytes` among them, or a reduce-scatter.
  [[nodiscard]] double all_gather_seconds(double bytes) const {
    return (split_ - 1.0) / split_ * bytes / tensor_parallel_bandwidth_;
  }

  /// Fixed time of one pass through a layer.
  [[nodiscard]] linear_cost overhead() const {
    return {.constant =
                to_fixed_point(1e9 * device_.layer_overhead_seconds, "layer_overhead_seconds")};
  }

  /// Bytes of norms' activations on one rank.
  [[nodiscard]] double replicated(double bytes) const {
    return setup_.sequence_parallel ? bytes / split_ : bytes;
  }
  [[nodiscard]] double divided(double bytes) const { return bytes / split_; }

  /// Point-to-point transfer of `bytes` per unit to the neighbouring stage.
  [[nodiscard]] linear_cost transfer_time(unit per, double bytes) const {
    linear_cost time = seconds(per, replicated(bytes) / device_.pipeline_bandwidth);
    time.constant = to_fixed_point(1e9 * device_.latency_seconds, "latency_seconds");
    return time;
  }

  /// Weights, gradients and optimizer state of a layer on one device.
  [[nodiscard]] std::int64_t static_bytes(std::int64_t parameters, bool trainable) const {
    const std::int64_t own = divide_rounding_up(parameters, setup_.tensor_parallel);
    if (!trainable) return 2 * own;
    const std::int64_t sharded =
        setup_.shard_optimizer ? divide_rounding_up(own, setup_.data_parallel) : own;
    return 6 * own + setup_.optimizer_bytes * sharded;
  }

  /// Sets what a layer takes once per step: the reduction of fp32 gradients over the data-parallel
  /// ranks, the optimizer's pass over its state and, when sharded, the gathering of bf16 weights.
  void set_step_times(layer_cost& layer) const {
    if (!layer.trainable) return;
    const double own = static_cast<double>(layer.parameters) / split_;
    const double ranks = static_cast<double>(setup_.data_parallel);
    const double ring = (ranks - 1.0) / ranks / device_.data_parallel_bandwidth;
    const double reduced = (setup_.shard_optimizer ? 4.0 : 2.0 * 4.0) * own;
    const double gathered = setup_.shard_optimizer ? 2.0 * own : 0.0;
    const double updated = own / (setup_.shard_optimizer ? ranks : 1.0) *
                           (2.0 * static_cast<double>(setup_.optimizer_bytes) + 4.0 + 2.0);
    const double seconds = ring * (reduced + gathered) + memory_seconds(updated);
    layer.step_time = nanoseconds(seconds, (std::int64_t{1} << fixed_point_bits) - 1);
    layer.reduction_time = nanoseconds(ring * reduced, 0);
    layer.gather_time = nanoseconds(ring * gathered, 0);
  }

 private:
  /// Whole nanoseconds, with `round` added in fixed point before they are cut off.
  [[nodiscard]] static std::int64_t nanoseconds(double seconds, std::int64_t round) {
    return (to_fixed_point(1e9 * seconds, "step_time") + round) >> fixed_point_bits;
  }

  const device_shape& device_;
  const training_setup& setup_;
  double split_;
  double tensor_parallel_bandwidth_;
};

/// A transformer layer, vision or language, in amounts per unit.
struct transformer_layer {
  std::string name;
  layer_kind kind;
  layer_builder::unit per;
  double tokens;  ///< Per unit: tokens of a tile, or 1.
  double hidden;
  double query_width;
  double key_width;       ///< Of all devices together.
  double gathered_width;  ///< Of queries, keys and values that every device gathers.
  double heads;
  double ffn;
  bool gated;
  double matrix_flops;
  double attention_flops;          ///< Per unit.
  double squared_attention_flops;  ///< Per squared token.
  std::int64_t parameters;
};

[[nodiscard]] inline layer_cost transformer_layer_cost(const layer_builder& build,
                                                       const transformer_layer& shape,
                                                       layer_builder::gradients gradients,
                                                       bool trainable) {
  const double h = shape.hidden;
  const double replicated = shape.tokens * build.replicated(8 * h);
  const double divided =
      shape.tokens * build.divided(4 * shape.query_width + 4 * shape.key_width + 4 * shape.heads +
                                   (shape.gated ? 6 : 4) * shape.ffn);
  const double input = shape.tokens * build.replicated(2 * h);
  const double restorable = shape.tokens * (build.replicated(4 * h) + build.divided(2 * shape.ffn));

  const double communication = 2 * build.all_reduce_seconds(shape.tokens * 2 * h) +
                               build.all_gather_seconds(shape.tokens * 2 * shape.gathered_width);
  const linear_cost attention =
      build.squared_token_seconds(build.attention_seconds(shape.squared_attention_flops));
  layer_cost layer{.name = shape.name,
                   .kind = shape.kind,
                   .parameters = shape.parameters,
                   .trainable = trainable};
  layer.forward_time =
      build.seconds(shape.per, build.matrix_seconds(shape.matrix_flops) +
                                   build.attention_seconds(shape.attention_flops) + communication) +
      attention + build.overhead();
  layer.forward_latency = build.transfer_time(shape.per, shape.tokens * 2 * h);
  layer.output_bytes = build.cost(shape.per, build.replicated(shape.tokens * 2 * h));
  layer.static_bytes = build.static_bytes(shape.parameters, trainable);
  build.set_step_times(layer);
  if (!gradients.any()) {
    layer.modes = {{.kind = recompute_kind::none}};
    return layer;
  }
  layer.backward_time =
      build.seconds(shape.per, gradients.passes() * build.matrix_seconds(shape.matrix_flops) +
                                   2.5 * build.attention_seconds(shape.attention_flops) +
                                   communication) +
      build.squared_token_seconds(2.5 * build.attention_seconds(shape.squared_attention_flops)) +
      build.overhead();
  if (gradients.of_weights)
    layer.weight_gradient_time = build.seconds(shape.per, build.matrix_seconds(shape.matrix_flops));
  layer.backward_latency = layer.forward_latency;

  const linear_cost all = build.cost(shape.per, replicated + divided);
  const linear_cost reduced = build.cost(shape.per, replicated + divided - restorable);
  // Both norms read and write 2 h; the activation function reads one or two f and writes one.
  const double elementwise =
      shape.tokens * (build.replicated(8 * h) + build.divided((shape.gated ? 6 : 4) * shape.ffn));
  layer.modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = all},
                 {.name = "selective",
                  .kind = recompute_kind::selective,
                  .extra_time = build.seconds(shape.per, build.memory_seconds(elementwise)),
                  .saved_bytes = reduced,
                  .transient_bytes = build.cost(shape.per, restorable)},
                 {.name = "full",
                  .kind = recompute_kind::full,
                  .extra_time = layer.forward_time,
                  .saved_bytes = build.cost(shape.per, input),
                  .transient_bytes = all}};
  return layer;
}

[[nodiscard]] inline transformer_layer vision_layer(const model_shape& model, std::int64_t index) {
  const vision_shape& vision = model.vision;
  const bool windowed = vision.full_attention_layers >= 0 &&
                        (index + 1) * vision.full_attention_layers / vision.layers ==
                            index * vision.full_attention_layers / vision.layers;
  const std::int64_t span = windowed ? vision.window_tokens : vision.tokens_per_tile;
  return {.name = "vision" + std::to_string(index),
          .kind = layer_kind::vision,
          .per = layer_builder::unit::tile,
          .tokens = static_cast<double>(vision.tokens_per_tile),
          .hidden = static_cast<double>(vision.hidden),
          .query_width = static_cast<double>(attention_width(vision)),
          .key_width = static_cast<double>(attention_width(vision)),
          .gathered_width = 0,
          .heads = static_cast<double>(vision.heads),
          .ffn = static_cast<double>(vision.ffn),
          .gated = vision.gated,
          .matrix_flops = static_cast<double>(vision_matrix_flops(vision)),
          .attention_flops = static_cast<double>(vision_attention_flops(vision, span)),
          .squared_attention_flops = 0,
          .parameters = vision_layer_parameters(vision)};
}

[[nodiscard]] inline transformer_layer language_layer(const model_shape& model,
                                                      std::int64_t tensor_parallel,
                                                      std::int64_t index) {
  const language_shape& language = model.language;
  const bool shares = shares_key_heads(language, tensor_parallel);
  const std::int64_t key_heads = shares ? tensor_parallel : language.kv_heads;
  return {.name = "language" + std::to_string(index),
          .kind = layer_kind::language,
          .per = layer_builder::unit::token,
          .tokens = 1,
          .hidden = static_cast<double>(language.hidden),
          .query_width = static_cast<double>(language.hidden),
          .key_width = static_cast<double>(language.hidden / language.heads * key_heads),
          .gathered_width =
              shares ? static_cast<double>(language.hidden + 2 * key_width(language)) : 0.0,
          .heads = static_cast<double>(language.heads),
          .ffn = static_cast<double>(language.ffn),
          .gated = true,
          .matrix_flops = static_cast<double>(language_matrix_flops(language)),
          .attention_flops = 0,
          .squared_attention_flops = static_cast<double>(language_attention_flops(language)),
          .parameters = language_layer_parameters(language)};
}

[[nodiscard]] inline layer_cost projector_layer(const layer_builder& build,
                                                const model_shape& model,
                                                layer_builder::gradients gradients) {
  using unit = layer_builder::unit;
  const auto tokens = static_cast<double>(model.language_tokens_per_tile);
  double saved = 0;
  for (const auto& [in, out] : model.projector) saved += 2.0 * static_cast<double>(in + out);
  layer_cost layer{.name = "projector",
                   .kind = layer_kind::projector,
                   .parameters = projector_parameters(model)};
  const double matrix = build.matrix_seconds(static_cast<double>(projector_flops(model)));
  layer.forward_time = build.seconds(unit::tile, matrix);
  layer.backward_time = build.seconds(unit::tile, gradients.passes() * matrix);
  layer.weight_gradient_time = build.seconds(unit::tile, matrix);
  const double output = tokens * 2 * static_cast<double>(model.language.hidden);
  layer.forward_latency = build.transfer_time(unit::tile, output);
  layer.output_bytes = build.cost(unit::tile, build.replicated(output));
  layer.backward_latency = layer.forward_latency;
  layer.static_bytes = build.static_bytes(layer.parameters, true);
  build.set_step_times(layer);
  layer.modes = {{.name = "none",
                  .kind = recompute_kind::none,
                  .saved_bytes = build.cost(unit::tile, tokens * saved)}};
  return layer;
}

/// Lookup and gradient scatter are bound by memory bandwidth: they read and write 2 h per token.
[[nodiscard]] inline layer_cost embedding_layer(const layer_builder& build,
                                                const language_shape& language, bool trainable) {
  using unit = layer_builder::unit;
  const double row = 2.0 * static_cast<double>(language.hidden);
  layer_cost layer{.name = "embedding",
                   .kind = layer_kind::embedding,
                   .parameters = embedding_parameters(language),
                   .trainable = trainable};
  const double lookup = build.memory_seconds(2 * row) + build.all_reduce_seconds(row);
  layer.forward_time = build.seconds(unit::token, lookup);
  layer.backward_time = build.seconds(unit::token, trainable ? build.memory_seconds(3 * row) : 0.0);
  layer.weight_gradient_time = layer.backward_time;
  layer.forward_latency = build.transfer_time(unit::token, row);
  layer.output_bytes = build.cost(unit::token, build.replicated(row));
  layer.backward_latency = layer.forward_latency;
  layer.static_bytes = build.static_bytes(layer.parameters, trainable);
  build.set_step_times(layer);
  layer.modes = {
      {.name = "none", .kind = recompute_kind::none, .saved_bytes = build.cost(unit::token, 8)}};
  return layer;
}

/// Final norm, vocabulary-parallel logits (bf16) and loss (fp32 probabilities).
[[nodiscard]] inline layer_cost head_layer(const layer_builder& build,
                                           const language_shape& language,
                                           layer_builder::gradients gradients, bool trainable) {
  using unit = layer_builder::unit;
  const auto h = static_cast<double>(language.hidden);
  const auto vocabulary = static_cast<double>(language.vocabulary);
  layer_cost layer{.name = "head",
                   .kind = layer_kind::head,
                   .parameters = embedding_parameters(language),
                   .trainable = trainable};
  const double matrix = build.matrix_seconds(static_cast<double>(head_flops(language)));
  const double loss = build.memory_seconds(build.divided(6 * vocabulary));
  layer.forward_time = build.seconds(unit::token, matrix + loss);
  layer.backward_time = build.seconds(
      unit::token, gradients.passes() * matrix + loss + build.all_reduce_seconds(2 * h));
  if (trainable) layer.weight_gradient_time = build.seconds(unit::token, matrix);
  layer.static_bytes = build.static_bytes(layer.parameters, trainable);
  build.set_step_times(layer);
  const linear_cost all =
      build.cost(unit::token, build.replicated(4 * h) + build.divided(6 * vocabulary));
  layer.modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = all},
                 {.name = "full",
                  .kind = recompute_kind::full,
                  .extra_time = layer.forward_time,
                  .saved_bytes = build.cost(unit::token, build.replicated(2 * h)),
                  .transient_bytes = all}};
  return layer;
}

template <typename Measure>
[[nodiscard]] std::size_t least_mode(const layer_cost& layer, const Measure& measure) {
  return static_cast<std::size_t>(std::ranges::min_element(layer.modes, {}, measure) -
                                  layer.modes.begin());
}

}  // namespace detail

OMNIBAL_INLINE std::size_t bare_mode(const layer_cost& layer, const workload& work) {
  if (const auto known = mode_of_kind(layer.modes, recompute_kind::none)) return *known;
  return detail::least_mode(layer, [&](const mode_cost& mode) {
    return std::tuple(mode.extra_time.of(work), mode.saved_bytes.of(work),
                      mode.transient_bytes.of(work));
  });
}

OMNIBAL_INLINE std::size_t full_mode(const layer_cost& layer, const workload& work) {
  if (const auto known = mode_of_kind(layer.modes, recompute_kind::full)) return *known;
  return detail::least_mode(layer, [&](const mode_cost& mode) {
    return std::tuple(mode.saved_bytes.of(work), mode.extra_time.of(work),
                      mode.transient_bytes.of(work));
  });
}

OMNIBAL_INLINE std::vector<layer_cost> cost_layers(const model_shape& given,
                                                   const device_shape& device,
                                                   const training_setup& setup) {
  validate(given);
  validate(device);
  validate(setup, given);
  const model_shape model = padded_model(given, setup.tensor_parallel);
  using gradients = detail::layer_builder::gradients;
  const detail::layer_builder build(device, setup);
  const bool trains_vision = setup.freeze != frozen_part::vision;
  const bool trains_language = setup.freeze != frozen_part::language;
  // Layers below the lowest trainable one need no gradients; that layer itself needs none of its
  // inputs. A frozen layer above it passes gradients through.
  std::vector<layer_cost> layers;
  for (std::int64_t l = 0; l < model.vision.layers; ++l)
    layers.push_back(detail::transformer_layer_cost(
        build, detail::vision_layer(model, l),
        trains_vision ? gradients{.of_inputs = l > 0} : gradients{false, false}, trains_vision));
  layers.push_back(detail::projector_layer(build, model, gradients{.of_inputs = trains_vision}));
  layers.push_back(detail::embedding_layer(build, model.language, trains_language));
  for (std::int64_t l = 0; l < model.language.layers; ++l)
    layers.push_back(detail::transformer_layer_cost(
        build, detail::language_layer(model, setup.tensor_parallel, l),
        gradients{.of_weights = trains_language}, trains_language));
  layers.push_back(detail::head_layer(build, model.language,
                                      gradients{.of_weights = trains_language}, trains_language));
  return layers;
}

}  // namespace omnibal::inline v0
