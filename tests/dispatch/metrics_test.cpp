// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/baselines/trainer_samplers.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

/// Two steps of two ranks: packs 0 and 1 against 2, then 3 against nothing.
const dispatch_plan plan{.ranks = 2, .groups = {{0, 2, 3, 4, 4}, {0, 1, 2, 3}}};

/// The least ratio over all assignments that give ranks equally many packs, or one more.
double best_ratio(const std::vector<std::uint64_t>& costs, std::uint32_t ranks) {
  std::vector<std::uint64_t> spent(ranks);
  std::vector<std::size_t> count(ranks);
  std::uint64_t least = ~std::uint64_t{0};
  const auto place = [&](const auto& self, std::size_t pack) -> void {
    if (pack == costs.size()) {
      const auto [fewest, most] = std::ranges::minmax(count);
      if (most - fewest <= 1) least = std::min(least, *std::ranges::max_element(spent));
      return;
    }
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
      spent[rank] += costs[pack], ++count[rank];
      self(self, pack + 1);
      spent[rank] -= costs[pack], --count[rank];
    }
  };
  place(place, 0);
  const auto sum = std::accumulate(costs.begin(), costs.end(), std::uint64_t{0});
  return sum == 0 ? 1.0 : static_cast<double>(least * ranks) / static_cast<double>(sum);
}

}  // namespace

TEST_CASE("dist_ratio is the mean share of waiting over steps") {
  const std::vector<std::array<int, 2>> packs{{1, 10}, {2, 10}, {6, 20}, {4, 0}};
  const auto ratio = dist_ratio<2, int>(plan, packs);
  CHECK(ratio[0] == Approx(((1 - 4.5 / 6) + (1 - 2.0 / 4)) / 2));
  CHECK(ratio[1] == Approx(0));  // the second step has nothing to wait for
}

TEST_CASE("cost_ratio is the slowest rank over the mean") {
  CHECK(cost_ratio<int>(plan, std::vector<int>{1, 2, 6, 4}) == Approx((6.0 + 4) / (4.5 + 2)));
  CHECK(cost_ratio<int>(plan, std::vector<int>{0, 0, 0, 0}) == 1.0);
}

TEST_CASE("full_steps_cost_ratio leaves out the short step") {
  CHECK(full_steps_cost_ratio<int>(plan, std::vector<int>{1, 2, 6, 4}) == Approx(6.0 / 4.5));
}

TEST_CASE("cost_ratio_bound is what the best assignment of small steps reaches, or less") {
  random_stream random(3);
  for (int trial = 0; trial < 300; ++trial) {
    const std::uint32_t ranks = 2 + uniform_below(random, 2);
    const std::uint32_t packs = 1 + uniform_below(random, 8);
    std::vector<std::uint64_t> costs(packs);
    for (auto& cost : costs) cost = uniform_below(random, trial % 2 == 0 ? 4 : 1000);
    const auto assigned = dispatch_packs<std::uint64_t>(costs, {.ranks = ranks, .microbatches = 8});
    const double best = best_ratio(costs, ranks);
    REQUIRE(cost_ratio_bound<std::uint64_t>(assigned, costs) <= best + 1e-12);
    REQUIRE(cost_ratio<std::uint64_t>(assigned, costs) >= best - 1e-12);
    REQUIRE(cost_ratio<std::uint64_t>(assigned, costs) <= best * 1.34);
  }
}

TEST_CASE("cost_ratio_bound sees expensive packs and packs that must share a rank") {
  const dispatch_plan one{.ranks = 2, .groups = {{0, 2, 4}, {0, 1, 2, 3}}};
  CHECK(cost_ratio_bound<int>(one, std::vector<int>{9, 1, 2, 3}) == Approx(10 / 7.5));
  const dispatch_plan three{.ranks = 2, .groups = {{0, 2, 3}, {0, 1, 2}}};
  CHECK(cost_ratio_bound<int>(three, std::vector<int>{5, 5, 5}) == Approx(10 / 7.5));
  CHECK(cost_ratio_bound<int>(three, std::vector<int>{0, 0, 0}) == 1);
}

TEST_CASE("draw_deviation is one for random steps, and large for steps of like packs") {
  constexpr std::uint32_t packs = 20'000;
  std::vector<std::uint64_t> costs(packs);
  random_stream random(4);
  for (auto& cost : costs) cost = uniform_below(random, 1000);
  dispatch_options options{.ranks = 4, .microbatches = 2};
  double mean = 0;
  for (options.epoch = 0; options.epoch < 20; ++options.epoch)
    mean += draw_deviation<std::uint64_t>(dispatch_packs<std::uint64_t>(costs, options), costs);
  CHECK(mean / 20 == Approx(1).margin(0.03));  // 20 · 2500 steps: one standard deviation is 0.006
  std::ranges::sort(costs);
  const auto sorted = dispatch_in_order(packs, {.ranks = 4, .microbatches = 2});
  CHECK(draw_deviation<std::uint64_t>(sorted, costs) == Approx(8).epsilon(0.01));
}

TEST_CASE("draw_deviation by hand") {
  // Steps {1, 2} and {6, 7}, packs without rank order; the third step is short.
  const dispatch_plan steps{.ranks = 1, .groups = {{0, 2, 4, 5}, {0, 1, 2, 3, 4}}};
  const double between = 2.5 * 2.5;  // means 1.5 and 6.5 around 4
  const double variance = (9.0 + 4 + 4 + 9) / 4;
  CHECK(draw_deviation<int>(steps, std::vector<int>{1, 2, 6, 7, 99}) ==
        Approx(between / (variance / 2 * (4 - 2) / (4 - 1))));
  CHECK(draw_deviation<int>(steps, std::vector<int>{3, 3, 3, 3, 5}) == 1);
  CHECK(draw_deviation<int>(plan, std::vector<int>{1, 2, 6, 4}) == 1);  // one full step
}

TEST_CASE("dispatch metrics of nothing") {
  CHECK(cost_ratio_bound<int>({.ranks = 4}, {}) == 1);
  CHECK(full_steps_cost_ratio<int>({.ranks = 4}, {}) == 1);
  CHECK(draw_deviation<int>({.ranks = 4}, {}) == 1);
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

TEST_CASE("assigned_cost_variation counts each assigned pack once") {
  const std::vector<int> costs{4, 8, 100, 6};
  const auto variation = [&](const dispatch_plan& some) {
    return assigned_cost_variation<int>(some, costs);
  };
  // Packs 0 and 1 are assigned, 2 is dropped, the last place repeats a pack to fill the step up.
  const dispatch_plan padded{
      .ranks = 2, .groups = {{0, 1, 2, 3, 4}, {0, 1, 3, 0}}, .dropped = {2}, .mask = {1, 1, 1, 0}};
  const std::vector<int> assigned{4, 8, 6};
  CHECK(variation(padded) == pack_cost_variation(std::span<const int>(assigned)));
  CHECK(variation({}) == 0.0);
  CHECK_THROWS_AS(variation({.ranks = 1, .groups = {{0, 1}, {4}}}), invalid_input);
}

TEST_CASE("measure_dispatch is all metrics, each by the function of its name") {
  random_stream random(7);
  std::vector<loads<2>> packs(50);
  std::vector<std::int64_t> costs;
  for (loads<2>& pack : packs) {
    pack = {uniform_below(random, 9), uniform_below(random, 4096)};
    costs.push_back(500 * pack[0] + pack[1]);
  }
  const std::span<const std::int64_t> costs_of(costs);
  const std::span<const loads<2>> sums(packs);
  for (const last_step_policy last :
       {last_step_policy::spread, last_step_policy::drop, last_step_policy::pad}) {
    const auto assigned =
        dispatch_packs(costs_of, {.ranks = 3, .microbatches = 2, .last_step = last});
    const auto all = measure_dispatch(assigned, sums, costs_of);
    CHECK(all.steps == assigned.steps());
    CHECK(all.dist_ratio == dist_ratio(assigned, sums));
    CHECK(all.cost_ratio == cost_ratio(assigned, costs_of));
    CHECK(all.cost_ratio_bound == cost_ratio_bound(assigned, costs_of));
    CHECK(all.full_steps_cost_ratio == full_steps_cost_ratio(assigned, costs_of));
    CHECK(all.draw_deviation == draw_deviation(assigned, costs_of));
    CHECK(all.assigned_cost_variation == assigned_cost_variation(assigned, costs_of));
    CHECK_THROWS_WITH(measure_dispatch(assigned, sums, costs_of.first(49)),
                      Catch::Contains("must have one entry per pack, 50"));
  }
}
