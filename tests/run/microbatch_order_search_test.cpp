// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <stop_token>
#include <vector>

#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/detail/prepared_schedule.hpp>
#include <omnibal/run/microbatch_order_search.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

/// Two stages or more, the first for tiles and the others for tokens.
/// Those of a schedule that does not split the backward know no weight gradient.
std::vector<stage_model> some_stages(random_stream& random, const schedule_shape& shape) {
  const std::size_t count = shape.total_stages();
  std::vector<stage_model> stages(count);
  for (std::size_t s = 0; s < count; ++s) {
    const auto cost = [&](std::int64_t most) {
      return linear_cost{.constant = test::draw(random, 0, most) << fixed_point_bits,
                         .per_tile = s == 0 ? test::draw(random, 0, most) << fixed_point_bits : 0,
                         .per_token = test::draw(random, 0, most) << fixed_point_bits};
    };
    stages[s] = {.forward_time = cost(50), .backward_time = cost(99)};
    if (shape.splits_backward())
      stages[s].weight_gradient_time = {.per_token = stages[s].backward_time.per_token / 2};
    stages[s].step_time = test::draw(random, 0, 200);
    if (s + 1 < count) stages[s].forward_latency = stages[s].backward_latency = cost(5);
  }
  return stages;
}

epoch_load some_load(random_stream& random, std::size_t steps, std::size_t ranks,
                     std::size_t most) {
  epoch_load load{.ranks = ranks};
  for (std::size_t group = 0; group < steps * ranks; ++group) {
    const std::int64_t count = test::draw(random, 0, static_cast<std::int64_t>(most));
    for (std::int64_t k = 0; k < count; ++k) {
      load.assignment.push_back(static_cast<std::uint32_t>(load.microbatches.size()));
      load.microbatches.push_back(
          {.tiles = test::draw(random, 0, 9), .tokens = test::draw(random, 1, 20)});
    }
    load.assignment.close_group();
  }
  return load;
}

struct searched_rank {
  microbatch_order_result found;
  std::int64_t best = 0;  ///< Over all orders.
};

searched_rank search_and_enumerate(std::uint64_t seed, std::size_t microbatches) {
  random_stream random(seed);
  schedule_shape shape{.kind = all_schedules[seed % all_schedules.size()],
                       .stages = static_cast<std::size_t>(test::draw(random, 1, 4))};
  if (shape.shares_devices()) shape.virtual_stages = 2;
  shape.microbatches = runnable_microbatches(shape, microbatches);
  const auto stages = some_stages(random, shape);
  epoch_load load{.ranks = 1};
  std::vector<std::uint32_t> ids(microbatches);
  std::iota(ids.begin(), ids.end(), 0U);
  for (std::size_t k = 0; k < microbatches; ++k)
    load.microbatches.push_back(
        {.tiles = test::draw(random, 0, 9), .tokens = test::draw(random, 1, 20)});
  const std::vector<std::int64_t> step_times = device_step_times(shape, stages);
  const detail::prepared_schedule prepared(shape);
  microbatch_times times;
  times.evaluate(stages, load, ids, shape.microbatches);
  searched_rank rank{.found =
                         search_microbatch_order(prepared.graph, times, microbatches, step_times)};
  // Enumerated by simulating each order.
  std::vector<std::uint32_t> order = ids;
  const auto time_of_order = [&] {
    microbatch_times evaluated;
    evaluated.evaluate(stages, load, order, shape.microbatches);
    const auto run = simulate(prepared.graph, evaluated);
    std::int64_t end = 0;
    for (std::size_t d = 0; d < shape.stages; ++d) end = std::max(end, run.end[d] + step_times[d]);
    return end;
  };
  CHECK(rank.found.given == time_of_order());
  order = rank.found.order;
  CHECK(rank.found.objective == time_of_order());
  order = ids;
  rank.best = rank.found.given;
  while (std::ranges::next_permutation(order).found)
    rank.best = std::min(rank.best, time_of_order());
  return rank;
}

}  // namespace

TEST_CASE("the order of a few micro-batches is the best of all orders") {
  const std::size_t microbatches = GENERATE(1U, 2U, 3U, 4U, 5U);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto [found, best] = search_and_enumerate(seed, microbatches);
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == best);
    REQUIRE(found.bound == best);
  }
}

TEST_CASE("the order of more micro-batches is near the best, and no order is below the bound") {
  int best_found = 0;
  constexpr std::uint64_t problems = 100;
  for (std::uint64_t seed = 0; seed < problems; ++seed) {
    const auto [found, best] = search_and_enumerate(seed, 6 + seed % 2);
    auto order = found.order;
    std::ranges::sort(order);
    for (std::uint32_t k = 0; k < order.size(); ++k) REQUIRE(order[k] == k);
    REQUIRE(found.bound <= best);
    REQUIRE(best <= found.objective);
    REQUIRE(found.objective <= found.given);
    if (found.status == search_status::optimal) REQUIRE(found.objective == best);
    best_found += found.objective == best;
    CHECK(100 * found.objective <= 103 * best);
  }
  CHECK(best_found >= 80);
}

TEST_CASE("an epoch in order holds the same micro-batches and takes no longer") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    random_stream random(seed);
    schedule_shape shape{.kind = all_schedules[seed % all_schedules.size()], .stages = 3};
    if (shape.shares_devices()) shape.virtual_stages = 2;
    const auto stages = some_stages(random, shape);
    const epoch_load load = some_load(random, 5, 3, 8);
    epoch_load ordered = load;
    const epoch_order_result found = order_epoch(stages, shape, load);
    ordered.assignment = found.assignment;
    REQUIRE(ordered.assignment.size() == load.assignment.size());
    for (std::size_t group = 0; group < load.assignment.size(); ++group)
      REQUIRE(std::ranges::is_permutation(ordered.assignment[group], load.assignment[group]));
    const auto before = simulate_epoch(stages, shape, load);
    const auto after = simulate_epoch(stages, shape, ordered);
    REQUIRE(after.time <= before.time);
    CHECK(found.objective == after.time);
    CHECK(found.bound <= found.objective);
    CHECK(found.limit == search_limit::none);
  }
}

TEST_CASE("an epoch stays as it is given where the search is asked to stop") {
  random_stream random(2);
  const schedule_shape shape{.stages = 3};
  const auto stages = some_stages(random, shape);
  const epoch_load load = some_load(random, 5, 3, 8);
  std::stop_source stop;
  stop.request_stop();
  const auto found = order_epoch(stages, shape, load, {.control = {.stop = stop.get_token()}});
  const grouping<std::uint32_t>& ordered = found.assignment;
  CHECK(found.status == search_status::stopped);
  CHECK(found.limit == search_limit::stop);
  CHECK(found.objective == simulate_epoch(stages, shape, load).time);
  REQUIRE(ordered.size() == load.assignment.size());
  for (std::size_t group = 0; group < ordered.size(); ++group)
    CHECK(std::ranges::equal(ordered[group], load.assignment[group]));
}

TEST_CASE("searches for an order end at their limits") {
  random_stream random(1);
  const auto stages = some_stages(random, {.stages = 4});
  epoch_load load{.ranks = 1};
  std::vector<std::uint32_t> ids(12);
  std::iota(ids.begin(), ids.end(), 0U);
  for (std::size_t k = 0; k < ids.size(); ++k)
    load.microbatches.push_back(
        {.tiles = test::draw(random, 0, 9), .tokens = test::draw(random, 1, 20)});
  const detail::prepared_schedule prepared(
      {.kind = schedules::one_forward_one_backward{}, .stages = 4, .microbatches = 12});
  microbatch_times times;
  times.evaluate(stages, load, ids, ids.size());
  const std::vector<std::int64_t> no_steps(4, 0);
  const auto search = [&](const order_search_options& limits) {
    return search_microbatch_order(prepared.graph, times, ids.size(), no_steps, limits);
  };
  const auto once = search({.simulations = 1});
  CHECK(once.objective == once.given);
  CHECK(once.order == ids);
  const auto content = search({.goal = once.given});
  CHECK(content.order == ids);
  const auto best = search({});
  CHECK(best.objective < once.given);
}
