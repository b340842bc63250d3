// SPDX-License-Identifier: Apache-2.0
/// @file
/// Lists of numbers as the text of JSON. Files of millions of samples would take minutes as JSON
/// values.
#pragma once

#include <charconv>
#include <cstddef>
#include <span>
#include <string>

namespace omnibal::cli {

/// Appends "[1,2,3]".
template <typename Integer>
void append_list(std::span<const Integer> numbers, std::string& text) {
  char digits[24];
  text += '[';
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (k > 0) text += ',';
    const auto end = std::to_chars(digits, digits + sizeof digits, numbers[k]).ptr;
    text.append(digits, end);
  }
  text += ']';
}

}  // namespace omnibal::cli
