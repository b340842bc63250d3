// SPDX-License-Identifier: Apache-2.0
/// @file
/// JSON Lines: one JSON value per line.
#pragma once

#include <algorithm>
#include <string_view>

namespace omnibal::cli {

/// Calls visit(line) for each line that is not blank, without its end.
template <typename Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) visit(line);
  }
}

}  // namespace omnibal::cli
