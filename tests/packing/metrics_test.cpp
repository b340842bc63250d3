// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <vector>

#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

const std::vector<loads<2>> samples{{1, 30}, {2, 10}, {3, 0}, {4, 20}};
const grouping<std::uint32_t> packs({0, 3, 4}, {0, 1, 3, 2});

}  // namespace

TEST_CASE("pack_loads adds up the samples of each pack") {
  CHECK(pack_loads(packs, samples) == std::vector<loads<2>>{{7, 60}, {3, 0}});
  CHECK(pack_loads(grouping<std::uint32_t>{}, samples).empty());
  CHECK(pack_loads(grouping<std::uint32_t>({0, 0}, {}), samples) == std::vector<loads<2>>{{0, 0}});
}

TEST_CASE("pack_loads refuses what it cannot add up") {
  const grouping<std::uint32_t> both({0, 2}, {0, 1});
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS_AS(pack_loads(both, std::vector<loads<1>>{{most}, {1}}), invalid_input);
  CHECK_THROWS_AS(pack_loads(both, std::vector<loads<1>>{{1}, {-1}}), invalid_input);
  CHECK_THROWS_AS(pack_loads(both, std::vector<loads<1>>{{1}}), invalid_input);
  CHECK_THROWS_AS(
      pack_loads(both, std::vector<std::array<std::uint64_t, 1>>{{1}, {std::uint64_t{1} << 63}}),
      invalid_input);
}

TEST_CASE("measure_packing measures fill and padding of each resource") {
  const auto metrics = measure_packing(packs, samples, {10, 100});
  CHECK(metrics.packs == 2);
  CHECK(metrics.samples == 4);
  CHECK(metrics.samples_per_pack == 2.0);
  CHECK(metrics.fill[0] == Approx(10.0 / 20));
  CHECK(metrics.fill[1] == Approx(60.0 / 200));
  CHECK(metrics.pad_ratio[0] == Approx(0.5));
  CHECK(metrics.pad_ratio[1] == Approx(0.7));
  // Padded to the longest: 3 · 4 + 1 · 3 tiles, 3 · 30 + 1 · 0 tokens.
  CHECK(metrics.padded_batch_ratio[0] == Approx(1 - 10.0 / 15));
  CHECK(metrics.padded_batch_ratio[1] == Approx(1 - 60.0 / 90));
}

TEST_CASE("measure_packing of nothing is 0") {
  const auto metrics = measure_packing(grouping<std::uint32_t>{}, samples, {10, 100});
  CHECK(metrics.packs == 0);
  CHECK(metrics.samples_per_pack == 0);
  CHECK(metrics.fill[0] == 0);
  CHECK(metrics.pad_ratio[1] == 0);
  CHECK_THROWS_AS(measure_packing(packs, samples, {10, 0}), invalid_input);
  const auto zero_load = measure_packing(packs, std::vector<loads<1>>(4), {7});
  CHECK(zero_load.fill[0] == 0);
  CHECK(zero_load.pad_ratio[0] == 1);
  CHECK(zero_load.padded_batch_ratio[0] == 0);
}

TEST_CASE("measure_packing does not overflow") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto metrics = measure_packing(packs, std::vector<loads<1>>(4, {most}), {most});
  CHECK(metrics.fill[0] == Approx(2.0));
  CHECK(metrics.pad_ratio[0] == Approx(-1.0));
}

TEST_CASE("pack_cost_variation is the deviation relative to the mean") {
  CHECK(pack_cost_variation<int>({}) == 0);
  CHECK(pack_cost_variation<int>(std::vector<int>{5, 5, 5}) == 0);
  CHECK(pack_cost_variation<int>(std::vector<int>{0, 0}) == 0);
  CHECK(pack_cost_variation<int>(std::vector<int>{2, 6}) == Approx(0.5));
  const std::vector<std::uint64_t> huge{~std::uint64_t{0}, ~std::uint64_t{0}};
  CHECK(pack_cost_variation<std::uint64_t>(huge) == Approx(0).margin(1e-12));
}

TEST_CASE("pack_costs adds up the loads in millionths of the capacity") {
  const std::vector<loads<2>> loads_of_packs = {{9, 0}, {0, 4096}, {3, 1024}, {0, 1}, {18, 4096}};
  CHECK(pack_costs<2>(loads_of_packs, {9, 4096}) ==
        std::vector<std::int64_t>{1'000'000, 1'000'000, 333'333 + 250'000, 244, 3'000'000});
  CHECK(pack_costs<2>({}, {9, 4096}).empty());
}

TEST_CASE("pack_costs refuses what has no cost") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<1>> large = {{1}, {most}};
  CHECK_THROWS_WITH(pack_costs<1>(large, {1}), Catch::Contains("load of a pack[1]"));
  CHECK(pack_costs<1>(large, {most}) == std::vector<std::int64_t>{0, 1'000'000});
  CHECK_THROWS_WITH(pack_costs<1>(large, {0}), Catch::Contains("capacity[0] = 0"));
  const std::vector<loads<1>> negative = {{-1}};
  CHECK_THROWS_WITH(pack_costs<1>(negative, {5}), Catch::Contains("packs[0] = -1"));
}
