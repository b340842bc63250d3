// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which bytes are UTF-8: names of files may be any bytes, and JSON, HTML and SVG may not.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The number of bytes of the character at the front of a text, 0 where there is none that is
/// well-formed UTF-8: neither longer than need be, nor a surrogate, nor beyond U+10FFFF. O(1).
/// Source: RFC 3629.
[[nodiscard]] constexpr std::size_t utf8_character_size(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
  const auto size = static_cast<std::size_t>(std::countl_one(byte(0)));
  if (size == 0) return 1;
  if (size == 1 || size > 4 || size > text.size()) return 0;
  std::uint32_t code = byte(0) & (0xFFU >> (size + 1));
  for (std::size_t k = 1; k < size; ++k) {
    if (std::countl_one(byte(k)) != 1) return 0;
    code = code << 6 | (byte(k) & 0x3FU);
  }
  constexpr std::uint32_t least[] = {0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return code < least[size - 2] || surrogate || code > 0x10FFFF ? 0 : size;
}

}  // namespace omnibal::inline v0
