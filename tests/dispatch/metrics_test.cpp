// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <limits>
#include <omnibal/dispatch/metrics.hpp>
#include <span>
#include <vector>

#include "catch.hpp"

using namespace omnibal;

namespace {

/// Two steps of two ranks: packs 0 and 1 against 2, then 3 against nothing.
const dispatch_plan plan{.ranks = 2, .groups = {{0, 2, 3, 4, 4}, {0, 1, 2, 3}}};

}  // namespace

TEST_CASE("dist_ratio is the mean share of waiting over steps") {
  const std::vector<std::array<int, 2>> packs{{1, 10}, {2, 10}, {6, 20}, {4, 0}};
  const auto ratio = dist_ratio<2, int>(plan, packs);
  CHECK(ratio[0] == Approx(((1 - 4.5 / 6) + (1 - 2.0 / 4)) / 2));
  CHECK(ratio[1] == Approx(0));  // the second step has nothing to wait for
}

TEST_CASE("cost_ratio is the dearest rank over the mean") {
  CHECK(cost_ratio<int>(plan, std::vector<int>{1, 2, 6, 4}) == Approx((6.0 + 4) / (4.5 + 2)));
  CHECK(cost_ratio<int>(plan, std::vector<int>{0, 0, 0, 0}) == 1.0);
}

TEST_CASE("dispatch metrics of nothing") {
  const dispatch_plan nothing{.ranks = 4};
  CHECK(dist_ratio<1, int>(nothing, {})[0] == 0);
  CHECK(cost_ratio<int>(nothing, {}) == 1);
}

TEST_CASE("dispatch metrics refuse plans of other packs, and do not overflow") {
  CHECK_THROWS_AS(cost_ratio<int>(plan, std::vector<int>{1, 2, 3}), invalid_input);
  CHECK_THROWS_AS((dist_ratio<1, int>(plan, std::vector<std::array<int, 1>>{{1}})), invalid_input);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(cost_ratio<std::uint64_t>(plan, std::vector<std::uint64_t>(4, most)) == Approx(1.5));
}
