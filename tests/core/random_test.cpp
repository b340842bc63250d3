// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include <omnibal/core/random.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

using counter = std::array<std::uint32_t, 4>;
using key = std::array<std::uint32_t, 2>;

std::vector<std::uint32_t> draw(random_stream random, int count) {
  std::vector<std::uint32_t> words;
  words.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) words.push_back(random());
  return words;
}

std::vector<int> first_integers(int count) {
  std::vector<int> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

/// Pearson's statistic of counts that should all be equal.
double chi_squared(const std::vector<int>& counts) {
  const double mean =
      std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
  double sum = 0;
  for (const int count : counts) sum += (count - mean) * (count - mean) / mean;
  return sum;
}

/// A hash of all words in order (FNV-1a over little-endian bytes).
std::uint64_t fingerprint(const std::vector<std::uint32_t>& words) {
  std::uint64_t hash = 14695981039346656037U;
  for (const std::uint32_t word : words)
    for (unsigned shift = 0; shift < 32; shift += 8)
      hash = (hash ^ ((word >> shift) & 255U)) * 1099511628211U;
  return hash;
}

}  // namespace

TEST_CASE("philox4x32 gives the known answers of its authors") {
  constexpr std::uint32_t ones = 0xFFFFFFFF;
  static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) ==
                counter{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8});
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        counter{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8});
  CHECK(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        counter{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD});
  CHECK(philox4x32({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}) ==
        counter{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1});
}

TEST_CASE("a stream is the blocks of its seed and number in order") {
  const std::uint64_t seed = 0xFEDCBA9876543210U;
  const std::uint64_t number = 0x0123456789ABCDEFU;
  const auto words = draw(random_stream(seed, number), 12);
  for (std::uint32_t block = 0; block < 3; ++block) {
    const auto expected =
        philox4x32({block, 0, 0x89ABCDEF, 0x01234567}, key{0x76543210, 0xFEDCBA98});
    CHECK(std::equal(expected.begin(), expected.end(), words.begin() + block * 4));
  }
}

// The golden values below were computed from the published descriptions by a program of its own.
TEST_CASE("golden: the words of a stream") {
  CHECK(draw(random_stream(1024, 7), 10) ==
        std::vector<std::uint32_t>{0xF46808EC, 0x8FB2182B, 0xC522077B, 0x5C3CFBE3, 0xB3045A7C,
                                   0x0A480024, 0x2737AF5C, 0xA618A5A0, 0x48D6D007, 0xBE29132E});
  CHECK(draw(random_stream(0xFEDCBA9876543210U, 0x0123456789ABCDEFU), 6) ==
        std::vector<std::uint32_t>{0xF6F4E477, 0x571D32A4, 0x8E30437E, 0xEE996005, 0x29471AA5,
                                   0x277D72B9});
}

TEST_CASE("golden: draws below a bound") {
  random_stream random(42);
  std::vector<std::uint32_t> draws;
  for (const std::uint32_t bound :
       {1U, 2U, 3U, 10U, 1000U, 0x80000000U, 0x80000001U, 0xC0000000U, 0xFFFFFFFFU})
    draws.push_back(uniform_below(random, bound));
  CHECK(draws ==
        std::vector<std::uint32_t>{0, 0, 0, 3, 987, 702363262, 1103605047, 1463452988, 3547071012});
}

TEST_CASE("golden: shuffles") {
  auto few = first_integers(16);
  random_stream random(1024);
  shuffle_randomly(few, random);
  CHECK(few == std::vector<int>{10, 13, 4, 5, 8, 0, 9, 1, 15, 3, 6, 2, 7, 12, 11, 14});

  std::vector<std::uint32_t> many(100'000);
  std::iota(many.begin(), many.end(), 0U);
  random_stream other(2024, 3);
  shuffle_randomly(many, other);
  CHECK(fingerprint(many) == 0x4A640778C6DFBE51U);
}

TEST_CASE("streams of one seed and of two seeds differ") {
  const auto words = draw(random_stream(5, 0), 8);
  CHECK(words == draw(random_stream(5), 8));
  CHECK(words != draw(random_stream(5, 1), 8));
  CHECK(words != draw(random_stream(6, 0), 8));
  CHECK(words != draw(random_stream(5, std::uint64_t{1} << 32), 8));
  CHECK(words != draw(random_stream(5 + (std::uint64_t{1} << 32), 0), 8));
}

TEST_CASE("a stream is a standard generator") {
  static_assert(std::uniform_random_bit_generator<random_stream>);
  random_stream random(1);
  std::uniform_int_distribution<int> die(1, 6);
  const int rolled = die(random);
  CHECK((rolled >= 1 && rolled <= 6));
}

TEST_CASE("draws stay below their bound and reach all values evenly") {
  random_stream random(7);
  for (const std::uint32_t bound : {1U, 2U, 7U, 64U, 1000U}) {
    std::vector<int> counts(bound, 0);
    for (std::uint32_t i = 0; i < bound * 200; ++i) {
      const std::uint32_t value = uniform_below(random, bound);
      REQUIRE(value < bound);
      ++counts[value];
    }
    // The mean of the statistic is bound - 1, its deviation sqrt(2 (bound - 1)): five of them.
    const double freedom = bound - 1;
    CAPTURE(bound);
    CHECK(chi_squared(counts) <= freedom + 5 * std::sqrt(2 * freedom));
  }
}

TEST_CASE("draws are unbiased where a masked or a multiplied draw alone would not be") {
  // Three quarters of the range: without rejection every third value would be twice as likely.
  constexpr std::uint32_t bound = 0xC0000000;
  random_stream random(11);
  std::vector<int> by_remainder(3, 0);
  std::vector<int> by_third(3, 0);
  for (int i = 0; i < 30'000; ++i) {
    const std::uint32_t value = uniform_below(random, bound);
    REQUIRE(value < bound);
    ++by_remainder[value % 3];
    ++by_third[value / (bound / 3)];
  }
  CHECK(chi_squared(by_remainder) < 20);
  CHECK(chi_squared(by_third) < 20);
}

TEST_CASE("a shuffle keeps the elements, and all orders are equally likely") {
  random_stream random(3);
  std::map<std::vector<int>, int> seen;
  for (int i = 0; i < 24'000; ++i) {
    auto values = first_integers(4);
    shuffle_randomly(values, random);
    ++seen[values];
  }
  REQUIRE(seen.size() == 24);
  std::vector<int> counts;
  for (const auto& [order, count] : seen) {
    CHECK(std::is_permutation(order.begin(), order.end(), first_integers(4).begin()));
    counts.push_back(count);
  }
  CHECK(chi_squared(counts) < 23 + 5 * std::sqrt(46.0));
}

TEST_CASE("shuffling nothing or one element draws nothing") {
  random_stream random(9);
  std::vector<int> none;
  std::array<int, 1> one = {5};
  shuffle_randomly(none, random);
  shuffle_randomly(one, random);
  CHECK(one[0] == 5);
  CHECK(random() == draw(random_stream(9), 1)[0]);
}

TEST_CASE("shuffle works at compile time and on borrowed ranges") {
  static_assert([] {
    std::array<int, 3> values = {0, 1, 2};
    random_stream random(1);
    shuffle_randomly(values, random);
    return values[0] + values[1] + values[2];
  }() == 3);
  SUCCEED();
}
