// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/core/byte_stream.hpp>

#include "catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::array<std::uint32_t, 2> list{0xFFFFFFFF, 3};

std::vector<std::byte> some_bytes(std::uint32_t version = 7) {
  byte_writer writer("OMNITEST", version);
  writer.add(std::uint64_t{0x0102030405060708});
  writer.add(std::span(list));
  return writer.finish();
}

/// What reading these bytes throws, or an empty text.
std::string refusal(std::span<const std::byte> bytes) {
  try {
    byte_reader reader("thing", bytes, "OMNITEST", 7);
    const auto number = reader.read<std::uint64_t>();
    const auto numbers = reader.read_list<std::uint32_t>();
    CHECK(number == 0x0102030405060708);
    CHECK(std::ranges::equal(numbers, list));
    reader.expect_end();
  } catch (const invalid_input& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("numbers come back from their bytes") { CHECK(refusal(some_bytes()).empty()); }

TEST_CASE("numbers are written little-endian after mark and version") {
  const auto bytes = some_bytes();
  REQUIRE(bytes.size() == 8 + 4 + 8 + 8 + 2 * 4 + 8);
  CHECK(bytes[0] == std::byte{'O'});
  CHECK(bytes[8] == std::byte{7});
  CHECK(bytes[12] == std::byte{8});
  CHECK(bytes[19] == std::byte{1});
}

TEST_CASE("bytes that were changed anywhere or cut anywhere are refused") {
  const auto bytes = some_bytes();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] ^= std::byte{16};
    REQUIRE_FALSE(refusal(changed).empty());
    REQUIRE_FALSE(refusal(std::span(bytes).first(at)).empty());
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  CHECK_THAT(refusal(longer), ContainsSubstring("thing checksum"));
}

TEST_CASE("bytes of another version or another thing are refused") {
  CHECK(refusal(some_bytes(8)) ==
        "thing version = 8: must be 7: it was written by another release");
  byte_writer other("OMNIELSE", 7);
  CHECK_THAT(refusal(other.finish()), ContainsSubstring("bytes hold something else"));
}

TEST_CASE("bytes with too little or too much in them are refused though their checksum holds") {
  byte_writer little("OMNITEST", 7);
  little.add(std::uint64_t{0x0102030405060708});
  little.add(~std::uint64_t{0});  // as many numbers as nobody has
  CHECK_THAT(refusal(little.finish()), ContainsSubstring("too few"));
  byte_writer much("OMNITEST", 7);
  much.add(std::uint64_t{0x0102030405060708});
  much.add(std::span(list));
  much.add(std::uint8_t{1});
  CHECK_THAT(refusal(much.finish()), ContainsSubstring("too many"));
}
