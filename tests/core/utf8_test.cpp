// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <omnibal/core/utf8.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

/// The encoding of a code point in so many bytes, right or not.
std::string encoded(std::uint32_t code, std::size_t size) {
  if (size == 1) return std::string(1, static_cast<char>(code));
  std::string text(size, '\0');
  for (std::size_t k = size - 1; k > 0; --k, code >>= 6)
    text[k] = static_cast<char>(0x80 | (code & 0x3F));
  text[0] = static_cast<char>((0xF00 >> size & 0xFF) | code);
  return text;
}

}  // namespace

TEST_CASE("utf8_character_size takes every character in its shortest form only") {
  for (std::uint32_t code = 0; code < 0x110000; code += code < 0x1000 ? 1 : 61) {
    const std::size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    REQUIRE(utf8_character_size(encoded(code, shortest) + "x") == (surrogate ? 0 : shortest));
    for (std::size_t longer = shortest + 1; longer <= 4; ++longer)
      REQUIRE(utf8_character_size(encoded(code, longer)) == 0);
    for (std::size_t cut = 1; cut < shortest; ++cut)
      REQUIRE(utf8_character_size(std::string_view(encoded(code, shortest)).substr(0, cut)) == 0);
  }
}

TEST_CASE("utf8_character_size takes nothing else") {
  CHECK(utf8_character_size("") == 0);
  CHECK(utf8_character_size("\x80") == 0);
  CHECK(utf8_character_size("\xFF") == 0);
  CHECK(utf8_character_size("\xC3(") == 0);
  CHECK(utf8_character_size("\xF4\x90\x80\x80") == 0);
  CHECK(utf8_character_size("\xF8\x88\x80\x80\x80") == 0);
}
