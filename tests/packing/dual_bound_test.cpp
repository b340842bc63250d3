// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/packing/dual_bound.hpp>

#include "catch.hpp"

using namespace omnibal;

TEST_CASE("dual_values_are_valid rejects what is no proof") {
  using dual = pack_dual_values<1>;
  const auto with_steps = [](std::vector<dual::step> steps, std::uint64_t unit) {
    return dual{.capacity = {10}, .steps = std::move(steps), .unit = unit};
  };
  CHECK(dual_values_are_valid(with_steps({{{4}, 5}, {{3}, 3}}, 11)));  // 4 + 3 + 3
  CHECK(!dual_values_are_valid(with_steps({{{4}, 5}, {{3}, 3}}, 10)));
  CHECK(!dual_values_are_valid(with_steps({{{0}, 1}}, 1000)));  // any number fits
  CHECK(!dual_values_are_valid(with_steps({{{-1}, 1}}, 1000)));
  CHECK(!dual_values_are_valid(with_steps({}, 0)));
  CHECK(dual_values_are_valid(dual{.capacity = {10}, .rates = {2}, .unit = 20}));
  CHECK(!dual_values_are_valid(dual{.capacity = {10}, .rates = {2}, .unit = 19}));
  CHECK(!dual_values_are_valid(
      dual{.capacity = {10}, .rates = {2}, .steps = {{{6}, 1}}, .unit = 20}));
  CHECK(
      dual_values_are_valid(dual{.capacity = {10}, .rates = {2}, .steps = {{{6}, 1}}, .unit = 21}));
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(!dual_values_are_valid(pack_dual_values<2>{.capacity = {most, most},
                                                   .rates = {~std::uint64_t{0}, ~std::uint64_t{0}},
                                                   .unit = ~std::uint64_t{0}}));
}

TEST_CASE("dual values of two resources prove what neither proves alone") {
  // A big image never shares a pack with a long text: capacity 10 tiles, 100 tokens.
  const pack_dual_values<2> dual{
      .capacity = {10, 100}, .steps = {{{6, 10}, 1}, {{1, 91}, 1}}, .unit = 1};
  CHECK(dual_values_are_valid(dual));
  const std::vector<loads<2>> samples{{6, 20}, {8, 10}, {1, 95}, {5, 90}};
  CHECK(packs_proven(dual, samples) == 3);
}

TEST_CASE("the value of a sample is that of the steps within it together") {
  const pack_dual_values<1> dual{.capacity = {10}, .steps = {{{3}, 1}}, .unit = 3};
  CHECK(dual_values_are_valid(dual));
  CHECK(packs_proven(dual, std::vector<loads<1>>{{2}, {2}}) == 0);
  CHECK(packs_proven(dual, std::vector<loads<1>>{{6}, {6}, {3}, {3}}) == 2);
  CHECK(packs_proven(dual, std::vector<loads<1>>{{6}, {6}, {3}, {3}, {3}}) == 3);
}

TEST_CASE("a sample of more than half a pack has the value that the rest cannot have") {
  pack_dual_values<1> dual{.capacity = {10}, .steps = {{{3}, 1}}, .unit = 3};
  const std::vector<loads<1>> samples(9, {8});
  CHECK(packs_proven(dual, samples) == 6);
  dual.halved = 0;
  CHECK(dual_values_are_valid(dual));
  CHECK(packs_proven(dual, samples) == 9);
  CHECK(packs_proven(dual, std::vector<loads<1>>(9, {5})) == 3);
  dual.halved = 1;
  CHECK(!dual_values_are_valid(dual));
}
