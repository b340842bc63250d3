// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <omnibal/core/rational.hpp>

#include "../catch.hpp"

using namespace omnibal;

TEST_CASE("Fractions compare exactly where doubles cannot") {
  constexpr std::int64_t large = std::int64_t{1} << 62;
  CHECK(rational{large, large - 1} < rational{large - 1, large - 2});
  CHECK(rational{2, 6} == rational{1, 3});
  CHECK(rational{1, 2}.value() == 0.5);
}

TEST_CASE("Scaling rounds up and refuses what does not fit") {
  CHECK(scaled_rounding_up(10, {1, 3}) == 4);
  CHECK(scaled_rounding_up(9, {1, 3}) == 3);
  CHECK(scaled_rounding_up(0, {7, 3}) == 0);
  CHECK(scaled_rounding_up(7, {0, 1}) == 0);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(checked_scaled_rounding_up(most, {1, 1}, "times") == most);
  CHECK_THROWS_WITH(checked_scaled_rounding_up(most, {2, 1}, "times"),
                    Catch::Matchers::ContainsSubstring("times"));
}

TEST_CASE("Fractions are reduced, also from more than 64 bits") {
  const rational half = reduced(21, 42, "x");
  CHECK(half.numerator == 1);
  CHECK(half.denominator == 2);
  CHECK(reduced(0, 9, "x").denominator == 1);
  const wide_integer large = wide_integer{1} << 90;
  CHECK(reduced(3 * large, large, "x").numerator == 3);
  CHECK_THROWS_WITH(reduced(large, 1, "makespan"), Catch::Matchers::ContainsSubstring("makespan"));
}
