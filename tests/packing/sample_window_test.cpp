// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/sample_window.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

using window = sample_window<std::int64_t>;

const auto itself = [](std::int64_t key) { return key; };

std::vector<std::int64_t> random_keys(std::size_t count, std::uint32_t most, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<std::int64_t> keys(count);
  for (auto& key : keys) key = uniform_below(random, most + 1);
  return keys;
}

}  // namespace

TEST_CASE("sample_window gives every sample once, whichever way they are taken") {
  for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 1000U}) {
    const auto keys = random_keys(count, 5000, count);
    window samples(keys, 0, 5000, itself);
    random_stream random(count);
    std::vector<std::int64_t> taken;
    while (!samples.empty()) {
      const bool in_turn = uniform_below(random, 2) == 0;
      const unsigned slot = in_turn ? samples.next() : samples.nearest(uniform_below(random, 5001));
      REQUIRE(slot != window::none);
      REQUIRE(samples.key(slot) == samples[slot]);
      taken.push_back(samples.take(slot, itself));
    }
    auto expected = keys;
    std::ranges::sort(expected);
    std::ranges::sort(taken);
    REQUIRE(taken == expected);
    REQUIRE(samples.next() == window::none);
    REQUIRE(samples.nearest(7) == window::none);
  }
}

TEST_CASE("sample_window finds the sample nearest to a key") {
  // 64 keys from 0 to 63: a level each.
  std::vector<std::int64_t> keys(64);
  std::iota(keys.begin(), keys.end(), 0);
  std::ranges::reverse(keys);
  window samples(keys, 0, 63, itself);
  for (std::int64_t key = 0; key < 64; ++key) CHECK(samples[samples.nearest(key)] == key);
  CHECK(samples[samples.nearest(-100)] == 0);
  CHECK(samples[samples.nearest(100)] == 63);
  for (std::int64_t key = 10; key < 20; ++key) (void)samples.take(samples.nearest(key), itself);
  CHECK(samples[samples.nearest(13)] == 9);
  CHECK(samples[samples.nearest(16)] == 20);
  CHECK(samples[samples.lower(samples.nearest(20))] == 9);
  CHECK(samples.lower(samples.nearest(0)) == window::none);
}

TEST_CASE("sample_window tells keys apart up to a 64th of their range") {
  const auto keys = random_keys(64, 1000000, 9);
  window samples(keys, 0, 1000000, itself);
  for (std::int64_t key = 0; key < 1000000; key += 1717) {
    std::int64_t nearest = 1000000;
    for (const std::int64_t one : keys) nearest = std::min(nearest, std::abs(one - key));
    CHECK(std::abs(samples[samples.nearest(key)] - key) <= nearest + 2 * 1000000 / 32);
  }
}

TEST_CASE("sample_window lets no sample wait for more than 64 turns") {
  // The first sample is never the nearest one asked for.
  std::vector<std::int64_t> keys(1000, 500);
  keys.front() = 0;
  window samples(keys, 0, 1000, itself);
  bool seen = false;
  for (int turn = 0; turn < 64; ++turn) {
    (void)samples.take(samples.nearest(500), itself);
    seen |= samples.take(samples.next(), itself) == 0;
  }
  CHECK(seen);
}
