// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a recompute mode of a layer is. Neither its name nor its place in the list of modes says
/// so.
#pragma once

#include <cstddef>
#include <optional>
#include <ranges>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

enum class recompute_kind {
  custom,     ///< Anything else.
  none,       ///< Everything is saved, nothing is computed again.
  selective,  ///< A part is computed again, chosen by the trainer.
  full,       ///< Only the layer's input is saved.
};

[[nodiscard]] constexpr std::string_view to_string(recompute_kind kind) noexcept {
  switch (kind) {
    case recompute_kind::custom: return "custom";
    case recompute_kind::none: return "none";
    case recompute_kind::selective: return "selective";
    case recompute_kind::full: return "full";
  }
  return "unknown";
}

/// The kind that a mode of this name has in files: `none`, `selective`, `full`; others are custom.
[[nodiscard]] constexpr recompute_kind recompute_kind_named(std::string_view name) noexcept {
  for (const auto kind : {recompute_kind::none, recompute_kind::selective, recompute_kind::full})
    if (to_string(kind) == name) return kind;
  return recompute_kind::custom;
}

/// The index of the first mode of this kind; nothing if there is none. O(modes).
template <std::ranges::random_access_range Modes>
[[nodiscard]] constexpr std::optional<std::size_t> mode_of_kind(const Modes& modes,
                                                                recompute_kind kind) {
  for (std::size_t m = 0; m < std::ranges::size(modes); ++m)
    if (modes[m].kind == kind) return m;
  return std::nullopt;
}

}  // namespace omnibal::inline v0
