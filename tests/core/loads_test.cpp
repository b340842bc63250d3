// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <concepts>
#include <cstdint>
#include <deque>
#include <forward_list>
#include <span>
#include <vector>

#include <omnibal/core/loads.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

struct sample {
  std::int64_t tiles = 0;
  std::int64_t tokens = 0;
};

constexpr auto by_value = [](const sample& s) { return loads<2>{s.tiles, s.tokens}; };
constexpr auto tokens_only = [](const sample& s) { return s.tokens; };

struct with_member {
  loads<3, std::uint32_t> weight;
};

}  // namespace

TEST_CASE("loads are arrays of integers") {
  static_assert(std::same_as<loads<2>, std::array<std::int64_t, 2>>);
  static_assert(load_array<loads<1>>);
  static_assert(load_array<const loads<4, std::uint16_t>&>);
  static_assert(!load_array<std::array<std::int64_t, 0>>);
  static_assert(!load_array<std::array<bool, 2>>);
  static_assert(!load_array<std::array<double, 2>>);
  static_assert(!load_array<std::int64_t>);
  static_assert(resource_count<const loads<3>&> == 3);
  SUCCEED();
}

TEST_CASE("sample ranges are sized and random-access, whatever holds the samples") {
  static_assert(sample_range<std::vector<loads<2>>>);
  static_assert(sample_range<std::span<const loads<2>>>);
  static_assert(sample_range<std::deque<loads<1, int>>&>);
  static_assert(sample_range<const loads<2>(&)[3]>);
  static_assert(!sample_range<std::forward_list<loads<2>>>);
  static_assert(!sample_range<std::vector<sample>>);
  static_assert(!sample_range<std::vector<std::int64_t>>);
  SUCCEED();
}

TEST_CASE("a projection takes the loads out of the caller's own type") {
  using by_member = decltype(&with_member::weight);
  static_assert(sample_range<std::vector<sample>, decltype(by_value)>);
  static_assert(!sample_range<std::vector<sample>, decltype(tokens_only)>);
  static_assert(sample_range<std::vector<with_member>, by_member>);
  static_assert(
      std::same_as<projected_loads<const std::vector<sample>&, decltype(by_value)>, loads<2>>);
  static_assert(
      std::same_as<projected_loads<std::vector<with_member>, by_member>, loads<3, std::uint32_t>>);
  SUCCEED();
}
