// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stop_token>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/recompute/exact.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

struct brute_force {
  std::int64_t extra = std::numeric_limits<std::int64_t>::max();
  std::int64_t least_bytes = std::numeric_limits<std::int64_t>::max();
};

brute_force enumerate(const recompute_problem& problem) {
  brute_force best;
  test::for_each_modes(problem.layers, [&](const std::vector<std::size_t>& modes) {
    std::int64_t extra = 0;
    for (std::size_t l = 0; l < modes.size(); ++l)
      extra += problem.layers[l].modes[modes[l]].extra_time;
    const std::int64_t bytes =
        activation_peak(problem.layers, modes, static_cast<std::int64_t>(problem.in_flight));
    best.least_bytes = std::min(best.least_bytes, bytes);
    if (bytes <= problem.budget) best.extra = std::min(best.extra, extra);
  });
  return best;
}

std::int64_t peak_of_random_modes(const recompute_problem& problem, random_stream& random) {
  std::vector<std::size_t> modes;
  for (const pipeline_layer& layer : problem.layers)
    modes.push_back(static_cast<std::size_t>(
        test::draw(random, 0, static_cast<std::int64_t>(layer.modes.size()) - 1)));
  return activation_peak(problem.layers, modes, static_cast<std::int64_t>(problem.in_flight));
}

/// Every other budget is the peak of some modes, so that one byte matters.
recompute_problem random_stage(random_stream& random, std::int64_t scale) {
  recompute_problem problem;
  const auto count = static_cast<std::size_t>(test::draw(random, 1, 7));
  while (problem.layers.size() < count) {
    if (!problem.layers.empty() && test::draw(random, 0, 2) == 0)
      problem.layers.push_back(problem.layers.back());
    else
      problem.layers.push_back(
          test::random_layer(random, static_cast<std::size_t>(test::draw(random, 1, 3)), scale));
  }
  problem.in_flight = static_cast<std::size_t>(test::draw(random, 1, 5));
  problem.budget = test::draw(random, 0, 900) * scale;
  if (test::draw(random, 0, 1) == 0) problem.budget = peak_of_random_modes(problem, random);
  return problem;
}

}  // namespace

TEST_CASE("Random stages agree with enumeration, with small and byte-scale values") {
  random_stream random(23);
  for (int round = 0; round < 3000; ++round) {
    const std::int64_t scale = round % 2 == 0 ? 1 : 123'456'789;
    const recompute_problem problem = random_stage(random, scale);
    const brute_force best = enumerate(problem);
    const recompute_result found = choose_recomputation(problem);
    if (best.extra == std::numeric_limits<std::int64_t>::max()) {
      REQUIRE(found.status == search_status::infeasible);
      REQUIRE(found.bytes_short == best.least_bytes - problem.budget);
      continue;
    }
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == best.extra);
    REQUIRE(found.bound == best.extra);
    std::int64_t extra = 0;
    for (std::size_t l = 0; l < found.modes.size(); ++l)
      extra += problem.layers[l].modes[found.modes[l]].extra_time;
    REQUIRE(extra == best.extra);
    REQUIRE(activation_peak(problem.layers, found.modes,
                            static_cast<std::int64_t>(problem.in_flight)) <= problem.budget);
  }
}

TEST_CASE("Irregular values of many distinct layers stay exact") {
  // Against a dynamic program over saved units, small enough to table.
  random_stream random(29);
  for (int round = 0; round < 20; ++round) {
    recompute_problem problem{.layers = {}, .in_flight = 1, .budget = 0};
    std::int64_t least = 0;
    for (int l = 0; l < 40; ++l) {
      pipeline_layer one{.modes = {}};
      one.modes.push_back({.extra_time = 0, .saved_bytes = test::draw(random, 50, 120)});
      one.modes.push_back(
          {.extra_time = test::draw(random, 1, 40), .saved_bytes = test::draw(random, 20, 49)});
      one.modes.push_back(
          {.extra_time = test::draw(random, 41, 99), .saved_bytes = test::draw(random, 1, 19)});
      least += one.modes[2].saved_bytes;
      problem.layers.push_back(one);
    }
    problem.budget = least + test::draw(random, 0, 2500);
    constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max() / 2;
    std::vector<std::int64_t> best(static_cast<std::size_t>(problem.budget) + 1, none);
    best[0] = 0;
    for (const pipeline_layer& one : problem.layers) {
      std::vector<std::int64_t> next(best.size(), none);
      for (std::size_t used = 0; used < best.size(); ++used)
        for (const recompute_mode& mode : one.modes) {
          const std::size_t sum = used + static_cast<std::size_t>(mode.saved_bytes);
          if (sum < next.size()) next[sum] = std::min(next[sum], best[used] + mode.extra_time);
        }
      best = next;
    }
    const recompute_result found = choose_recomputation(problem);
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == *std::ranges::min_element(best));
  }
}

TEST_CASE("When the search is cut short it still has a choice and a true bound") {
  random_stream random(31);
  recompute_problem problem{.layers = {}, .in_flight = 2, .budget = 0};
  for (int l = 0; l < 30; ++l) problem.layers.push_back(test::random_layer(random, 3, 1'000'003));
  for (const pipeline_layer& one : problem.layers)
    problem.budget += 30 * one.modes[0].saved_bytes / 20;
  problem.budget += 100'000'000;
  const recompute_result exact = choose_recomputation(problem);
  const recompute_result cut = choose_recomputation(problem, {.point_limit = 1});
  REQUIRE(exact.status == search_status::optimal);
  REQUIRE(cut.has_modes());
  CHECK(cut.bound <= exact.objective);
  CHECK(cut.objective >= exact.objective);
  CHECK(activation_peak(problem.layers, cut.modes, 2) <= problem.budget);
}

TEST_CASE("Every limit leaves a choice that fits, no better than its bound nor the optimum") {
  random_stream random(47);
  std::stop_source stopped;
  stopped.request_stop();
  int cut = 0;
  for (int round = 0; round < 60; ++round) {
    recompute_problem problem{.layers = {}, .in_flight = 2, .budget = 0};
    const pipeline_layer repeated = test::random_layer(random, 4, 1009);
    for (int l = 0; l < 14; ++l)
      problem.layers.push_back(l % 3 == 0 ? repeated : test::random_layer(random, 3, 1009));
    recompute_chooser exactly(problem.layers);
    problem.budget = exactly.least_bytes(0, 14, 2) + 12'000 * round;
    const recompute_result exact = choose_recomputation(problem);
    REQUIRE(exact.status == search_status::optimal);
    const std::vector<recompute_options> limits = {
        {.point_limit = 0}, {.point_limit = 40},  {.point_limit = 400},
        {.work_limit = 0},  {.work_limit = 3000}, {.control = {.stop = stopped.get_token()}}};
    for (const recompute_options& options : limits) {
      const recompute_result found = choose_recomputation(problem, options);
      REQUIRE(found.has_modes());
      cut += found.status == search_status::stopped;
      const search_limit limit =
          options.control.stop_requested() ? search_limit::stop : search_limit::operations;
      const bool is_cut = found.status == search_status::stopped;
      REQUIRE(found.limit == (is_cut ? limit : search_limit::none));
      REQUIRE(found.bound <= exact.objective);
      REQUIRE(found.objective >= exact.objective);
      REQUIRE(activation_peak(problem.layers, found.modes, 2) <= problem.budget);
      if (found.status == search_status::optimal) REQUIRE(found.objective == exact.objective);
    }
  }
  CHECK(cut > 60);
}

TEST_CASE("Approximate choices are near the optimum, whatever the limits on stored points") {
  // A subset sum: the frontier has as many points as there are sums.
  random_stream random(5);
  recompute_problem problem{.layers = {}, .in_flight = 1, .budget = 0};
  for (int l = 0; l < 120; ++l) {
    const std::int64_t bytes = 1 + uniform_below(random, 1'000'000'000);
    problem.layers.push_back({.modes = {{.extra_time = 0, .saved_bytes = bytes},
                                        {.extra_time = bytes, .saved_bytes = 0}}});
    problem.budget += bytes / 2;
  }
  const recompute_result found =
      choose_recomputation(problem, {.point_limit = 20'000, .work_limit = 5'000'000});
  CHECK(found.objective - found.bound <= found.bound / 1000);
  CHECK(activation_peak(problem.layers, found.modes, 1) <= problem.budget);
}

TEST_CASE("No layers, no memory, no limit") {
  CHECK(choose_recomputation({}).objective == 0);
  const pipeline_layer one{.modes = {{.extra_time = 0, .saved_bytes = 5}, {.extra_time = 4}}};
  CHECK(choose_recomputation({.layers = {one}, .budget = 5}).modes == std::vector<std::size_t>{0});
  CHECK(choose_recomputation({.layers = {one}, .budget = 4}).modes == std::vector<std::size_t>{1});
  CHECK(choose_recomputation({.layers = {one}, .budget = 0}).objective == 4);
  CHECK(choose_recomputation({.layers = {one}, .budget = std::numeric_limits<std::int64_t>::max()})
            .objective == 0);
}

TEST_CASE("Bad stages are refused by name") {
  CHECK_THROWS_WITH(choose_recomputation({.in_flight = 0}),
                    Catch::Matchers::ContainsSubstring("in_flight = 0"));
  CHECK_THROWS_WITH(choose_recomputation({.budget = -1}),
                    Catch::Matchers::ContainsSubstring("budget = -1"));
  CHECK_THROWS_AS(choose_recomputation({.layers = {{.modes = {{.saved_bytes = -1}}}}}),
                  invalid_input);
}

TEST_CASE("The paper's rule fits where the exact choice does and is never better") {
  random_stream random(37);
  for (int round = 0; round < 500; ++round) {
    const recompute_problem problem = random_stage(random, 1);
    const auto in_flight = static_cast<std::int64_t>(problem.in_flight);
    const recompute_result adaptive =
        choose_recomputation_adaptively(problem.layers, in_flight, problem.budget);
    if (!adaptive.has_modes()) {
      REQUIRE(adaptive.bytes_short > 0);
      continue;
    }
    REQUIRE(activation_peak(problem.layers, adaptive.modes, in_flight) <= problem.budget);
    REQUIRE(choose_recomputation(problem).objective <= adaptive.objective);
  }
}

TEST_CASE("With ample memory the paper's rule stops all recomputation") {
  const pipeline_layer one{
      .modes = {{.saved_bytes = 50}, {.extra_time = 10, .saved_bytes = 5, .transient_bytes = 50}}};
  const std::vector<pipeline_layer> layers(4, one);
  CHECK(choose_recomputation_adaptively(layers, 2, 10'000).objective == 0);
  // Three micro-batches of 20 and the transient: one layer may keep its 50.
  CHECK(choose_recomputation_adaptively(layers, 2, 2 * (3 * 5 + 50) + 50).objective == 30);
}
