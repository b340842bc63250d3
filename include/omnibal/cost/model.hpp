// SPDX-License-Identifier: Apache-2.0
/// @file
/// The shape of a vision-language model (a vision transformer over image tiles, a projector, and a
/// decoder with grouped-query attention and a gated feed-forward), with the parameter counts and
/// forward FLOPs that follow from the shape alone (a multiply-add is two).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The vision transformer.
struct vision_shape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t head_width = 0;  ///< 0: hidden / heads.
  std::int64_t ffn = 0;         ///< Inner width of the feed-forward.
  std::int64_t tokens_per_tile = 0;
  bool gated = false;  ///< Three feed-forward matrices instead of two.
  bool bias = true;
  bool qkv_bias = true;
  bool rms_norm = false;  ///< Else LayerNorm, which has a bias.
  bool layer_scale = false;
  bool qk_norm = false;
  /// Layers that attend over the whole tile; the others attend within windows.
  std::int64_t full_attention_layers = -1;  ///< −1: all.
  std::int64_t window_tokens = 0;

  friend bool operator==(const vision_shape&, const vision_shape&) = default;
};

/// The decoder.
struct language_shape {
  std::int64_t layers = 0;
  std::int64_t hidden = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t ffn = 0;
  std::int64_t vocabulary = 0;
  bool qkv_bias = false;

  friend bool operator==(const language_shape&, const language_shape&) = default;
};

/// The whole model. cost/presets.hpp has those of public models.
struct model_shape {
  std::string id = {};
  std::string name = {};
  vision_shape vision = {};
  /// Input and output width of each linear layer, applied to every image token of the language
  /// model.
  std::vector<std::pair<std::int64_t, std::int64_t>> projector = {};
  language_shape language = {};
  std::int64_t language_tokens_per_tile = 0;

  friend bool operator==(const model_shape&, const model_shape&) = default;
};

/// Throws invalid_input naming a field that is not positive, too large, or does not divide as it
/// must.
void validate(const model_shape& model);

/// Width of the keys of one token, which grouped-query attention shares between heads.
[[nodiscard]] constexpr std::int64_t key_width(const language_shape& language) noexcept {
  return language.hidden / language.heads * language.kv_heads;
}

/// Width of all attention heads of a vision layer together.
[[nodiscard]] constexpr std::int64_t attention_width(const vision_shape& vision) noexcept {
  return vision.head_width > 0 ? vision.heads * vision.head_width : vision.hidden;
}

[[nodiscard]] constexpr std::int64_t vision_layer_parameters(const vision_shape& vision) noexcept {
  const std::int64_t h = vision.hidden;
  const std::int64_t w = attention_width(vision);
  const std::int64_t f = vision.ffn;
  const std::int64_t matrices = 4 * h * w + (vision.gated ? 3 : 2) * h * f;
  const std::int64_t biases =
      (vision.qkv_bias ? 3 * w : 0) + (vision.bias ? 2 * h + (vision.gated ? 2 * f : f) : 0);
  const std::int64_t norms = vision.rms_norm ? 2 * h : 4 * h;
  return matrices + biases + norms + (vision.layer_scale ? 2 * h : 0) +
         (vision.qk_norm ? 2 * w : 0);
}

[[nodiscard]] constexpr std::int64_t language_layer_parameters(
    const language_shape& language) noexcept {
  const std::int64_t h = language.hidden;
  const std::int64_t k = key_width(language);
  return 2 * h * h + 2 * h * k + 3 * h * language.ffn + 2 * h + (language.qkv_bias ? h + 2 * k : 0);
}

[[nodiscard]] std::int64_t projector_parameters(const model_shape& model);

/// Of the embedding, and as much again of the head.
[[nodiscard]] constexpr std::int64_t embedding_parameters(const language_shape& language) noexcept {
  return language.vocabulary * language.hidden;
}

/// Of all layers, the projector, the embedding and the head. What a checkpoint has besides, patch
/// and position embeddings and the norms before the first and after the last layer of a part, is a
/// fraction of a percent and in no layer; a head tied to the embedding is counted all the same.
[[nodiscard]] std::int64_t total_parameters(const model_shape& model);

/// FLOPs of one vision layer's matrices for one tile.
[[nodiscard]] constexpr std::int64_t vision_matrix_flops(const vision_shape& vision) noexcept {
  const std::int64_t h = vision.hidden;
  return 2 * vision.tokens_per_tile *
         (4 * h * attention_width(vision) + (vision.gated ? 3 : 2) * h * vision.ffn);
}

/// FLOPs of one vision layer's attention for one tile, each token attending to `span` tokens.
[[nodiscard]] constexpr std::int64_t vision_attention_flops(const vision_shape& vision,
                                                            std::int64_t span) noexcept {
  return 4 * vision.tokens_per_tile * span * attention_width(vision);
}

/// FLOPs of one language layer's matrices for one token.
[[nodiscard]] constexpr std::int64_t language_matrix_flops(
    const language_shape& language) noexcept {
  const std::int64_t h = language.hidden;
  return 2 * (2 * h * h + 2 * h * key_width(language) + 3 * h * language.ffn);
}

/// FLOPs of one language layer's causal attention for a sub-sequence of one token; times its
/// length squared.
[[nodiscard]] constexpr std::int64_t language_attention_flops(
    const language_shape& language) noexcept {
  return 2 * language.hidden;
}

/// FLOPs of the projector for one tile.
[[nodiscard]] std::int64_t projector_flops(const model_shape& model);

/// FLOPs of the head for one token.
[[nodiscard]] constexpr std::int64_t head_flops(const language_shape& language) noexcept {
  return 2 * language.hidden * language.vocabulary;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/model.ipp>
#endif
