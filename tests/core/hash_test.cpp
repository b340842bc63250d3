// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>

#include "catch.hpp"

namespace {

using omnibal::hash_stream;
using omnibal::plan_hash;

std::uint64_t hash_of(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  hash_stream hash(seed);
  hash.add(bytes);
  return hash.value();
}

std::uint64_t hash_of(std::string_view text) {
  return hash_of(std::as_bytes(std::span(text.data(), text.size())));
}

/// The bytes over which the authors of xxHash state their known answers.
std::vector<std::byte> sanity_bytes(std::size_t count) {
  std::vector<std::byte> bytes;
  for (std::uint64_t generator = 2654435761; bytes.size() < count;
       generator *= 11400714785074694797U)
    bytes.push_back(static_cast<std::byte>(generator >> 56));
  return bytes;
}

}  // namespace

TEST_CASE("XXH64 gives the known answers of its authors") {
  const std::uint64_t seed = 2654435761;
  CHECK(hash_of(sanity_bytes(0)) == 0xEF46DB3751D8E999);
  CHECK(hash_of(sanity_bytes(0), seed) == 0xAC75FDA2929B17EF);
  CHECK(hash_of(sanity_bytes(1)) == 0xE934A84ADB052768);
  CHECK(hash_of(sanity_bytes(1), seed) == 0x5014607643A9B4C3);
  CHECK(hash_of(sanity_bytes(4)) == 0x9136A0DCA57457EE);
  CHECK(hash_of(sanity_bytes(14)) == 0x8282DCC4994E35C8);
  CHECK(hash_of(sanity_bytes(14), seed) == 0xC3BD6BF63DEB6DF0);
  CHECK(hash_of(sanity_bytes(222)) == 0xB641AE8CB691C174);
  CHECK(hash_of(sanity_bytes(222), seed) == 0x20CB8AB7AE10C14A);
}

TEST_CASE("XXH64 gives the known answers for short texts") {
  CHECK(hash_of("a") == 0xD24EC4F1A98C6E5B);
  CHECK(hash_of("ab") == 7347350983217793633U);
  CHECK(hash_of("abc") == 0x44BC2CF5AD770999);
}

TEST_CASE("a hash does not depend on how the bytes are cut") {
  const auto bytes = sanity_bytes(200);
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t length = random() % bytes.size();
    hash_stream hash;
    for (std::size_t at = 0; at < length;) {
      const std::size_t piece = std::min<std::size_t>(random() % 70, length - at);
      hash.add(std::span(bytes).subspan(at, piece));
      at += piece;
    }
    REQUIRE(hash.value() == hash_of(std::span(bytes).first(length)));
  }
}

TEST_CASE("asking for the value does not change the stream") {
  const auto bytes = sanity_bytes(50);
  hash_stream hash;
  hash.add(std::span(bytes).first(20));
  CHECK(hash.value() == hash_of(std::span(bytes).first(20)));
  hash.add(std::span(bytes).subspan(20));
  CHECK(hash.value() == hash_of(bytes));
}

TEST_CASE("a plan's hash is computed in constant expressions too") {
  static_assert(plan_hash(1, 2) != plan_hash(2, 1));
  static_assert(plan_hash() == 0xEF46DB3751D8E999);
}

TEST_CASE("a plan's hash does not depend on the width of its integers") {
  const omnibal::grouping<std::uint32_t> narrow({0, 2, 3}, {7, 8, 9});
  const omnibal::grouping<std::uint64_t> wide({0, 2, 3}, {7, 8, 9});
  CHECK(plan_hash(narrow) == plan_hash(wide));
  CHECK(plan_hash(std::int8_t{-5}) == plan_hash(std::int64_t{-5}));
  CHECK(plan_hash(std::vector<short>{1, -2}) == plan_hash(std::vector<long>{1, -2}));
}

TEST_CASE("a plan's integers are hashed as eight little-endian bytes, after their number") {
  const std::vector<unsigned char> bytes = {2,    0,    0,    0,    0,    0,    0,    0,
                                            2,    1,    0,    0,    0,    0,    0,    0,
                                            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  CHECK(plan_hash(std::vector<int>{258, -1}) == hash_of(std::as_bytes(std::span(bytes))));
}

TEST_CASE("plans that differ in one place, in order or in how they are grouped differ in hash") {
  const omnibal::grouping<> plan({0, 2, 3}, {7, 8, 9});
  CHECK(plan_hash(plan) != plan_hash(omnibal::grouping<>({0, 1, 3}, {7, 8, 9})));
  CHECK(plan_hash(plan) != plan_hash(omnibal::grouping<>({0, 2, 3}, {8, 7, 9})));
  CHECK(plan_hash(plan) != plan_hash(omnibal::grouping<>({0, 2, 3, 3}, {7, 8, 9})));
  CHECK(plan_hash(plan, 1) != plan_hash(plan, 2));
  using integers = std::vector<int>;
  CHECK(plan_hash(integers{1}, integers{2, 3}) != plan_hash(integers{1, 2}, integers{3}));
  CHECK(plan_hash(integers{}) != plan_hash());
  CHECK(plan_hash(std::string("ab"), std::string("c")) !=
        plan_hash(std::string("a"), std::string("bc")));
}

TEST_CASE("golden: the hash of a plan never changes") {
  const omnibal::grouping<> plan({0, 2, 2, 5}, {4, 1, 0, 3, 2});
  CHECK(plan_hash(std::string_view("epoch"), 3, plan) == 0x806AFF14E571CDE1);
}
