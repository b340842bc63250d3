// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
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

}  // namespace

TEST_CASE("Random chains agree with enumeration") {
  random_stream random(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::int64_t> weights(static_cast<std::size_t>(test::draw(random, 1, 9)));
    for (auto& weight : weights) weight = test::draw(random, 0, 12);
    const auto parts = static_cast<std::size_t>(test::draw(random, 1, 10));
    const auto found = partition_chain(weights, parts);
    std::int64_t best = std::numeric_limits<std::int64_t>::max();
    test::for_each_partition(weights.size(), parts, [&](const auto& cuts) {
      best = std::min(best, heaviest(weights, cuts));
    });
    if (weights.size() < parts) {
      REQUIRE(found.status == search_status::infeasible);
      continue;
    }
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == best);
    REQUIRE(found.bound == best);
    REQUIRE(heaviest(weights, found.cuts) == best);
    REQUIRE(found.cuts.size() == parts + 1);
    REQUIRE(std::ranges::adjacent_find(found.cuts, std::greater_equal<>{}) == found.cuts.end());
  }
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
