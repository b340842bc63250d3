// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/packing/numpy_shuffle.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

std::vector<std::uint32_t> first_integers(std::uint32_t count) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0U);
  return values;
}

/// The published shuffle, written as its description reads.
void shuffle_as_described(std::vector<std::uint32_t>& items, std::mt19937& random) {
  for (std::size_t last = items.size(); last-- > 1;) {
    std::uint64_t mask = 1;
    while (mask < last) mask = 2 * mask + 1;
    std::uint64_t partner = random() & mask;
    while (partner > last) partner = random() & mask;
    std::swap(items[last], items[partner]);
  }
}

}  // namespace

TEST_CASE("mersenne_twister gives the words of std::mt19937") {
  const std::uint32_t seed = GENERATE(0U, 1U, 5489U, 4294967295U);
  std::mt19937 expected(seed);
  mersenne_twister generator(seed);
  std::array<std::uint32_t, mersenne_twister::block_size> words{};
  for (int block = 0; block < 5; ++block) {
    generator.next_block(words);
    for (const std::uint32_t word : words) REQUIRE(word == expected());
  }
}

TEST_CASE("mersenne_twister gives the known ten-thousandth word") {
  mersenne_twister generator(5489);  // the C++ standard, [rand.predef]
  std::array<std::uint32_t, mersenne_twister::block_size> words{};
  for (int word = 0; word < 10000; word += 624) generator.next_block(words);
  CHECK(words[(10000 - 1) % 624] == 4123659995U);
}

TEST_CASE("numpy_stream shuffles as NumPy's documented example") {
  // numpy.random.seed(0); numpy.random.permutation(10)
  auto items = first_integers(10);
  numpy_stream(0).shuffle(std::span(items));
  CHECK(items == std::vector<std::uint32_t>{2, 8, 4, 9, 1, 6, 7, 3, 0, 5});
}

TEST_CASE("numpy_stream shuffles as described, whatever the size") {
  for (std::uint32_t size = 0; size < 1200; size += size < 70 ? 1 : 37) {
    auto items = first_integers(size);
    auto expected = items;
    std::mt19937 random(size);
    numpy_stream stream(size);
    for (int again = 0; again < 2; ++again) {
      stream.shuffle(std::span(items));
      shuffle_as_described(expected, random);
    }
    REQUIRE(items == expected);
  }
}

TEST_CASE("numpy_stream shuffles many items as described") {
  auto items = first_integers(300000);
  auto expected = items;
  std::mt19937 random(7);
  numpy_stream(7).shuffle(std::span(items));
  shuffle_as_described(expected, random);
  CHECK(items == expected);
}

TEST_CASE("a copy of a numpy_stream goes on as the original does") {
  auto left = first_integers(1000);
  numpy_stream stream(3);
  stream.shuffle(std::span(left));
  auto right = left;
  numpy_stream copy = stream;
  stream.shuffle(std::span(left));
  copy.shuffle(std::span(right));
  CHECK(left == right);
}
