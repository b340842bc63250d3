// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <optional>

#include <omnibal/core/arithmetic.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

/// Whether a 128-bit value is one of Integer's.
template <typename Integer>
bool fits(wide_integer value) {
  return value >= wide_integer{std::numeric_limits<Integer>::min()} &&
         value <= wide_integer{std::numeric_limits<Integer>::max()};
}

}  // namespace

TEMPLATE_TEST_CASE("sums and products of 8 bits agree with wider arithmetic", "", std::int8_t,
                   std::uint8_t) {
  using limits = std::numeric_limits<TestType>;
  int wrong = 0;
  for (int left = limits::min(); left <= limits::max(); ++left) {
    for (int right = limits::min(); right <= limits::max(); ++right) {
      const auto a = static_cast<TestType>(left);
      const auto b = static_cast<TestType>(right);
      const auto sum = try_add(a, b);
      const auto product = try_multiply(a, b);
      wrong += sum.has_value() != fits<TestType>(left + right) || (sum && *sum != left + right);
      wrong += product.has_value() != fits<TestType>(left * right) ||
               (product && *product != left * right);
    }
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("sums and products stop at the limits of the type", "", std::int32_t,
                   std::uint32_t, std::int64_t, std::uint64_t) {
  constexpr TestType top = std::numeric_limits<TestType>::max();
  constexpr TestType bottom = std::numeric_limits<TestType>::min();
  constexpr TestType one = 1;
  constexpr TestType two = 2;
  CHECK(try_add(top, TestType{0}) == top);
  CHECK(try_add(static_cast<TestType>(top - 1), one) == top);
  CHECK(try_add(top, one) == std::nullopt);
  CHECK(try_multiply(top, one) == top);
  CHECK(try_multiply(top, two) == std::nullopt);
  CHECK(try_multiply(static_cast<TestType>(top / 2), two) == static_cast<TestType>(top / 2 * 2));
  CHECK(try_multiply(bottom, one) == bottom);
  CHECK(try_multiply(top, TestType{0}) == TestType{0});
}

TEST_CASE("checked sums and products throw naming the field and the value") {
  constexpr auto top = std::numeric_limits<std::int64_t>::max();
  CHECK(checked_add<std::int64_t>(2, 3, "tokens") == 5);
  CHECK(checked_multiply<std::int64_t>(2, 3, "bytes") == 6);
  CHECK_THROWS_WITH(checked_add<std::int64_t>(top, 7, "tokens"),
                    Catch::Matchers::ContainsSubstring("tokens = 7: makes a sum too large"));
  CHECK_THROWS_WITH(checked_multiply<std::int64_t>(top, 7, "bytes"),
                    Catch::Matchers::ContainsSubstring("bytes = 7: makes a product too large"));
  CHECK_THROWS_AS(checked_add<std::int64_t>(top, top, "x"), invalid_input);
}

TEST_CASE("checked arithmetic is usable at compile time") {
  static_assert(checked_add(2, 3, "x") == 5);
  static_assert(checked_multiply(2, 3, "x") == 6);
  static_assert(!try_add(std::numeric_limits<int>::max(), 1));
  SUCCEED();
}

TEST_CASE("divide_rounding_up is the least quotient that covers") {
  for (int numerator = 0; numerator <= 60; ++numerator) {
    for (int denominator = 1; denominator <= 20; ++denominator) {
      const int quotient = divide_rounding_up(numerator, denominator);
      CAPTURE(numerator, denominator);
      REQUIRE(quotient * denominator >= numerator);
      REQUIRE((quotient - 1) * denominator < numerator);
    }
  }
}

TEST_CASE("divide_rounding_up does not overflow at the largest values") {
  constexpr auto top = std::numeric_limits<std::int64_t>::max();
  CHECK(divide_rounding_up(top, std::int64_t{1}) == top);
  CHECK(divide_rounding_up(top, top) == 1);
  CHECK(divide_rounding_up(top, std::int64_t{2}) == top / 2 + 1);
  CHECK(divide_rounding_up(std::int64_t{1}, top) == 1);
}

TEST_CASE("wide_integer holds the product of any two 64-bit integers") {
  constexpr auto bottom = std::numeric_limits<std::int64_t>::min();
  const wide_integer square = wide_integer{bottom} * bottom;
  CHECK(static_cast<std::uint64_t>(square >> 64) == 0x4000000000000000U);
  CHECK(static_cast<std::uint64_t>(square) == 0U);
}
