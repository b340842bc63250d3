// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/packing/capacity_choice.hpp>

#include "catch.hpp"
#include "packing/capacity_checks.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

/// Two samples of 5 tiles never share 9, and most have 5.
length_table mostly_five_tiles() { return two_source_table(20'000, 1).samples; }

}  // namespace

TEST_CASE("capacities that arithmetic makes bad are passed over and named") {
  check_bad_capacities_are_passed_over(mostly_five_tiles());
}

TEST_CASE("a number of samples per pack is met within a tenth where capacities allow it") {
  check_samples_per_pack_are_kept(mostly_five_tiles());
}

TEST_CASE("limits on capacities are respected, for any resource") {
  check_limits_are_kept(mostly_five_tiles());
}

TEST_CASE("a number of samples per pack is met on tables where one resource is rare") {
  // One sample in fifty has images, the others are text of 100 ... 499 tokens.
  std::vector<loads<2>> samples;
  for (std::int64_t k = 0; k < 3000; ++k)
    samples.push_back({k % 50 == 0 ? 1 + k % 9 : 0, 100 + 37 * k % 400});
  for (const double wanted : {2.0, 4.0, 20.0, 300.0}) {
    const auto choice = choose_capacity<2>({.samples = samples, .samples_per_pack = wanted});
    const auto best = std::ranges::find_if(choice.candidates,
                                           [](const auto& one) { return one.passed_over.empty(); });
    REQUIRE(best != choice.candidates.end());
    CHECK(best->found.capacity == choice.best);
    CHECK(best->found.samples_per_pack > 0.9 * wanted);
    CHECK(best->found.samples_per_pack < 1.1 * wanted);
  }
  // The smallest capacities that hold every sample hold more than one.
  const auto one = choose_capacity<2>({.samples = samples, .samples_per_pack = 1});
  CHECK(one.best == loads<2>{9, 499});
}

TEST_CASE("a number of samples per pack is met where packs cannot be filled") {
  // No two of these fit what three of them take, and one of them takes most of what two do.
  std::vector<loads<1>> samples;
  for (std::int64_t k = 0; k < 1500; ++k) samples.push_back({k % 3 == 0 ? 70 : 60});
  for (const double wanted : {1.0, 2.0, 5.0, 40.0}) {
    const auto choice = choose_capacity<1>({.samples = samples, .samples_per_pack = wanted});
    const auto best = std::ranges::find_if(choice.candidates,
                                           [](const auto& one) { return one.passed_over.empty(); });
    CHECK(best->found.samples_per_pack > 0.9 * wanted);
    CHECK(best->found.samples_per_pack < 1.1 * wanted);
  }
}

TEST_CASE("capacity_ratio is what packs take over what their samples fill") {
  // Packs of 10 hold three of 3: 10/9 of what 9 waste.
  const std::vector<loads<1>> samples(3000, {3});
  const auto estimates = estimate_capacities<1>({.samples = samples});
  REQUIRE(estimates.size() == 10);
  CHECK(estimates.front().capacity[0] == 3);
  CHECK(estimates.back().capacity[0] == 12);
  for (const capacity_estimate<1>& one : estimates) {
    CHECK(std::int64_t(one.samples_per_pack) == one.capacity[0] / 3);
    CHECK(one.capacity_ratio == 1'000'000 * one.capacity[0] / (one.capacity[0] / 3 * 3));
  }
}

TEST_CASE("capacities are chosen for text alone, three resources, few samples and none") {
  const std::vector<loads<2>> text(500, {0, 37});
  CHECK(choose_capacity<2>({.samples = text}).best[0] == 1);
  std::vector<loads<3>> three;
  for (std::int64_t k = 0; k < 900; ++k) three.push_back({k % 3, 100 + k % 70, k % 2 * 40});
  for (const auto& [found, passed_over] :
       choose_capacity<3>({.samples = three, .samples_per_pack = 5}).candidates)
    for (const loads<3>& sample : three)
      for (std::size_t r = 0; r < 3; ++r) REQUIRE(sample[r] <= found.capacity[r]);
  const std::vector<loads<2>> single = {{7, 90}};
  CHECK(choose_capacity<2>({.samples = single}).best == loads<2>{7, 90});
  CHECK(choose_capacity<2>({}).best == loads<2>{1, 1});
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<1>> giants(5, {huge});
  CHECK(choose_capacity<1>({.samples = giants}).best[0] == huge);
}

TEST_CASE("a choice of capacities is the same for the same seed, and a stop ends the search") {
  const length_table samples = tiled_table(50'000, 9);
  const auto first = choose_capacity<2>({.samples = samples}, {.seed = 3});
  const auto second = choose_capacity<2>({.samples = samples}, {.seed = 3});
  CHECK(first.best == second.best);
  for (std::size_t k = 0; k < first.candidates.size(); ++k)
    CHECK(first.candidates[k].found.capacity_ratio == second.candidates[k].found.capacity_ratio);
  std::stop_source stop;
  stop.request_stop();
  CHECK(estimate_capacities<2>({.samples = samples}, {.control = {.stop = stop.get_token()}})
            .size() == 1);
}

TEST_CASE("a number of samples per pack that is not positive is refused") {
  const std::vector<loads<1>> samples = {{1}};
  for (const double wanted : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_WITH((choose_capacity<1>({.samples = samples, .samples_per_pack = wanted})),
                      Catch::Contains("samples_per_pack"));
}
