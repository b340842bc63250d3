// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/rebalance/differencing.hpp>

#include "../../bench/rebalance/karmarkar_karp.hpp"
#include "catch.hpp"

using namespace omnibal;

namespace {

std::vector<std::int64_t> sums(const std::vector<std::int64_t>& numbers,
                               const std::vector<std::uint32_t>& part_of, std::uint32_t parts) {
  std::vector<std::int64_t> sums(parts);
  for (std::size_t k = 0; k < numbers.size(); ++k) sums.at(part_of.at(k)) += numbers[k];
  std::ranges::sort(sums);
  return sums;
}

}  // namespace

TEST_CASE("differencing_parts follows the published example of two parts") {
  const std::vector<std::int64_t> numbers = {8, 7, 6, 5, 4};
  CHECK(sums(numbers, differencing_parts(numbers, 2), 2) == std::vector<std::int64_t>{14, 16});
}

TEST_CASE("differencing_parts sums as the method written down plainly does") {
  random_stream random(3);
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t parts = 1 + uniform_below(random, 12);
    std::vector<std::int64_t> numbers(uniform_below(random, 60));
    // Far apart, so that no ties let two correct runs differ.
    for (auto& number : numbers) number = 1 + static_cast<std::int64_t>(random()) * 1000;
    const auto found = differencing_parts(numbers, parts);
    REQUIRE(found.size() == numbers.size());
    REQUIRE(sums(numbers, found, parts) == sums(numbers, karmarkar_karp(numbers, parts), parts));
  }
}

TEST_CASE("differencing_parts takes zeros, huge numbers and more parts than numbers") {
  CHECK(differencing_parts({}, 3).empty());
  const std::vector<std::int64_t> zeros(5);
  CHECK(sums(zeros, differencing_parts(zeros, 3), 3) == std::vector<std::int64_t>{0, 0, 0});
  const std::vector<std::int64_t> huge = {INT64_MAX - 1, 1};
  CHECK(sums(huge, differencing_parts(huge, 4), 4) ==
        std::vector<std::int64_t>{0, 0, 1, INT64_MAX - 1});
}
