// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

#include <omnibal/partition/chain.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

template <typename Weight>
Weight heaviest(const std::vector<Weight>& weights, const std::vector<std::size_t>& cuts) {
  Weight most = 0;
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j)
    most =
        std::max(most, std::accumulate(weights.begin() + static_cast<std::ptrdiff_t>(cuts[j]),
                                       weights.begin() + static_cast<std::ptrdiff_t>(cuts[j + 1]),
                                       Weight{0}));
  return most;
}

std::int64_t squares(const std::vector<std::int64_t>& weights,
                     const std::vector<std::size_t>& cuts) {
  std::int64_t sum = 0;
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j) {
    std::int64_t load = 0;
    for (std::size_t l = cuts[j]; l < cuts[j + 1]; ++l) load += weights[l];
    sum += load * load;
  }
  return sum;
}

/// The weight of the lightest part.
std::int64_t lightest(const std::vector<std::int64_t>& weights,
                      const std::vector<std::size_t>& cuts) {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (std::size_t j = 0; j + 1 < cuts.size(); ++j)
    least =
        std::min(least, std::accumulate(weights.begin() + static_cast<std::ptrdiff_t>(cuts[j]),
                                        weights.begin() + static_cast<std::ptrdiff_t>(cuts[j + 1]),
                                        std::int64_t{0}));
  return least;
}

}  // namespace

TEST_CASE("Random chains agree with enumeration, ties included") {
  random_stream random(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::int64_t> weights(static_cast<std::size_t>(test::draw(random, 1, 9)));
    for (auto& weight : weights) weight = test::draw(random, 0, 12);
    const auto parts = static_cast<std::size_t>(test::draw(random, 1, 10));
    const auto found = partition_chain(weights, parts);
    std::int64_t best = std::numeric_limits<std::int64_t>::max();
    std::tuple<std::int64_t, std::int64_t, std::vector<std::size_t>> first{best, 0, {}};
    test::for_each_partition(weights.size(), parts, [&](const auto& cuts) {
      best = std::min(best, heaviest(weights, cuts));
      first = std::min(first, std::tuple{heaviest(weights, cuts), squares(weights, cuts), cuts});
    });
    if (weights.size() < parts) {
      REQUIRE(found.status == search_status::infeasible);
      continue;
    }
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == best);
    REQUIRE(found.bound == best);
    REQUIRE(heaviest(weights, found.cuts) == best);
    REQUIRE(found.tie_settled);
    REQUIRE(found.cuts == std::get<2>(first));
    REQUIRE(found.cuts.size() == parts + 1);
    REQUIRE(std::ranges::adjacent_find(found.cuts, std::greater_equal<>{}) == found.cuts.end());
  }
}

TEST_CASE("No part has weight zero where that can be avoided") {
  // 42 equal weights among 5 of zero.
  std::vector<std::int64_t> weights = {0, 0};
  weights.resize(44, 30);
  weights.insert(weights.end(), {0, 0, 0});
  const auto found = partition_chain(weights, 16);
  CHECK(found.objective == 90);
  CHECK(lightest(weights, found.cuts) == 60);
  CHECK(lightest(weights, partition_chain(weights, 43).cuts) == 0);
}

TEST_CASE("Ties of a chain that is too long to settle them are made even") {
  const std::vector<std::int64_t> weights(150'000, 1);
  const auto found = partition_chain(weights, 40'000);
  CHECK(found.objective == 4);
  CHECK_FALSE(found.tie_settled);
  CHECK(lightest(weights, found.cuts) >= 1);
  CHECK(heaviest(weights, found.cuts) == 4);
  REQUIRE(found.cuts.size() == 40'001);
  CHECK(std::ranges::adjacent_find(found.cuts, std::greater_equal<>{}) == found.cuts.end());
}

TEST_CASE("Any integer type, up to its limits") {
  CHECK(partition_chain(std::vector<std::uint8_t>{100, 100, 55}, 2).objective == 155);
  const auto most = std::numeric_limits<std::int64_t>::max();
  CHECK(partition_chain(std::vector<std::int64_t>{most - 1, 1}, 1).objective == most);
  CHECK(partition_chain(std::vector<std::int64_t>{most - 1, 1}, 2).objective == most - 1);
}

TEST_CASE("Bad chains are refused by name, index and value") {
  CHECK_THROWS_WITH(partition_chain(std::vector<std::int64_t>{1, 2}, 0),
                    Catch::Matchers::ContainsSubstring("parts = 0"));
  CHECK_THROWS_WITH(partition_chain(std::vector<std::int64_t>{1, -2}, 1),
                    Catch::Matchers::ContainsSubstring("weights[1] = -2"));
  CHECK_THROWS_AS(partition_chain(std::vector<std::int8_t>{100, 100}, 1), invalid_input);
}

TEST_CASE("Empty and all-zero chains") {
  CHECK(partition_chain(std::vector<std::int64_t>{}, 1).status == search_status::infeasible);
  const auto zero = partition_chain(std::vector<std::int64_t>(5, 0), 3);
  CHECK(zero.objective == 0);
  CHECK(zero.cuts.back() == 5);
}
