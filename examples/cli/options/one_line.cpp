// SPDX-License-Identifier: Apache-2.0
#include "options/one_line.hpp"

#include <bit>
#include <cstddef>

namespace omnibal::cli {
namespace {

/// How many bytes the UTF-8 character at the front takes, 0 where there is none.
std::size_t character_size(std::string_view text) {
  const int leading_ones = std::countl_one(static_cast<unsigned char>(text.front()));
  const std::size_t size = leading_ones == 0 ? 1 : static_cast<std::size_t>(leading_ones);
  if (leading_ones == 1 || leading_ones > 4 || size > text.size()) return 0;
  for (const char byte : text.substr(1, size - 1))
    if (std::countl_one(static_cast<unsigned char>(byte)) != 1) return 0;
  return size;
}

bool is_control(char byte) { return (byte >= 0 && byte < ' ') || byte == '\x7F'; }

}  // namespace

std::string one_line(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string line;
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size > 0 && !is_control(text.front())) {
      line += text.substr(0, size);
      text.remove_prefix(size);
    } else {
      const auto code = static_cast<unsigned char>(text.front());
      line += "\\x";
      line += digits[code >> 4];
      line += digits[code & 15];
      text.remove_prefix(1);
    }
  }
  return line;
}

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most - 3;
  while (end > 0 && std::countl_one(static_cast<unsigned char>(text[end])) == 1) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace omnibal::cli
