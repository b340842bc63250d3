// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/model.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const model_shape& model) {
  constexpr std::int64_t largest = std::int64_t{1} << 24;
  const auto positive = [](const char* field, std::int64_t value) {
    if (value <= 0 || value > largest) throw invalid_input(field, value, "must be from 1 to 2^24");
  };
  positive("vision.layers", model.vision.layers);
  positive("vision.hidden", model.vision.hidden);
  positive("vision.heads", model.vision.heads);
  positive("vision.ffn", model.vision.ffn);
  positive("vision.tokens_per_tile", model.vision.tokens_per_tile);
  positive("language.layers", model.language.layers);
  positive("language.hidden", model.language.hidden);
  positive("language.heads", model.language.heads);
  positive("language.kv_heads", model.language.kv_heads);
  positive("language.ffn", model.language.ffn);
  positive("language.vocabulary", model.language.vocabulary);
  positive("language_tokens_per_tile", model.language_tokens_per_tile);
  if (model.vision.head_width < 0 || model.vision.head_width > largest)
    throw invalid_input("vision.head_width", model.vision.head_width,
                        "must be 0, for vision.hidden / vision.heads, or at most 2^24");
  if (model.vision.head_width == 0 && model.vision.hidden % model.vision.heads != 0)
    throw invalid_input("vision.heads", model.vision.heads, "must divide vision.hidden");
  if (model.language.hidden % model.language.heads != 0)
    throw invalid_input("language.heads", model.language.heads, "must divide language.hidden");
  if (model.language.heads % model.language.kv_heads != 0)
    throw invalid_input("language.kv_heads", model.language.kv_heads, "must divide language.heads");
  if (model.vision.full_attention_layers > model.vision.layers)
    throw invalid_input("vision.full_attention_layers", model.vision.full_attention_layers,
                        "must not be more than vision.layers");
  for (std::size_t i = 0; i < model.projector.size(); ++i) {
    for (const std::int64_t width : {model.projector[i].first, model.projector[i].second})
      if (width <= 0 || width > largest)
        throw invalid_input("projector", i, width, "must be from 1 to 2^24");
  }
}

OMNIBAL_INLINE std::int64_t projector_parameters(const model_shape& model) {
  std::int64_t sum = 0;
  for (const auto& [in, out] : model.projector) sum += in * out + out;
  return sum;
}

OMNIBAL_INLINE std::int64_t total_parameters(const model_shape& model) {
  return model.vision.layers * vision_layer_parameters(model.vision) + projector_parameters(model) +
         model.language.layers * language_layer_parameters(model.language) +
         2 * embedding_parameters(model.language);
}

OMNIBAL_INLINE std::int64_t projector_flops(const model_shape& model) {
  std::int64_t sum = 0;
  for (const auto& [in, out] : model.projector) sum += 2 * in * out;
  return sum * model.language_tokens_per_tile;
}

}  // namespace omnibal::inline v0
