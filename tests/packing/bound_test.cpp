// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <omnibal/packing/bound.hpp>

#include "catch.hpp"
#include "packing/fewest_packs.hpp"

using namespace omnibal;

namespace {

template <std::size_t Resources>
void require_proven(const std::vector<loads<Resources>>& samples,
                    const packing_bound<Resources>& bound) {
  REQUIRE(dual_values_are_valid(bound.dual_values));
  REQUIRE(std::max<std::uint64_t>(packs_proven(bound.dual_values, samples),
                                  samples.empty() ? 0 : 1) >= bound.packs);
}

template <std::size_t Resources>
std::vector<loads<Resources>> random_samples(std::size_t count, const loads<Resources>& most,
                                             std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<Resources>> samples(count);
  for (auto& sample : samples)
    for (std::size_t r = 0; r < Resources; ++r)
      sample[r] = uniform_below(random, static_cast<std::uint32_t>(most[r]) + 1);
  return samples;
}

}  // namespace

TEST_CASE("bound_packs never exceeds the least number of packs") {
  std::size_t met = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const loads<1> one{static_cast<std::int64_t>(5 + seed % 30)};
    const auto thin = random_samples<1>(1 + seed % 9, one, seed);
    const auto bound = bound_packs(thin, {.capacity = one});
    const std::size_t fewest = fewest_packs(thin, one);
    REQUIRE(bound.packs <= fewest);
    require_proven(thin, bound);
    met += bound.packs == fewest ? 1 : 0;
    const loads<2> two{static_cast<std::int64_t>(4 + seed % 7), 20};
    const auto wide = random_samples<2>(1 + seed % 8, two, seed);
    const auto wide_bound = bound_packs(wide, {.capacity = two});
    REQUIRE(wide_bound.packs <= fewest_packs(wide, two));
    require_proven(wide, wide_bound);
  }
  CHECK(met >= 390);
}

TEST_CASE("bound_packs knows that two samples of more than half a pack never meet") {
  const std::vector<loads<2>> samples(39690, {5, 1300});
  CHECK(bound_packs(samples, {.capacity = {9, 4096}}).packs == 39690);
  // Also where loads take too many values for the linear program.
  std::vector<loads<1>> spread;
  for (std::int64_t k = 1; k <= 5000; ++k) spread.push_back({50000000 + k * 999});
  CHECK(bound_packs(spread, {.capacity = {100000000}}).packs == 5000);
}

TEST_CASE("bound_packs finds the value of the cutting-stock program") {
  // Two 4s fit 10, and a third does not. The volume says 67.
  const std::vector<loads<1>> fours(167, {4});
  CHECK(bound_packs(fours, {.capacity = {10}}).packs == 84);
  // Known bounds of published tables; here their numbers of samples by tiles.
  std::vector<loads<1>> tiles;
  const auto add = [&](std::size_t count, std::int64_t load) {
    tiles.insert(tiles.end(), count, {load});
  };
  add(5793 + 579, 1), add(3710 + 1096, 3), add(603 + 14, 4), add(2307 + 16628, 5);
  constexpr std::array<std::uint64_t, 12> expected{18935, 11794, 10901, 10824, 9622, 9468,
                                                   7863,  7371,  7216,  6552,  6312, 5897};
  for (std::size_t k = 0; k < expected.size(); ++k) {
    const loads<1> capacity{static_cast<std::int64_t>(k) + 9};
    const auto bound = bound_packs(tiles, {.capacity = capacity});
    CHECK(bound.packs == expected[k]);
    require_proven(tiles, bound);
  }
}

TEST_CASE("bound_packs takes the resource that proves most, and its volume") {
  const std::vector<loads<3>> samples(100, {1, 7, 2});
  const auto bound = bound_packs(samples, {.capacity = {100, 14, 100}});
  CHECK(bound.packs == 50);
  require_proven(samples, bound);
  std::vector<loads<1>> spread;
  for (std::int64_t k = 0; k < 1000; ++k) spread.push_back({1000 + k});
  CHECK(bound_packs(spread, {.capacity = {1000000}}).packs == 2);  // 1 499 500 in all
}

TEST_CASE("bound_packs counts oversize samples as the policy says") {
  const std::vector<loads<1>> samples{{4}, {11}, {4}, {12}};
  CHECK(bound_packs(samples, {.capacity = {10}, .oversize = oversize_policy::skip}).packs == 1);
  CHECK(bound_packs(samples, {.capacity = {10}, .oversize = oversize_policy::own_pack}).packs == 3);
  CHECK_THROWS_AS(bound_packs(samples, {.capacity = {10}}), invalid_input);
  CHECK_THROWS_AS(bound_packs(samples, {.capacity = {0}}), invalid_input);
}

TEST_CASE("bound_packs takes no samples, empty samples and huge ones") {
  CHECK(bound_packs(std::vector<loads<2>>{}, {.capacity = {9, 9}}).packs == 0);
  CHECK(bound_packs(std::vector<loads<2>>(9), {.capacity = {9, 9}}).packs == 1);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<2>> huge(1000, {most, most / 2 + 1});
  const auto bound = bound_packs(huge, {.capacity = {most, most}});
  CHECK(bound.packs == 1000);
  require_proven(huge, bound);
}
