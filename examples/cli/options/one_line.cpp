// SPDX-License-Identifier: Apache-2.0
#include "options/one_line.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include <omnibal/core/utf8.hpp>

namespace omnibal::cli {
namespace {

/// Those of ASCII and, in UTF-8, U+0080 to U+009F.
bool is_control(std::string_view character) {
  const auto byte = static_cast<unsigned char>(character.front());
  if (character.size() == 1) return byte < 0x20 || byte == 0x7F;
  return byte == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

/// The text with what is not printable as \x and codes, but for the character `plain`.
std::string shown(std::string_view text, char plain) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string line;
  while (!text.empty()) {
    const std::size_t size = utf8_character_size(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(1, size));
    if (size > 0 && (character.front() == plain || !is_control(character))) {
      line += character;
    } else {
      for (const char byte : character) {
        const auto code = static_cast<unsigned char>(byte);
        line += "\\x";
        line += digits[code >> 4];
        line += digits[code & 15];
      }
    }
    text.remove_prefix(character.size());
  }
  return line;
}

}  // namespace

std::string one_line(std::string_view text) { return shown(text, ' '); }

std::string printable(std::string_view text) { return shown(text, '\n'); }

std::string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most - 3;
  while (end > 0 && std::countl_one(static_cast<unsigned char>(text[end])) == 1) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace omnibal::cli
