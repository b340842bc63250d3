// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/best_fit.hpp>
#include <omnibal/packing/packer.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

using sums_1 = packed_sums<1, std::uint32_t>;
using sums_2 = packed_sums<2, std::uint32_t>;

/// Packs loads in their order; returns the sums of the packs.
std::vector<std::uint64_t> pack(const std::vector<std::uint32_t>& loads, std::int64_t capacity,
                                std::uint64_t unit = 1) {
  const sums_1 sums({{capacity}, {capacity}});
  const load_plane<1> plane({}, load_axis(0, capacity, unit));
  std::vector<packable<std::uint32_t>> samples;
  for (const std::uint32_t load : loads)
    samples.push_back({.id = static_cast<std::uint32_t>(samples.size()), .load = load});
  pack_list<sums_1> packs(sums);
  pack_best_fit<sums_1>(samples, sums, plane, packs);
  std::vector<std::uint64_t> used;
  for (std::size_t k = 0; k < packs.size(); ++k)
    used.push_back(static_cast<std::uint64_t>(capacity) - sums.slack(packs[k], 0));
  return used;
}

}  // namespace

TEST_CASE("bit_row finds the next number as a set does") {
  random_stream random(1);
  bit_row row;
  std::set<std::uint32_t> expected;
  for (int turn = 0; turn < 20000; ++turn) {
    const std::uint32_t number = uniform_below(random, bit_row::size);
    if (uniform_below(random, 3) == 0) {
      row.insert(number);
      expected.insert(number);
    } else {
      row.erase(number);
      expected.erase(number);
    }
    const std::uint32_t from = uniform_below(random, bit_row::size + 1);
    const auto next = expected.lower_bound(from);
    REQUIRE(row.next(from) == (next == expected.end() ? bit_row::none : *next));
  }
}

TEST_CASE("pack_best_fit chooses the pack with the least sufficient slack") {
  CHECK(pack({6, 5, 7, 3}, 10) == std::vector<std::uint64_t>{6, 5, 10});
  CHECK(pack({6, 5, 7, 4}, 10) == std::vector<std::uint64_t>{10, 5, 7});
  CHECK(pack({6, 5, 7, 5}, 10) == std::vector<std::uint64_t>{6, 10, 7});
  CHECK(pack({6, 5, 7, 8}, 10) == std::vector<std::uint64_t>{6, 5, 7, 8});
  CHECK(pack({}, 10).empty());
}

TEST_CASE("pack_best_fit stays within capacity where units are coarse") {
  random_stream random(2);
  for (std::uint64_t unit = 1; unit < 40; ++unit) {
    std::vector<std::uint32_t> loads(300);
    for (auto& load : loads) load = 1 + uniform_below(random, 100);
    std::uint64_t sum = 0;
    for (const std::uint64_t used : pack(loads, 100, unit)) {
      REQUIRE(used <= 100);
      sum += used;
    }
    std::uint64_t expected = 0;
    for (const std::uint32_t load : loads) expected += load;
    REQUIRE(sum == expected);
  }
}

TEST_CASE("pack_best_fit holds samples against both resources") {
  const sums_2 sums({{10, 100}, {10, 100}});
  const load_plane<2> plane(load_axis(0, 10, 1), load_axis(1, 100, 10));
  const auto sample = [&](std::uint32_t id, std::uint64_t row, std::uint64_t column) {
    return packable<std::uint32_t>{.id = id, .load = sums.pack({row, column})};
  };
  // The third fits the first pack by rows only, the second by both.
  const std::vector<packable<std::uint32_t>> samples{sample(0, 5, 90), sample(1, 6, 20),
                                                     sample(2, 4, 50)};
  pack_list<sums_2> packs(sums);
  pack_best_fit<sums_2>(samples, sums, plane, packs);
  REQUIRE(packs.size() == 2);
  CHECK(sums.slack(packs[0], 1) == 10);
  CHECK(sums.slack(packs[1], 0) == 0);
  CHECK(sums.slack(packs[1], 1) == 30);
}
