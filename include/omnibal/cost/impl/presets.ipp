// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/presets.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// InternViT-6B cut to 45 layers, as the InternVL 1.5 and 2 families use it.
[[nodiscard]] constexpr vision_shape intern_vit_6b() {
  return {.layers = 45,
          .hidden = 3200,
          .heads = 25,
          .ffn = 12800,
          .tokens_per_tile = 1025,
          .qkv_bias = false,
          .rms_norm = true,
          .layer_scale = true,
          .qk_norm = true};
}

/// CLIP ViT-L/14 at 336 pixels without its last layer.
[[nodiscard]] constexpr vision_shape clip_large_336() {
  return {.layers = 23, .hidden = 1024, .heads = 16, .ffn = 4096, .tokens_per_tile = 577};
}

[[nodiscard]] constexpr language_shape qwen2_7b() {
  return {.layers = 28,
          .hidden = 3584,
          .heads = 28,
          .kv_heads = 4,
          .ffn = 18944,
          .vocabulary = 152064,
          .qkv_bias = true};
}

}  // namespace detail

OMNIBAL_INLINE std::vector<model_shape> model_presets() {
  return {
      {.id = "internvl-chat-1.5",
       .name = "InternVL-Chat-1.5 (6+20B)",
       .vision = detail::intern_vit_6b(),
       .projector = {{12800, 6144}, {6144, 6144}},
       .language = {.layers = 48,
                    .hidden = 6144,
                    .heads = 48,
                    .kv_heads = 8,
                    .ffn = 16384,
                    .vocabulary = 92553},
       .language_tokens_per_tile = 256},
      {.id = "internvl2-40b",
       .name = "InternVL2-40B (6+34B)",
       .vision = detail::intern_vit_6b(),
       .projector = {{12800, 7168}, {7168, 7168}},
       .language = {.layers = 60,
                    .hidden = 7168,
                    .heads = 56,
                    .kv_heads = 8,
                    .ffn = 20480,
                    .vocabulary = 64000},
       .language_tokens_per_tile = 256},
      {.id = "internvl2-llama3-76b",
       .name = "InternVL2-Llama3-76B (6+70B)",
       .vision = detail::intern_vit_6b(),
       .projector = {{12800, 8192}, {8192, 8192}},
       .language = {.layers = 80,
                    .hidden = 8192,
                    .heads = 64,
                    .kv_heads = 8,
                    .ffn = 28672,
                    .vocabulary = 128256},
       .language_tokens_per_tile = 256},
      {.id = "internvl2-8b",
       .name = "InternVL2-8B",
       .vision = {.layers = 24,
                  .hidden = 1024,
                  .heads = 16,
                  .ffn = 4096,
                  .tokens_per_tile = 1025,
                  .layer_scale = true},
       .projector = {{4096, 4096}, {4096, 4096}},
       .language = {.layers = 32,
                    .hidden = 4096,
                    .heads = 32,
                    .kv_heads = 8,
                    .ffn = 14336,
                    .vocabulary = 92553},
       .language_tokens_per_tile = 256},
      {.id = "llava-1.5-7b",
       .name = "LLaVA-1.5-7B",
       .vision = detail::clip_large_336(),
       .projector = {{1024, 4096}, {4096, 4096}},
       .language = {.layers = 32,
                    .hidden = 4096,
                    .heads = 32,
                    .kv_heads = 32,
                    .ffn = 11008,
                    .vocabulary = 32000},
       .language_tokens_per_tile = 576},
      {.id = "llava-1.5-13b",
       .name = "LLaVA-1.5-13B",
       .vision = detail::clip_large_336(),
       .projector = {{1024, 5120}, {5120, 5120}},
       .language = {.layers = 40,
                    .hidden = 5120,
                    .heads = 40,
                    .kv_heads = 40,
                    .ffn = 13824,
                    .vocabulary = 32000},
       .language_tokens_per_tile = 576},
      {.id = "llava-onevision-7b",
       .name = "LLaVA-OneVision-7B",
       .vision = {.layers = 26, .hidden = 1152, .heads = 16, .ffn = 4304, .tokens_per_tile = 729},
       .projector = {{1152, 3584}, {3584, 3584}},
       .language = detail::qwen2_7b(),
       .language_tokens_per_tile = 729},
      {.id = "qwen2-vl-7b",
       .name = "Qwen2-VL-7B",
       .vision = {.layers = 32, .hidden = 1280, .heads = 16, .ffn = 5120, .tokens_per_tile = 1024},
       .projector = {{5120, 5120}, {5120, 3584}},
       .language = detail::qwen2_7b(),
       .language_tokens_per_tile = 256},
      {.id = "qwen2.5-vl-7b",
       .name = "Qwen2.5-VL-7B",
       .vision = {.layers = 32,
                  .hidden = 1280,
                  .heads = 16,
                  .ffn = 3420,
                  .tokens_per_tile = 1024,
                  .gated = true,
                  .rms_norm = true,
                  .full_attention_layers = 4,
                  .window_tokens = 64},
       .projector = {{5120, 5120}, {5120, 3584}},
       .language = detail::qwen2_7b(),
       .language_tokens_per_tile = 256},
  };
}

}  // namespace omnibal::inline v0
