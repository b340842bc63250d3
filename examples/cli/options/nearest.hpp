// SPDX-License-Identifier: Apache-2.0
/// @file
/// The known word nearest to a mistyped one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace omnibal::cli {

/// The word that takes the fewest letters put in, taken out, changed or swapped with their
/// neighbour; nothing when even that one is more than a third of the letters away. The first of
/// equals. O(total length x length of text).
[[nodiscard]] std::optional<std::string> nearest(std::string_view text,
                                                 std::span<const std::string> words);

}  // namespace omnibal::cli
