// SPDX-License-Identifier: Apache-2.0
/// @file
/// Messages that quote files and their names stay one line that any terminal can show.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace omnibal::cli {

/// The text with control characters, and bytes that are not UTF-8, written as \x and their code.
[[nodiscard]] std::string one_line(std::string_view text);

/// The same for text of several lines.
[[nodiscard]] std::string printable(std::string_view text);

/// The text if it has at most so many bytes; otherwise its beginning and "...", together no more.
/// Characters of UTF-8 stay whole. Precondition: at least 3.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

}  // namespace omnibal::cli
