// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <tuple>
#include <vector>

#include <omnibal/baselines/detail/paper_candidates.hpp>
#include <omnibal/baselines/planners.hpp>
#include <omnibal/baselines/uniform_recomputation.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "../catch.hpp"
#include "planner/plan_oracle.hpp"

using namespace omnibal;

namespace {

using cut_list = std::vector<std::size_t>;
using mode_list = std::vector<std::size_t>;
using score = std::function<wide_integer(const std::vector<stage_cost>&)>;

struct instance {
  pipeline_problem problem;
  std::vector<std::int64_t> parameters = {};
};

/// The same problem with times and bytes of another scale.
void scale(pipeline_problem& problem, std::int64_t factor) {
  for (pipeline_layer& one : problem.layers) {
    for (std::int64_t* value : {&one.forward_time, &one.backward_time, &one.weight_gradient_time,
                                &one.static_bytes, &one.forward_latency, &one.backward_latency})
      *value *= factor;
    for (recompute_mode& mode : one.modes)
      for (std::int64_t* value : {&mode.extra_time, &mode.saved_bytes, &mode.transient_bytes,
                                  &mode.saved_for_weight_gradient})
        *value *= factor;
  }
  for (std::vector<std::int64_t>* bytes : {&problem.memory_limit, &problem.reserved})
    for (std::int64_t& value : *bytes) value *= factor;
}

instance random_instance(random_stream& random, int round) {
  constexpr std::int64_t scales[] = {1, 37, 1'000'000'007};
  instance one{.problem = test::random_problem(
                   random,
                   round % 2 == 0 ? any_schedule(schedules::one_forward_one_backward{})
                                  : any_schedule(schedules::gpipe{}),
                   9)};
  if (round % 3 > 0) test::vary(one.problem, random);
  const std::int64_t factor = scales[round % 5 % 3];
  scale(one.problem, factor);
  for (std::size_t l = 0; l < one.problem.layers.size(); ++l)
    one.parameters.push_back(test::draw(random, 0, 30) * factor);
  return one;
}

std::vector<cut_list> allowed_cuts(const pipeline_problem& problem) {
  std::vector<cut_list> all;
  test::for_each_partition(problem.layers.size(), problem.schedule.stages, [&](const auto& cuts) {
    if (test::keeps_rules(problem, cuts)) all.push_back(cuts);
  });
  return all;
}

std::size_t least_mode(
    const pipeline_layer& one,
    std::tuple<std::int64_t, std::int64_t, std::int64_t> (*by)(const recompute_mode&)) {
  return static_cast<std::size_t>(std::ranges::min_element(one.modes, {}, by) - one.modes.begin());
}
std::size_t fastest(const pipeline_layer& one) {
  return least_mode(one, [](const recompute_mode& mode) {
    return std::tuple(mode.extra_time, mode.saved_bytes, mode.transient_bytes);
  });
}
std::size_t minimum_memory(const pipeline_layer& one) {
  return least_mode(one, [](const recompute_mode& mode) {
    return std::tuple(mode.saved_bytes, mode.extra_time, mode.transient_bytes);
  });
}

mode_list modes_of(const pipeline_problem& problem, std::size_t (*mode)(const pipeline_layer&)) {
  mode_list modes;
  for (const pipeline_layer& one : problem.layers) modes.push_back(mode(one));
  return modes;
}

/// A plan's rank: what fits by its makespan, before what does not by its overrun.
std::pair<std::int64_t, std::int64_t> rank(const pipeline_problem& problem,
                                           const pipeline_plan& plan) {
  return {std::max<std::int64_t>(0, test::overrun(problem, plan)),
          makespan(problem.schedule, stage_costs(problem, plan))};
}

/// What every baseline must hold to, whatever it minimises.
void check_sound(const pipeline_problem& problem, const evaluated_plan& found,
                 const joint_result& least) {
  INFO(found.name);
  validate(problem, found.plan);
  REQUIRE(std::pair(found.bytes_over, found.makespan) == rank(problem, found.plan));
  REQUIRE(found.fits == (found.bytes_over == 0));
  if (!found.fits) return;
  REQUIRE(least.status == search_status::optimal);
  REQUIRE(!(rational{found.makespan} < least.objective));
}

/// The first n layers of every stage that can recompute do, one by one.
mode_list first_layers(const pipeline_problem& problem, const cut_list& cuts, std::size_t count) {
  mode_list modes;
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    std::size_t left = count;
    for (std::size_t l = cuts[s]; l < cuts[s + 1]; ++l) {
      const pipeline_layer& one = problem.layers[l];
      const bool recomputes = left > 0 && fastest(one) != minimum_memory(one);
      if (recomputes) --left;
      modes.push_back(recomputes ? minimum_memory(one) : fastest(one));
    }
  }
  return modes;
}

void check_one_rule(const pipeline_problem& problem, const evaluated_plan& found) {
  const cut_list& cuts = found.plan.cuts;
  auto best =
      rank(problem,
           {.cuts = cuts, .modes = modes_by_uniform_rule(problem.layers, uniform_rule::selective)});
  for (std::size_t count = 0; count <= problem.layers.size(); ++count)
    best =
        std::min(best, rank(problem, {.cuts = cuts, .modes = first_layers(problem, cuts, count)}));
  REQUIRE(rank(problem, found.plan) == best);
}

/// The sum or maximum over stages of what each holds of a weight.
wide_integer squares_of_counts(const cut_list& cuts) {
  wide_integer sum = 0;
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    const auto count = static_cast<wide_integer>(cuts[s + 1] - cuts[s]);
    sum += count * count;
  }
  return sum;
}
wide_integer largest_share(const std::vector<std::int64_t>& weights, const cut_list& cuts) {
  wide_integer largest = 0;
  for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
    wide_integer sum = 0;
    for (std::size_t l = cuts[s]; l < cuts[s + 1]; ++l) sum += weights[l];
    largest = std::max(largest, sum);
  }
  return largest;
}

constexpr auto no_score = static_cast<wide_integer>(std::numeric_limits<std::int64_t>::max());

wide_integer least_score(const pipeline_problem& problem, const mode_list& modes,
                         const score& objective, bool limited) {
  wide_integer least = no_score;
  for (const cut_list& cuts : allowed_cuts(problem)) {
    const pipeline_plan plan{.cuts = cuts, .modes = modes};
    if (limited && test::overrun(problem, plan) > 0) continue;
    least = std::min(least, objective(stage_costs(problem, plan)));
  }
  return least;
}

void check_global_recomputation(const pipeline_problem& problem, const evaluated_plan& found,
                                const score& objective) {
  const mode_list none = modes_of(problem, fastest);
  const mode_list full = modes_of(problem, minimum_memory);
  REQUIRE((found.plan.modes == none || found.plan.modes == full));
  const wide_integer least = least_score(problem, found.plan.modes, objective, found.fits);
  REQUIRE(objective(stage_costs(problem, found.plan)) == least);
  if (found.fits) return;
  REQUIRE(least_score(problem, none, objective, true) == no_score);
  REQUIRE(least_score(problem, full, objective, true) == no_score);
}

wide_integer largest_time(const std::vector<stage_cost>& stages) {
  wide_integer largest = 0;
  for (const stage_cost& stage : stages) largest = std::max<wide_integer>(largest, stage.time());
  return largest;
}
wide_integer sum_of_times(const std::vector<stage_cost>& stages) {
  wide_integer sum = 0;
  for (const stage_cost& stage : stages) sum += stage.time();
  return sum;
}

/// The bytes a stage needs at least, by trying all its modes.
bool fits_somehow(const pipeline_problem& problem, std::size_t stage, std::size_t begin,
                  std::size_t end) {
  if (problem.memory_limit.empty()) return true;
  const std::vector<pipeline_layer> layers(
      problem.layers.begin() + static_cast<std::ptrdiff_t>(begin),
      problem.layers.begin() + static_cast<std::ptrdiff_t>(end));
  const auto held = static_cast<std::int64_t>(in_flight(problem.schedule, stage));
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  // All layers at the least kept bytes within each cap on the transient.
  for (const pipeline_layer& capping : layers)
    for (const recompute_mode& cap : capping.modes) {
      std::int64_t kept = 0;
      for (const pipeline_layer& one : layers) {
        std::int64_t own = -1;
        for (const recompute_mode& mode : one.modes)
          if (mode.transient_bytes <= cap.transient_bytes && (own < 0 || mode.saved_bytes < own))
            own = mode.saved_bytes;
        kept = own < 0 || kept < 0 ? -1 : kept + own;
      }
      if (kept >= 0) least = std::min(least, held * kept + cap.transient_bytes);
    }
  return static_memory(problem).bytes({begin, end}) + least <= problem.budget(stage);
}

std::vector<anchored_partition> enumerated_variances(const pipeline_problem& problem,
                                                     std::size_t top) {
  std::vector<anchored_partition> all;
  for (const cut_list& cuts : allowed_cuts(problem)) {
    anchored_partition one{.cuts = cuts};
    bool fits = true;
    for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
      wide_integer forward = 0;
      for (std::size_t l = cuts[s]; l < cuts[s + 1]; ++l) forward += problem.layers[l].forward_time;
      one.sum_of_squares += forward * forward;
      fits = fits && fits_somehow(problem, s, cuts[s], cuts[s + 1]);
      if (s + 2 == cuts.size()) continue;
      const pipeline_layer& last = problem.layers[cuts[s + 1] - 1];
      one.latency += last.forward_latency + last.backward_latency;
    }
    if (fits) all.push_back(one);
  }
  std::ranges::sort(all, [](const auto& left, const auto& right) {
    return std::tie(left.sum_of_squares, left.latency, left.cuts) <
           std::tie(right.sum_of_squares, right.latency, right.cuts);
  });
  if (all.size() > top) all.resize(top);
  return all;
}

void check_least_variance(const pipeline_problem& problem, const evaluated_plan& found,
                          std::size_t top) {
  const auto expected = enumerated_variances(problem, top);
  const auto candidates = least_variance_partitions(problem, top);
  REQUIRE(candidates.size() == expected.size());
  std::pair best = {test::none, test::none};
  for (std::size_t k = 0; k < expected.size(); ++k) {
    REQUIRE(candidates[k].cuts == expected[k].cuts);
    REQUIRE(candidates[k].sum_of_squares == expected[k].sum_of_squares);
    if (const auto plan = detail::with_adaptive_recomputation(problem, expected[k].cuts))
      best = std::min(best, rank(problem, *plan));
  }
  REQUIRE(found.fits == (best.second != test::none));
  if (found.fits) REQUIRE(rank(problem, found.plan) == best);
}

}  // namespace

TEST_CASE("Every baseline is best by its own objective, and none is better than the exact plan") {
  random_stream random(211);
  constexpr std::size_t top = 5;
  std::vector<int> fitted(6, 0);
  int planned = 0;
  for (int round = 0; round < 1500; ++round) {
    const auto [problem, parameters] = random_instance(random, round);
    INFO(round);
    const std::vector<cut_list> allowed = allowed_cuts(problem);
    const auto found = plan_baselines(problem, parameters, {.top = top});
    REQUIRE(found.empty() == allowed.empty());
    if (found.empty()) continue;
    ++planned;
    const joint_result least = plan_jointly(problem, objectives::makespan{});
    REQUIRE(found.size() == fitted.size());
    for (std::size_t k = 0; k < found.size(); ++k) {
      check_sound(problem, found[k], least);
      fitted[k] += found[k].fits;
    }
    for (const cut_list& cuts : allowed) {
      REQUIRE(squares_of_counts(found[0].plan.cuts) <= squares_of_counts(cuts));
      REQUIRE(largest_share(parameters, found[1].plan.cuts) <= largest_share(parameters, cuts));
    }
    check_one_rule(problem, found[0]);
    check_one_rule(problem, found[1]);
    const auto repeats = static_cast<wide_integer>(problem.schedule.microbatches - 1);
    check_global_recomputation(problem, found[2], [&](const auto& stages) {
      return sum_of_times(stages) + repeats * largest_time(stages);
    });
    check_global_recomputation(problem, found[3], largest_time);
    check_least_variance(problem, found[4], top);
    const auto published = plan_by_paper(problem, {.top = top});
    REQUIRE(found[5].fits == published.has_value());
    if (published) REQUIRE(found[5].plan == *published);
  }
  CHECK(planned > 800);
  for (const int count : fitted) {
    CHECK(count > planned / 3);
    CHECK(count < planned);
  }
}

TEST_CASE("Uniform recomputation reads modes of any number as none, selective and full") {
  const pipeline_layer several{.modes = {{.extra_time = 9, .saved_bytes = 1},
                                         {.saved_bytes = 100},
                                         {.extra_time = 4, .saved_bytes = 80},
                                         {.extra_time = 2, .saved_bytes = 50},
                                         {.extra_time = 1, .saved_bytes = 100}}};
  const pipeline_layer single{.modes = {{.saved_bytes = 7}}};
  const std::vector<pipeline_layer> layers = {several, single};
  CHECK(modes_by_uniform_rule(layers, uniform_rule::none) == mode_list{1, 0});
  CHECK(modes_by_uniform_rule(layers, uniform_rule::selective) == mode_list{3, 0});
  CHECK(modes_by_uniform_rule(layers, uniform_rule::full) == mode_list{0, 0});
  const pipeline_problem problem{.schedule = {.stages = 2},
                                 .layers = {single, several, several, several}};
  const auto plans = plans_with_uniform_recomputation(problem, {0, 3, 4});
  REQUIRE(plans.size() == 4);
  CHECK(plans[0].modes == mode_list{0, 1, 1, 1});
  CHECK(plans[1].modes == mode_list{0, 3, 3, 3});
  CHECK(plans[2].modes == mode_list{0, 0, 1, 0});
  CHECK(plans[3].modes == mode_list{0, 0, 0, 0});
}

TEST_CASE("Baselines are named, and one that overruns reports by how much") {
  const pipeline_layer one{
      .forward_time = 10,
      .backward_time = 20,
      .modes = {{.saved_bytes = 10}, {.extra_time = 10, .saved_bytes = 2, .transient_bytes = 9}}};
  pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 4},
                           .layers = std::vector<pipeline_layer>(4, one),
                           .memory_limit = {40, 40}};
  const std::vector<std::int64_t> parameters(4, 1);
  for (const evaluated_plan& found : plan_baselines(problem, parameters)) {
    INFO(found.name);
    CHECK(found.fits);
    CHECK(found.makespan == 300);
  }
  // Two layers in full need 2 · 2 · 2 + 9 bytes on the first stage.
  problem.memory_limit = {16, 40};
  const auto found = plan_baselines(problem, parameters);
  const std::vector<std::string> names = {"even layers", "even parameters", "alpa",
                                          "nnscaler",    "least variance",  "published"};
  REQUIRE(found.size() == names.size());
  for (std::size_t k = 0; k < found.size(); ++k) CHECK(found[k].name == names[k]);
  CHECK_FALSE(found[0].fits);
  CHECK(found[0].bytes_over == 1);
  CHECK(found[4].fits);
}

TEST_CASE("A radius of nothing or of more than the layers still finds a partition") {
  const pipeline_problem problem{
      .schedule = {.stages = 2},
      .layers = std::vector<pipeline_layer>(4, pipeline_layer{.forward_time = 1}),
      .apart = {{0, 1}}};
  for (const std::size_t radius : {0U, 2U, 1000U}) {
    const auto plan = plan_by_paper(problem, {.radius = radius});
    REQUIRE(plan);
    CHECK(plan->cuts == cut_list{0, 1, 4});
  }
}

TEST_CASE("Baselines refuse what they cannot plan, by name") {
  const auto message = [](const std::string& text) {
    return Catch::Matchers::ContainsSubstring(text);
  };
  pipeline_problem problem{.schedule = {.stages = 2}, .layers = std::vector<pipeline_layer>(3)};
  const auto plan = [&](const std::vector<std::int64_t>& parameters) {
    return plan_baselines(problem, parameters);
  };
  CHECK(plan({1, 2, 3}).size() == 6);
  CHECK_THROWS_WITH(plan({1, 2}), message("parameters = 2"));
  CHECK_THROWS_WITH(plan({1, -2, 3}), message("parameters[1] = -2"));
  CHECK_THROWS_WITH(plan({std::numeric_limits<std::int64_t>::max() / 2, 0, 0}),
                    message("parameters"));
  CHECK_THROWS_WITH(plan_baselines(problem, std::vector<std::int64_t>{1, 2, 3}, {.top = 0}),
                    message("top = 0"));
  problem.schedule.kind = schedules::zero_bubble_h1{};
  CHECK_THROWS_WITH(plan({1, 2, 3}), message("schedule = zbh1"));
  problem.schedule.kind = schedules::gpipe{};
  problem.layers[1].forward_time = -1;
  CHECK_THROWS_WITH(plan({1, 2, 3}), message("layers[1].forward_time"));
  problem.layers.resize(1);
  CHECK(plan({1}).empty());
}
