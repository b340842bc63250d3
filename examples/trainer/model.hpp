// SPDX-License-Identifier: Apache-2.0
/// @file
/// The trainer's models: a chain of layers in three sizes, and how one layer of a chain is made.
///
///     patch_embedding, vision0, …, projector, embedding, language0, …, head
///
/// Any cut of the chain into stages starts from the same weights: those of a layer follow from the
/// seed and its index in the chain.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

#include "layers.hpp"
#include "machine.hpp"

namespace omnibal::trainer {

// ---- sizes --------------------------------------------------------------------------------------

/// A model: its layers as the library counts them, and its tiles. Norms are RMS norms; the tower
/// has no biases, the projector does.
struct model_config {
  model_shape shape = {};
  tile_shape tiles = {};
  double rotary_base = 100;  ///< Documents are short: with 10,000 half of the angles hardly move.
  /// What layers compute with and save: f32, or bf16 with sums and parameters in f32. What passes
  /// between layers is f32.
  element_type numbers = element_type::f32;
  frozen_part frozen = frozen_part::none;  ///< The layers that are not trained.
  /// Whether a GPU's own kernels compute attention, in layers of bf16.
  bool fused_attention = false;

  [[nodiscard]] std::size_t vocabulary() const noexcept {
    return static_cast<std::size_t>(shape.language.vocabulary);
  }
};

/// The names of what may be frozen.
inline constexpr std::array<std::string_view, 3> frozen_names = {"none", "vision", "language"};

[[nodiscard]] constexpr std::string_view to_string(frozen_part part) noexcept {
  return frozen_names[static_cast<std::size_t>(part)];
}

/// The names that model_of() knows.
inline constexpr std::array<std::string_view, 3> model_names = {"tiny", "small", "1b"};

/// The model of this name (0.3 million, 20 million, a billion parameters) for a vocabulary. Throws
/// invalid_input for another name and for a vocabulary of no token.
[[nodiscard]] model_config model_of(std::string_view name, std::int64_t vocabulary);

/// Parameters of all layers together: what the library counts, and the patch embedding and the last
/// norm, which it does not.
[[nodiscard]] std::int64_t parameter_count(const model_config& config);

// ---- the chain of layers ------------------------------------------------------------------------

enum class model_layer { patch_embedding, vision, projector, embedding, language, head };

[[nodiscard]] std::size_t layer_count(const model_config& config);

/// What the layer of this index is. Throws invalid_input beyond the last.
[[nodiscard]] model_layer layer_at(const model_config& config, std::size_t index);

/// Which gradients each layer computes: those below the lowest layer that is trained none, frozen
/// ones above it those of their inputs.
[[nodiscard]] std::vector<gradient_needs> gradients_of(const model_config& config);

/// What the planner takes a layer for.
[[nodiscard]] layer_kind kind_of(model_layer layer) noexcept;

/// Names of all layers in order; those of one kind are numbered, as in the library's presets.
[[nodiscard]] std::vector<std::string> layer_names(const model_config& config);

/// Rows and columns of what passes between two layers.
struct extent {
  std::size_t rows = 0;
  std::size_t columns = 0;

  [[nodiscard]] std::size_t size() const noexcept { return rows * columns; }
  friend bool operator==(const extent&, const extent&) = default;
};

/// What a layer passes on for a micro-batch: rows and columns of numbers; nothing after the head.
[[nodiscard]] extent output_of(const model_config& config, std::size_t layer, const workload& work);

// ---- a layer of any kind ------------------------------------------------------------------------

/// A layer with what it saved of each micro-batch in flight; layers/block.hpp says what the
/// functions do.
template <typename Real>
class any_layer {
 public:
  virtual ~any_layer() = default;

  /// Frees what is saved, makes room for this number of micro-batches, and takes the parameters as
  /// they are now.
  virtual void start(std::size_t microbatches) = 0;
  [[nodiscard]] virtual matrix<Real> forward(placed_batch& batch, std::size_t microbatch,
                                             matrix<Real> x, recompute_kind kind) = 0;
  [[nodiscard]] virtual matrix<Real> backward(placed_batch& batch, std::size_t microbatch,
                                              matrix<Real> dy) = 0;
  virtual void weight_gradient(placed_batch& batch, std::size_t microbatch) = 0;
  /// Frees what is saved of one micro-batch.
  virtual void forget(std::size_t microbatch) = 0;
  [[nodiscard]] virtual std::vector<trained_parameter<Real>*> parameters() = 0;
  [[nodiscard]] virtual std::int64_t saved_bytes(const workload& work,
                                                 recompute_kind kind) const = 0;
  [[nodiscard]] virtual std::int64_t waiting_bytes(const workload& work) const = 0;
  [[nodiscard]] virtual pass_peaks peak_bytes(const workload& work, recompute_kind kind) const = 0;
};

namespace detail {

/// A layer that computes in its own format and is given and gives rows of `wide` numbers.
template <typename Real, block<Real> Block>
class layer_of final : public any_layer<wide<Real>> {
 public:
  template <typename... Arguments>
  explicit layer_of(machine& on, const Arguments&... arguments) : on_(on), block_(arguments...) {}

  void start(std::size_t microbatches) override {
    saved_.clear();
    saved_.resize(microbatches);
    for (layer_parameter<Real>* one : block_.parameters()) round_value(on_, *one);
  }
  matrix<wide<Real>> forward(placed_batch& batch, std::size_t microbatch, matrix<wide<Real>> x,
                             recompute_kind kind) override {
    return converted<wide<Real>>(
        on_, block_.forward(batch, converted<Real>(on_, std::move(x)), kind, saved_[microbatch]));
  }
  matrix<wide<Real>> backward(placed_batch& batch, std::size_t microbatch,
                              matrix<wide<Real>> dy) override {
    return converted<wide<Real>>(
        on_, block_.backward(batch, converted<Real>(on_, std::move(dy)), saved_[microbatch]));
  }
  void weight_gradient(placed_batch& batch, std::size_t microbatch) override {
    block_.weight_gradient(batch, saved_[microbatch]);
    forget(microbatch);
  }
  void forget(std::size_t microbatch) override { saved_[microbatch] = {}; }
  std::vector<trained_parameter<wide<Real>>*> parameters() override {
    const std::vector<layer_parameter<Real>*> all = block_.parameters();
    return {all.begin(), all.end()};
  }
  std::int64_t saved_bytes(const workload& work, recompute_kind kind) const override {
    return block_.saved_bytes(work, kind);
  }
  std::int64_t waiting_bytes(const workload& work) const override {
    return block_.waiting_bytes(work);
  }
  pass_peaks peak_bytes(const workload& work, recompute_kind kind) const override {
    return block_.peak_bytes(work, kind);
  }

 private:
  machine& on_;
  Block block_;
  std::vector<typename Block::saved> saved_ = {};
};

}  // namespace detail

/// The layer of this index with its initial values. Throws invalid_input beyond the last, and for
/// numbers other than f32, or bf16 where rows are floats.
template <typename Real>
[[nodiscard]] std::unique_ptr<any_layer<Real>> make_layer(machine& on, const model_config& config,
                                                          std::size_t index, std::uint64_t seed);

// ---- end of the interface, below is the implementation ------------------------------------------

namespace detail {

[[nodiscard]] inline block_shape vision_block_shape(const vision_shape& vision) {
  const auto columns = static_cast<std::size_t>(vision.hidden);
  const auto heads = static_cast<std::size_t>(vision.heads);
  return {.columns = columns,
          .heads = {.heads = heads, .key_heads = heads, .width = columns / heads},
          .feed_forward = static_cast<std::size_t>(vision.ffn)};
}

[[nodiscard]] inline block_shape language_block_shape(const language_shape& language) {
  const auto columns = static_cast<std::size_t>(language.hidden);
  const auto heads = static_cast<std::size_t>(language.heads);
  return {.columns = columns,
          .heads = {.heads = heads,
                    .key_heads = static_cast<std::size_t>(language.kv_heads),
                    .width = columns / heads},
          .feed_forward = static_cast<std::size_t>(language.ffn)};
}

/// A tower without biases, a projector of two layers, a decoder; tiles as the task makes them.
[[nodiscard]] inline model_config config_of(std::string_view name, vision_shape vision,
                                            language_shape language) {
  const tile_shape tiles = {.side = 16, .patch = 4, .merge = 2};
  vision.tokens_per_tile = static_cast<std::int64_t>(tiles.patches());
  vision.bias = false;
  vision.qkv_bias = false;
  vision.rms_norm = true;
  const std::int64_t merged = vision.hidden * static_cast<std::int64_t>(tiles.merged_patches());
  return {.shape = {.id = std::string(name),
                    .name = "trainer " + std::string(name),
                    .vision = vision,
                    .projector = {{merged, language.hidden}, {language.hidden, language.hidden}},
                    .language = language,
                    .language_tokens_per_tile = static_cast<std::int64_t>(tiles.image_rows())},
          .tiles = tiles};
}

}  // namespace detail

inline model_config model_of(std::string_view name, std::int64_t vocabulary) {
  if (vocabulary < 1) throw invalid_input("vocabulary", vocabulary, "must be at least 1");
  if (name == "tiny")
    return detail::config_of(name, {.layers = 2, .hidden = 64, .heads = 4, .ffn = 256},
                             {.layers = 4,
                              .hidden = 64,
                              .heads = 4,
                              .kv_heads = 2,
                              .ffn = 176,
                              .vocabulary = vocabulary});
  if (name == "small")
    return detail::config_of(name, {.layers = 4, .hidden = 256, .heads = 4, .ffn = 1024},
                             {.layers = 9,
                              .hidden = 384,
                              .heads = 6,
                              .kv_heads = 3,
                              .ffn = 1152,
                              .vocabulary = vocabulary});
  if (name == "1b")
    return detail::config_of(name, {.layers = 24, .hidden = 1024, .heads = 16, .ffn = 4096},
                             {.layers = 16,
                              .hidden = 2048,
                              .heads = 16,
                              .kv_heads = 8,
                              .ffn = 5632,
                              .vocabulary = vocabulary});
  throw invalid_input("model", name, "must be tiny, small or 1b");
}

inline std::int64_t parameter_count(const model_config& config) {
  const auto patches =
      static_cast<std::int64_t>(config.tiles.patch_pixels() + config.tiles.patches());
  return total_parameters(config.shape) + patches * config.shape.vision.hidden +
         config.shape.language.hidden;
}

inline std::size_t layer_count(const model_config& config) {
  return static_cast<std::size_t>(config.shape.vision.layers + config.shape.language.layers) + 4;
}

inline model_layer layer_at(const model_config& config, std::size_t index) {
  const std::size_t projector_at = static_cast<std::size_t>(config.shape.vision.layers) + 1;
  const std::size_t head_at = layer_count(config) - 1;
  if (index > head_at)
    throw invalid_input("layer", index, "must be at most " + std::to_string(head_at));
  if (index == 0) return model_layer::patch_embedding;
  if (index < projector_at) return model_layer::vision;
  if (index == projector_at) return model_layer::projector;
  if (index == projector_at + 1) return model_layer::embedding;
  return index < head_at ? model_layer::language : model_layer::head;
}

inline std::vector<gradient_needs> gradients_of(const model_config& config) {
  const auto is_frozen = [&](layer_kind kind) {
    switch (config.frozen) {
      case frozen_part::none: return false;
      case frozen_part::vision: return kind == layer_kind::vision;
      case frozen_part::language: break;
    }
    return kind != layer_kind::vision && kind != layer_kind::projector;
  };
  std::vector<layer_training> training;
  for (std::size_t l = 0; l < layer_count(config); ++l)
    training.push_back({.trainable = !is_frozen(kind_of(layer_at(config, l)))});
  return gradients_of(training);
}

inline layer_kind kind_of(model_layer layer) noexcept {
  switch (layer) {
    case model_layer::patch_embedding:
    case model_layer::vision: return layer_kind::vision;
    case model_layer::projector: return layer_kind::projector;
    case model_layer::embedding: return layer_kind::embedding;
    case model_layer::language: return layer_kind::language;
    case model_layer::head: break;
  }
  return layer_kind::head;
}

inline std::vector<std::string> layer_names(const model_config& config) {
  std::vector<std::string> names = {"patch_embedding"};
  for (std::int64_t i = 0; i < config.shape.vision.layers; ++i)
    names.push_back("vision" + std::to_string(i));
  names.insert(names.end(), {"projector", "embedding"});
  for (std::int64_t i = 0; i < config.shape.language.layers; ++i)
    names.push_back("language" + std::to_string(i));
  names.emplace_back("head");
  return names;
}

inline extent output_of(const model_config& config, std::size_t layer, const workload& work) {
  const auto tiles = static_cast<std::size_t>(work.tiles);
  const auto columns = static_cast<std::size_t>(config.shape.language.hidden);
  switch (layer_at(config, layer)) {
    case model_layer::patch_embedding:
    case model_layer::vision:
      return {tiles * config.tiles.patches(), static_cast<std::size_t>(config.shape.vision.hidden)};
    case model_layer::projector: return {tiles * config.tiles.image_rows(), columns};
    case model_layer::embedding:
    case model_layer::language: return {static_cast<std::size_t>(work.tokens), columns};
    case model_layer::head: break;
  }
  return {};
}

inline linear_cost output_cost(const model_config& config, std::size_t layer) {
  const auto bytes = [&](const workload& work) {
    return static_cast<double>(output_of(config, layer, work).size() * sizeof(float));
  };
  return cost_per({.tile = bytes({.tiles = 1}), .token = bytes({.tokens = 1})});
}

namespace detail {

/// One that computes in a format.
template <typename Real>
[[nodiscard]] std::unique_ptr<any_layer<wide<Real>>> make_layer_of(machine& on,
                                                                   const model_config& config,
                                                                   std::size_t index,
                                                                   std::uint64_t seed) {
  const initial_values initial(on, seed, index);
  const block_shape vision = detail::vision_block_shape(config.shape.vision);
  const block_shape language = detail::language_block_shape(config.shape.language);
  switch (layer_at(config, index)) {
    case model_layer::patch_embedding:
      return std::make_unique<layer_of<Real, patch_embedding<Real>>>(on, initial, config.tiles,
                                                                     vision.columns);
    case model_layer::vision:
      return std::make_unique<layer_of<Real, vision_block<Real>>>(
          on, initial, vision, tile_attention{config.tiles.patches()});
    case model_layer::projector:
      return std::make_unique<layer_of<Real, projector<Real>>>(on, initial, config.tiles,
                                                               vision.columns, language.columns);
    case model_layer::embedding:
      return std::make_unique<layer_of<Real, embedding<Real>>>(
          on, initial, config.tiles, config.vocabulary(), language.columns);
    case model_layer::language:
      return std::make_unique<layer_of<Real, decoder_block<Real>>>(
          on, initial, language, document_attention{config.rotary_base});
    case model_layer::head: break;
  }
  return std::make_unique<layer_of<Real, head<Real>>>(on, initial, language.columns,
                                                      config.vocabulary());
}

}  // namespace detail

template <typename Real>
std::unique_ptr<any_layer<Real>> make_layer(machine& on, const model_config& config,
                                            std::size_t index, std::uint64_t seed) {
  if (config.numbers == element_type::f32)
    return detail::make_layer_of<Real>(on, config, index, seed);
  if constexpr (std::same_as<Real, wide<bf16_number>>)
    if (config.numbers == element_type::bf16)
      return detail::make_layer_of<bf16_number>(on, config, index, seed);
  throw invalid_input("numbers", name_of(config.numbers), "must be f32, or bf16 of floats");
}

}  // namespace omnibal::trainer
