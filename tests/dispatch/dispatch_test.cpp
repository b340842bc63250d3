// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <omnibal/core/random.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <span>
#include <vector>

#include "catch.hpp"

using namespace omnibal;

namespace {

std::vector<std::uint64_t> random_costs(std::size_t packs, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<std::uint64_t> costs(packs);
  for (auto& cost : costs) cost = 900 + uniform_below(random, 200);
  return costs;
}

dispatch_plan dispatch(const std::vector<std::uint64_t>& costs, const dispatch_options& options) {
  return dispatch_packs<std::uint64_t>(costs, options);
}

std::uint64_t cost_of(std::span<const std::uint32_t> packs,
                      const std::vector<std::uint64_t>& costs) {
  std::uint64_t sum = 0;
  for (const std::uint32_t pack : packs) sum += costs[pack];
  return sum;
}

std::uint64_t dearest_rank(const dispatch_plan& plan, std::uint64_t step,
                           const std::vector<std::uint64_t>& costs) {
  std::uint64_t dearest = 0;
  for (std::uint32_t rank = 0; rank < plan.ranks; ++rank)
    dearest = std::max(dearest, cost_of(plan.packs(step, rank), costs));
  return dearest;
}

/// The packs that are in the plan for good, and those it dropped, ascending.
std::vector<std::uint32_t> placed(const dispatch_plan& plan) {
  std::vector<std::uint32_t> all = plan.dropped;
  for (std::size_t k = 0; k < plan.groups.indices().size(); ++k)
    if (plan.mask.empty() || plan.mask[k] == 1) all.push_back(plan.groups.indices()[k]);
  std::ranges::sort(all);
  return all;
}

std::vector<std::uint32_t> first_integers(std::size_t count) {
  std::vector<std::uint32_t> values(count);
  std::iota(values.begin(), values.end(), 0U);
  return values;
}

/// The least cost of the dearest of two ranks with equally many packs, by trying everything.
std::uint64_t least_dearest(const std::vector<std::uint64_t>& costs) {
  const std::uint64_t all = std::accumulate(costs.begin(), costs.end(), std::uint64_t{0});
  std::uint64_t least = all;
  for (std::uint32_t chosen = 0; chosen < 1U << costs.size(); ++chosen) {
    std::uint64_t first = 0;
    std::size_t count = 0;
    for (std::size_t k = 0; k < costs.size(); ++k)
      if (chosen >> k & 1U) first += costs[k], ++count;
    if (count == costs.size() / 2) least = std::min(least, std::max(first, all - first));
  }
  return least;
}

}  // namespace

TEST_CASE("dispatch_packs puts every pack in exactly one place") {
  const std::uint32_t ranks = GENERATE(1U, 2U, 3U, 8U, 64U);
  const std::uint32_t microbatches = GENERATE(1U, 2U, 8U);
  const auto policy =
      GENERATE(last_step_policy::spread, last_step_policy::drop, last_step_policy::pad);
  for (std::size_t packs : {0U, 1U, 2U, 7U, 8U, 9U, 63U, 64U, 65U, 511U, 512U, 1000U}) {
    const auto costs = random_costs(packs, packs);
    const auto plan = dispatch(
        costs, {.ranks = ranks, .microbatches = microbatches, .seed = 5, .last_step = policy});
    REQUIRE(placed(plan) == first_integers(packs));
    REQUIRE(plan.groups.size() == plan.steps() * ranks);
    const std::uint64_t per_step = std::uint64_t{ranks} * microbatches;
    const std::uint64_t rest = packs % per_step;
    const bool last = rest > 0 && policy != last_step_policy::drop;
    REQUIRE(plan.steps() == packs / per_step + (last ? 1 : 0));
    REQUIRE(plan.dropped.size() == (policy == last_step_policy::drop ? rest : 0));
    for (std::uint64_t step = 0; step < plan.steps(); ++step)
      for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        const std::size_t held = plan.packs(step, rank).size();
        if (step + 1 < plan.steps() || rest == 0 || policy != last_step_policy::spread)
          REQUIRE(held == microbatches);
        else
          REQUIRE((held == rest / ranks || held == rest / ranks + 1));
      }
  }
}

TEST_CASE("dispatch_packs fills the last step with marked repetitions where asked to") {
  const auto plan = dispatch(random_costs(10, 1),
                             {.ranks = 4, .microbatches = 2, .last_step = last_step_policy::pad});
  CHECK(plan.steps() == 2);
  REQUIRE(plan.mask.size() == 16);
  CHECK(std::ranges::count(plan.mask, 0) == 6);
  for (std::size_t k = 0; k < 8; ++k) CHECK(plan.mask[k] == 1);
  const auto even = dispatch(random_costs(8, 1),
                             {.ranks = 4, .microbatches = 2, .last_step = last_step_policy::pad});
  CHECK(even.mask.empty());
  const auto one = dispatch({5}, {.ranks = 3, .last_step = last_step_policy::pad});
  CHECK(one.steps() == 1);
  CHECK(std::vector<std::uint32_t>(one.groups.indices().begin(), one.groups.indices().end()) ==
        std::vector<std::uint32_t>{0, 0, 0});
  CHECK(std::ranges::count(one.mask, 1) == 1);
}

TEST_CASE("dispatch_packs deals ranks nothing where there is too little") {
  const auto plan = dispatch({5, 6}, {.ranks = 4, .microbatches = 2});
  CHECK(plan.steps() == 1);
  CHECK(dearest_rank(plan, 0, {5, 6}) == 6);
  CHECK(cost_ratio<std::uint64_t>(plan, std::vector<std::uint64_t>{5, 6}) ==
        Approx(6.0 / (11.0 / 4)));
}

TEST_CASE("dispatch_packs comes near the best that equally many packs a rank allow") {
  double excess = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto costs = random_costs(12, seed);
    const auto plan = dispatch(costs, {.ranks = 2, .microbatches = 6, .seed = seed});
    const auto best = static_cast<double>(least_dearest(costs));
    const auto found = static_cast<double>(dearest_rank(plan, 0, costs));
    REQUIRE(found >= best);
    excess += found / best - 1;
  }
  CHECK(excess / 200 < 0.002);
}

TEST_CASE("dispatch_packs leaves a dearest rank that no exchange makes cheaper") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto costs = random_costs(64, seed);
    const auto plan = dispatch(costs, {.ranks = 8, .microbatches = 8, .seed = seed});
    const std::uint64_t dearest = dearest_rank(plan, 0, costs);
    const auto helps = [&](std::uint32_t give, std::uint32_t other) {
      return std::ranges::any_of(plan.packs(0, other), [&](std::uint32_t take) {
        return costs[take] < costs[give] &&
               cost_of(plan.packs(0, other), costs) + costs[give] - costs[take] < dearest;
      });
    };
    bool stuck = false;
    for (std::uint32_t rank = 0; rank < 8; ++rank) {
      bool helped = cost_of(plan.packs(0, rank), costs) < dearest;
      for (const std::uint32_t give : plan.packs(0, rank))
        for (std::uint32_t other = 0; other < 8; ++other) helped |= helps(give, other);
      stuck |= !helped;
    }
    REQUIRE(stuck);
  }
}

TEST_CASE("dispatch_packs evens the ranks of a step far beyond a random deal") {
  // Half the packs are underfull, as those of the published packer are at its end.
  std::vector<std::uint64_t> costs = random_costs(4096, 3);
  for (std::size_t k = 2048; k < costs.size(); ++k) costs[k] /= 2;
  const dispatch_options options{.ranks = 64, .microbatches = 8, .seed = 1};
  CHECK(cost_ratio<std::uint64_t>(dispatch(costs, options), costs) < 1.003);
}

TEST_CASE("dispatch_packs gives late packs no worse a place than early ones (defect 3)") {
  // Every pack is to be on every rank and in every step about equally often over epochs.
  constexpr std::size_t epochs = 4000;
  const auto costs = std::vector<std::uint64_t>(32, 7);
  std::array<std::array<double, 4>, 32> steps{};
  std::array<std::array<double, 4>, 32> ranks{};
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto plan = dispatch(costs, {.ranks = 4, .microbatches = 2, .epoch = epoch});
    for (std::uint64_t step = 0; step < 4; ++step)
      for (std::uint32_t rank = 0; rank < 4; ++rank)
        for (const std::uint32_t pack : plan.packs(step, rank))
          ++steps[pack][step], ++ranks[pack][rank];
  }
  for (const auto* counts : {&steps, &ranks}) {
    double statistic = 0;  // Pearson's, 32 · 3 degrees of freedom
    for (const auto& row : *counts)
      for (const double count : row)
        statistic += (count - epochs / 4.0) * (count - epochs / 4.0) / (epochs / 4.0);
    CHECK(statistic < 148);  // exceeded once in 2000 draws
  }
}

TEST_CASE("dispatch_packs deals anew each epoch and drops others each time (defect 3)") {
  const auto costs = random_costs(1000, 2);
  const dispatch_options options{
      .ranks = 8, .microbatches = 4, .seed = 9, .last_step = last_step_policy::drop};
  auto next = options;
  next.epoch = 1;
  const auto first = dispatch(costs, options);
  const auto second = dispatch(costs, next);
  CHECK(dispatch(costs, options) == first);
  CHECK(first.groups != second.groups);
  CHECK(first.dropped != second.dropped);
}

TEST_CASE("dispatch_packs keeps a rank's packs in the order in which they were dealt") {
  // With one rank nothing is exchanged: the order is the shuffle's, not that of cost.
  const auto costs = random_costs(64, 4);
  const auto plan = dispatch(costs, {.ranks = 1, .microbatches = 64});
  std::vector<std::uint64_t> in_order;
  for (const std::uint32_t pack : plan.packs(0, 0)) in_order.push_back(costs[pack]);
  CHECK(!std::ranges::is_sorted(in_order));
  CHECK(!std::ranges::is_sorted(in_order, std::greater<>{}));
}

TEST_CASE("dispatch_packs takes costs of any integer type and as a function") {
  const std::vector<std::uint64_t> costs = random_costs(100, 6);
  const std::vector<std::int16_t> narrow(costs.begin(), costs.end());
  const dispatch_options options{.ranks = 3, .microbatches = 5, .seed = 8};
  const auto plan = dispatch(costs, options);
  CHECK(dispatch_packs<std::int16_t>(narrow, options) == plan);
  CHECK(dispatch_packs(
            100, [&](std::uint32_t pack) { return costs[pack]; }, options) == plan);
}

TEST_CASE("dispatch_packs refuses broken options and costs") {
  const std::vector<std::int64_t> costs{1, -2};
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>(costs, {}), "costs[1] = -2: must not be negative");
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>({}, {.ranks = 0}),
                    "ranks = 0: must be at least 1");
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>({}, {.microbatches = 0}),
                    "microbatches = 0: must be at least 1");
  const std::vector<std::uint64_t> huge(4, std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS_AS(dispatch(huge, {.ranks = 2, .microbatches = 2}), invalid_input);
  const std::vector<std::uint64_t> large(4, std::uint64_t{1} << 62);
  CHECK(dearest_rank(dispatch(large, {.ranks = 2, .microbatches = 2}), 0, large) == std::uint64_t{1}
                                                                                        << 63);
}

TEST_CASE("dispatch_packs always gives these bytes") {
  const auto plan = dispatch(random_costs(12, 1), {.ranks = 2, .microbatches = 2, .seed = 1024});
  CHECK(std::vector<std::uint32_t>(plan.groups.indices().begin(), plan.groups.indices().end()) ==
        std::vector<std::uint32_t>{9, 1, 2, 4, 8, 11, 7, 3, 0, 6, 10, 5});
}
