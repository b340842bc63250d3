// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>

#include "catch.hpp"
#include "dispatch/promised_ratios.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;
using namespace omnibal::test;

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

std::uint64_t slowest_rank(const dispatch_plan& plan, std::uint64_t step,
                           const std::vector<std::uint64_t>& costs) {
  std::uint64_t most_expensive = 0;
  for (std::uint32_t rank = 0; rank < plan.ranks; ++rank)
    most_expensive = std::max(most_expensive, cost_of(plan.packs(step, rank), costs));
  return most_expensive;
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

/// The least cost of the slowest of two ranks with equally many packs, by trying everything.
std::uint64_t least_of_slowest(const std::vector<std::uint64_t>& costs) {
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
        const std::size_t count = plan.packs(step, rank).size();
        if (step + 1 < plan.steps() || rest == 0 || policy != last_step_policy::spread)
          REQUIRE(count == microbatches);
        else
          REQUIRE((count == rest / ranks || count == rest / ranks + 1));
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

TEST_CASE("dispatch_packs assigns ranks nothing where there is too little") {
  const auto plan = dispatch({5, 6}, {.ranks = 4, .microbatches = 2});
  CHECK(plan.steps() == 1);
  CHECK(slowest_rank(plan, 0, {5, 6}) == 6);
  CHECK(cost_ratio<std::uint64_t>(plan, std::vector<std::uint64_t>{5, 6}) ==
        Approx(6.0 / (11.0 / 4)));
}

TEST_CASE("dispatch_packs comes near the best that equally many packs per rank allow") {
  double excess = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto costs = random_costs(12, seed);
    const auto plan = dispatch(costs, {.ranks = 2, .microbatches = 6, .seed = seed});
    const auto best = static_cast<double>(least_of_slowest(costs));
    const auto found = static_cast<double>(slowest_rank(plan, 0, costs));
    REQUIRE(found >= best);
    excess += found / best - 1;
  }
  CHECK(excess / 200 < 0.002);
}

TEST_CASE("dispatch_packs leaves a slowest rank that no exchange makes faster") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto costs = random_costs(64, seed);
    const auto plan = dispatch(costs, {.ranks = 8, .microbatches = 8, .seed = seed});
    const std::uint64_t most_expensive = slowest_rank(plan, 0, costs);
    const auto helps = [&](std::uint32_t give, std::uint32_t other) {
      return std::ranges::any_of(plan.packs(0, other), [&](std::uint32_t take) {
        return costs[take] < costs[give] &&
               cost_of(plan.packs(0, other), costs) + costs[give] - costs[take] < most_expensive;
      });
    };
    bool stuck = false;
    for (std::uint32_t rank = 0; rank < 8; ++rank) {
      bool helped = cost_of(plan.packs(0, rank), costs) < most_expensive;
      for (const std::uint32_t give : plan.packs(0, rank))
        for (std::uint32_t other = 0; other < 8; ++other) helped |= helps(give, other);
      stuck |= !helped;
    }
    REQUIRE(stuck);
  }
}

TEST_CASE("dispatch_packs evens the ranks of a step far beyond a random assignment") {
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

TEST_CASE("dispatch_packs assigns anew each epoch and drops others each time (defect 3)") {
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

TEST_CASE("dispatch_packs gives no rank the expensive packs more often than another (defect 3)") {
  // With one pack per rank the most expensive pack of the step has to be somewhere.
  constexpr std::size_t epochs = 4000;
  const auto costs = random_costs(4, 5);
  std::array<double, 4> most_expensive{};
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto plan = dispatch(costs, {.ranks = 4, .epoch = epoch});
    for (std::uint32_t rank = 0; rank < 4; ++rank)
      most_expensive[rank] +=
          costs[plan.packs(0, rank)[0]] == *std::ranges::max_element(costs) ? 1 : 0;
  }
  double statistic = 0;  // Pearson's, 3 degrees of freedom
  for (const double count : most_expensive)
    statistic += (count - epochs / 4.0) * (count - epochs / 4.0) / (epochs / 4.0);
  CHECK(statistic < 17.7);  // exceeded once in 2000 draws
}

TEST_CASE("dispatch_packs assigns the same steps to any ranks with the same global batch") {
  const auto policy =
      GENERATE(last_step_policy::spread, last_step_policy::drop, last_step_policy::pad);
  const std::uint32_t window = GENERATE(1U, 3U);
  const bool largest_first = GENERATE(false, true);
  const auto costs = random_costs(1000, 7);
  std::vector<std::vector<std::uint32_t>> steps;
  std::uint64_t fingerprint = 0;
  for (const std::uint32_t ranks : {1U, 2U, 4U, 8U, 16U, 48U}) {
    const auto plan = dispatch(costs, {.ranks = ranks,
                                       .microbatches = 48 / ranks,
                                       .seed = 4,
                                       .epoch = 2,
                                       .last_step = policy,
                                       .window = window,
                                       .largest_first = largest_first});
    std::vector<std::vector<std::uint32_t>> these;
    for (std::uint64_t step = 0; step < plan.steps(); ++step) {
      these.emplace_back(plan.packs(step).begin(), plan.packs(step).end());
      std::ranges::sort(these.back());
    }
    if (steps.empty()) steps = these, fingerprint = step_fingerprint(plan);
    REQUIRE(these == steps);
    REQUIRE(step_fingerprint(plan) == fingerprint);
  }
  const auto other = dispatch(costs, {.ranks = 24, .microbatches = 1, .seed = 4, .epoch = 2});
  CHECK(step_fingerprint(other) != fingerprint);
}

TEST_CASE("dispatch_packs begins with the most expensive packs where asked to") {
  const auto policy =
      GENERATE(last_step_policy::spread, last_step_policy::drop, last_step_policy::pad);
  const std::uint32_t window = GENERATE(1U, 4U);
  for (const std::size_t packs : {12U, 13U, 100U}) {
    const auto costs = random_costs(packs, 8);
    const auto plan = dispatch(costs, {.ranks = 4,
                                       .microbatches = 3,
                                       .last_step = policy,
                                       .window = window,
                                       .largest_first = true});
    auto most_valuable_first = costs;
    std::ranges::sort(most_valuable_first, std::greater<>{});
    std::vector<std::uint64_t> first_step;
    for (const std::uint32_t pack : plan.packs(0)) first_step.push_back(costs[pack]);
    std::ranges::sort(first_step, std::greater<>{});
    REQUIRE(std::ranges::equal(first_step, std::span(most_valuable_first).first(12)));
    REQUIRE(placed(plan) == first_integers(packs));
    for (const std::uint32_t pack : plan.dropped) REQUIRE(costs[pack] <= first_step.back());
  }
}

TEST_CASE("dispatch_packs draws the steps after the most expensive at random") {
  const auto costs = random_costs(4096, 9);
  const auto plan = dispatch(costs, {.ranks = 16, .seed = 3, .largest_first = true});
  auto next = dispatch(costs, {.ranks = 16, .seed = 3, .epoch = 1, .largest_first = true});
  CHECK(plan.groups != next.groups);
  // Without its first step the plan is as good as drawn.
  const std::vector<std::uint32_t> rest(plan.groups.indices().begin() + 16,
                                        plan.groups.indices().end());
  dispatch_plan later{.ranks = 16};
  for (const std::uint32_t pack : rest) later.groups.append(std::span(&pack, 1));
  CHECK(draw_deviation<std::uint64_t>(later, costs) < 1.4);
}

TEST_CASE("dispatch_packs makes the ranks of a step alike by windows") {
  const auto costs = random_costs(64 * 40 + 17, 10);
  double last_ratio = 10;
  double last_deviation = 0;
  for (const std::uint32_t window : {1U, 2U, 8U, 40U}) {
    const auto plan = dispatch(costs, {.ranks = 64, .window = window});
    REQUIRE(placed(plan) == first_integers(costs.size()));
    const double ratio = full_steps_cost_ratio<std::uint64_t>(plan, costs);
    const double deviation = draw_deviation<std::uint64_t>(plan, costs);
    CHECK(ratio < last_ratio);
    CHECK(deviation > last_deviation);
    last_ratio = ratio, last_deviation = deviation;
  }
  CHECK(last_ratio < 1.01);
  CHECK(dispatch(costs, {.ranks = 64, .window = 40}) ==
        dispatch(costs, {.ranks = 64, .window = 4'000'000'000U}));
}

TEST_CASE("dispatch_packs shuffles the steps of a window and the packs of a step") {
  const auto costs = random_costs(640, 11);
  const auto plan = dispatch(costs, {.ranks = 4, .microbatches = 4, .window = 40});
  std::vector<std::uint64_t> by_step;
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    by_step.push_back(costs[plan.packs(step)[0]]);
  CHECK(!std::ranges::is_sorted(by_step));
  CHECK(!std::ranges::is_sorted(by_step, std::greater<>{}));
  std::size_t sorted = 0;
  for (std::size_t group = 0; group < plan.groups.size(); ++group)
    sorted += std::ranges::is_sorted(plan.groups[group], {},
                                     [&](std::uint32_t pack) { return costs[pack]; });
  CHECK(sorted < plan.groups.size() / 4);  // one in 24 is, by chance
}

TEST_CASE("dispatch_packs keeps a rank's packs in the order in which they were assigned") {
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
            100, [&](std::size_t pack) { return costs[pack]; }, options) == plan);
  CHECK(dispatch_packs(
            costs.size(), [&](std::uint32_t pack) { return costs[pack]; }, options) == plan);
}

TEST_CASE("dispatch_packs refuses broken options and costs") {
  const std::vector<std::int64_t> costs{1, -2};
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>(costs, {}), "costs[1] = -2: must not be negative");
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>({}, {.ranks = 0}),
                    "ranks = 0: must be at least 1");
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>({}, {.microbatches = 0}),
                    "microbatches = 0: must be at least 1");
  CHECK_THROWS_WITH(dispatch_packs<std::int64_t>({}, {.window = 0}),
                    "window = 0: must be at least 1, which is a random draw");
  CHECK_THROWS_AS(
      dispatch_packs<std::int16_t>(std::vector<std::int16_t>{1},
                                   {.ranks = 2,
                                    .microbatches = std::numeric_limits<std::uint32_t>::max(),
                                    .last_step = last_step_policy::pad}),
      invalid_input);
  const std::vector<std::uint64_t> huge(4, std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS_AS(dispatch(huge, {.ranks = 2, .microbatches = 2}), invalid_input);
  const std::vector<std::uint64_t> large(4, std::uint64_t{1} << 62);
  CHECK(slowest_rank(dispatch(large, {.ranks = 2, .microbatches = 2}), 0, large) == std::uint64_t{1}
                                                                                        << 63);
}

TEST_CASE("dispatch_packs refuses more packs than their numbers can name") {
  const std::size_t packs = std::size_t{std::numeric_limits<std::uint32_t>::max()} + 1;
  std::size_t calls = 0;
  const auto cost = [&](std::size_t) {
    ++calls;
    return 1;
  };
  CHECK_THROWS_WITH(dispatch_packs(packs, cost, {}),
                    "number of packs = 4294967296: must be at most 2^32 - 1");
  CHECK(calls == 0);
}

TEST_CASE("dispatch_packs always gives these bytes") {
  const auto plan = dispatch(random_costs(12, 1), {.ranks = 2, .microbatches = 2, .seed = 1024});
  CHECK(std::vector<std::uint32_t>(plan.groups.indices().begin(), plan.groups.indices().end()) ==
        std::vector<std::uint32_t>{2, 4, 9, 1, 8, 11, 7, 3, 10, 5, 0, 6});
  CHECK(step_fingerprint(plan) == 0x46E831B3024CCC1C);
  const auto windows =
      dispatch(random_costs(12, 1),
               {.ranks = 2, .microbatches = 2, .seed = 1024, .window = 2, .largest_first = true});
  CHECK(std::vector<std::uint32_t>(windows.groups.indices().begin(),
                                   windows.groups.indices().end()) ==
        std::vector<std::uint32_t>{1, 0, 11, 5, 8, 2, 9, 6, 7, 10, 3, 4});
}

TEST_CASE("dispatch_packs keeps the ranks of packs within the promised ratios") {
  check_promise(two_source_table(30'000, 1).samples,
                GENERATE(promise{{18, 6016}, 64, 1.002}, promise{{9, 4096}, 64, 1.01},
                         promise{{18, 6016}, 8, 1.002}, promise{{9, 4096}, 8, 1.01}));
}
