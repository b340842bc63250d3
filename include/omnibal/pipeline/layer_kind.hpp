// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a layer of a vision-language model is. Neither its name nor its place in the chain says so.
#pragma once

#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

enum class layer_kind {
  custom,     ///< Anything else.
  vision,     ///< A block of the vision encoder, the patch embedding included.
  projector,  ///< From the vision encoder to the language model.
  embedding,  ///< Of tokens.
  language,   ///< A block of the language model.
  head,       ///< Of the language model, the loss included.
};

[[nodiscard]] constexpr std::string_view to_string(layer_kind kind) noexcept {
  switch (kind) {
    case layer_kind::custom: return "custom";
    case layer_kind::vision: return "vision";
    case layer_kind::projector: return "projector";
    case layer_kind::embedding: return "embedding";
    case layer_kind::language: return "language";
    case layer_kind::head: return "head";
  }
  return "unknown";
}

/// A layer's name without the number behind it.
[[nodiscard]] constexpr std::string_view name_without_number(std::string_view name) noexcept {
  return name.substr(0, name.find_last_not_of("0123456789") + 1);
}

/// The kind that a layer of this name has in files: `vision`, `projector`, `embedding`, `language`
/// or `head`, `vision` and `language` also with a number behind; others are custom.
[[nodiscard]] constexpr layer_kind layer_kind_named(std::string_view name) noexcept {
  for (const auto kind : {layer_kind::vision, layer_kind::language})
    if (to_string(kind) == name_without_number(name)) return kind;
  for (const auto kind : {layer_kind::projector, layer_kind::embedding, layer_kind::head})
    if (to_string(kind) == name) return kind;
  return layer_kind::custom;
}

}  // namespace omnibal::inline v0
