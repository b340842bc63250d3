// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/packing/detail/pack_list.hpp>
#include <omnibal/packing/detail/sort_by_key.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

using sums_1 = packed_sums<1, std::uint32_t>;

const sums_1 sums({{1000}, {1000}});

}  // namespace

TEST_CASE("pack_list keeps what was filled and what was added together") {
  pack_list<sums_1> packs(sums);
  packs.push_back(0);
  packs.push_back(1);
  packs.close(sums.add(sums.empty(), 600));
  packs.add(1, {.id = 2, .load = 300});
  packs.add(0, {.id = 3, .load = 100});
  CHECK(packs.size() == 2);
  CHECK(sums.slack(packs[0], 0) == 300);
  CHECK(packs.fits(0, 300));
  CHECK(!packs.fits(0, 301));
  random_stream random(1);
  const auto shuffled = packs.shuffled(0, random);
  REQUIRE(shuffled.size() == 2);
  const std::size_t first = shuffled[0].size() == 3 ? 0 : 1;
  CHECK(std::vector<std::uint32_t>(shuffled[first].begin(), shuffled[first].end()) ==
        std::vector<std::uint32_t>{0, 1, 3});
  CHECK(shuffled[1 - first][0] == 2);
}

TEST_CASE("pack_list puts the last packs anywhere") {
  // 256 packs, the last 64 from other sources: each is to come early as often as late.
  std::array<double, 4> quarters{};
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    pack_list<sums_1> packs(sums);
    for (std::uint32_t id = 0; id < 256; ++id) {
      packs.push_back(id);
      packs.close(sums.empty());
    }
    random_stream random(seed);
    const auto shuffled = packs.shuffled(192, random);
    for (std::size_t k = 0; k < 256; ++k)
      if (shuffled[k][0] >= 192) ++quarters[k / 64];
  }
  double statistic = 0;
  for (const double count : quarters) statistic += (count - 6400) * (count - 6400) / 6400;
  CHECK(statistic < 17.7);  // exceeded once in 2000 draws
}

TEST_CASE("shuffle_fast makes the same permutation as shuffle") {
  for (const std::size_t count : {0U, 1U, 2U, 255U, 256U, 257U, 258U, 10000U}) {
    std::vector<std::uint32_t> items(count);
    std::iota(items.begin(), items.end(), 0U);
    auto expected = items;
    random_stream random(count);
    random_stream same(count);
    shuffle_fast(std::span(items), random);
    shuffle_randomly(expected, same);
    REQUIRE(items == expected);
    REQUIRE(random() == same());
  }
}

TEST_CASE("sort_by_key sorts by 16 bits and keeps the order of equals") {
  random_stream random(2);
  std::vector<std::array<std::uint32_t, 2>> items(5000);
  for (std::uint32_t k = 0; k < items.size(); ++k) items[k] = {uniform_below(random, 3000) * 21, k};
  auto expected = items;
  std::ranges::stable_sort(expected, {}, [](const auto& item) { return item[0]; });
  sort_by_key(items, [](const auto& item) { return item[0] | 0x50000U; });
  CHECK(items == expected);
  items.clear();
  sort_by_key(items, [](const auto& item) { return item[0]; });
  CHECK(items.empty());
}
