// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "../catch.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

std::vector<scenario> random_scenarios(random_stream& random, const pipeline_problem& problem) {
  std::vector<scenario> scenarios(static_cast<std::size_t>(test::draw(random, 1, 4)));
  const auto times = [&](std::int64_t most) {
    std::vector<std::vector<std::int64_t>> rows(problem.layers.size());
    for (auto& row : rows)
      for (std::size_t k = 0; k < problem.schedule.microbatches; ++k)
        row.push_back(test::draw(random, 0, most));
    return rows;
  };
  for (scenario& one : scenarios) {
    one.forward = times(40);
    one.backward = times(80);
    if (test::draw(random, 0, 1) == 0) continue;
    one.weight_gradient = one.backward;
    for (auto& row : one.weight_gradient)
      for (std::int64_t& time : row) time /= 2;
  }
  return scenarios;
}

/// The makespan of a plan in a scenario, from the simulator, with the devices' step times after it.
std::int64_t makespan_in(const pipeline_problem& problem, const pipeline_plan& plan,
                         const scenario& one) {
  struct times {
    const pipeline_problem& problem;
    const pipeline_plan& plan;
    const scenario& one;
    [[nodiscard]] std::int64_t duration(const pipeline_operation& work) const {
      std::int64_t sum = 0;
      for (std::size_t l = plan.cuts[work.stage]; l < plan.cuts[work.stage + 1]; ++l) {
        const bool split = problem.schedule.splits_backward() && !one.weight_gradient.empty();
        const std::int64_t apart = split ? one.weight_gradient[l][work.microbatch] : 0;
        if (work.kind == operation_kind::forward) sum += one.forward[l][work.microbatch];
        if (work.kind == operation_kind::backward)
          sum += one.backward[l][work.microbatch] - apart +
                 problem.layers[l].modes[plan.modes[l]].extra_time;
        if (work.kind == operation_kind::weight_gradient) sum += apart;
      }
      return scaled_rounding_up(sum, problem.factor(work.stage % problem.schedule.stages));
    }
    [[nodiscard]] std::int64_t latency(const pipeline_operation& work) const {
      if (work.kind == operation_kind::forward && work.stage > 0)
        return problem.layers[plan.cuts[work.stage] - 1].forward_latency;
      if (work.kind == operation_kind::backward && work.stage + 2 < plan.cuts.size())
        return problem.layers[plan.cuts[work.stage + 1] - 1].backward_latency;
      return 0;
    }
  };
  std::vector<std::int64_t> ends =
      simulate(operation_graph(problem.schedule), times{problem, plan, one}).end;
  for (std::size_t j = 0; j + 1 < plan.cuts.size(); ++j)
    for (std::size_t l = plan.cuts[j]; l < plan.cuts[j + 1]; ++l)
      ends[problem.schedule.device(j)] += problem.layers[l].step_time;
  return *std::ranges::max_element(ends);
}

/// The measure as its definition says, one scenario split into `alpha.denominator` equal parts.
rational defined(const makespan_measure& measure, std::vector<std::int64_t> makespans) {
  std::ranges::sort(makespans, std::greater<>{});
  if (measure.of == makespan_measure::kind::worst) return {makespans.front()};
  std::vector<std::int64_t> parts;
  for (const std::int64_t one : makespans)
    parts.insert(parts.end(), static_cast<std::size_t>(measure.alpha.denominator), one);
  std::size_t count = parts.size();
  if (measure.of == makespan_measure::kind::cvar)
    count = std::max(makespans.size() * static_cast<std::size_t>(measure.alpha.denominator -
                                                                 measure.alpha.numerator),
                     static_cast<std::size_t>(measure.alpha.denominator));
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < count; ++k) sum += parts[k];
  return {sum, static_cast<std::int64_t>(count)};
}

}  // namespace

TEST_CASE("Plans for scenarios agree with enumeration of partitions and modes") {
  random_stream random(71);
  constexpr any_schedule kinds[] = {schedules::gpipe{}, schedules::one_forward_one_backward{},
                                    schedules::zero_bubble_h1{}, schedules::interleaved{}};
  int feasible = 0;
  for (int round = 0; round < 1500; ++round) {
    pipeline_problem problem = test::random_problem(random, kinds[round % 4], 6);
    if (problem.schedule.kind == schedules::interleaved{}) {
      problem.schedule.stages = 2;
      problem.schedule.virtual_stages = 2;
      problem.schedule.microbatches = 4;
      problem.reserved.clear();
      if (!problem.memory_limit.empty())
        problem.memory_limit.assign(2, test::draw(random, 50, 900));
    }
    if (round % 3 == 0) test::vary(problem, random);
    const std::vector<scenario> scenarios = random_scenarios(random, problem);
    const makespan_measure measure{
        .of = static_cast<makespan_measure::kind>(test::draw(random, 0, 2)),
        .alpha = {test::draw(random, 0, 7), 7}};
    rational best{test::none};
    const auto value = [&](const pipeline_plan& plan) {
      std::vector<std::int64_t> makespans;
      for (const scenario& one : scenarios) makespans.push_back(makespan_in(problem, plan, one));
      return defined(measure, makespans);
    };
    test::for_each_plan(problem, [&](const pipeline_plan& plan) {
      if (test::overrun(problem, plan) <= 0) best = std::min(best, value(plan));
    });
    const joint_result found = plan_jointly(problem, scenarios, measure);
    if (best == rational{test::none}) {
      REQUIRE(found.status == search_status::infeasible);
      continue;
    }
    ++feasible;
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == best);
    REQUIRE(found.bound == best);
    REQUIRE(value(found.plan) == best);
    REQUIRE(test::overrun(problem, found.plan) <= 0);
  }
  CHECK(feasible > 500);
}

TEST_CASE("The tail of scenarios by hand") {
  const auto tail = [](rational alpha, std::vector<std::int64_t> makespans) {
    const makespan_measure measure{.of = makespan_measure::kind::cvar, .alpha = alpha};
    const wide_integer denominator = measure.denominator(makespans.size());
    return reduced(measure.value(makespans), denominator, "makespan");
  };
  CHECK(tail({1, 2}, {10, 40, 20, 30}) == rational{35});
  CHECK(tail({0, 1}, {10, 40, 20, 30}) == rational{25});
  CHECK(tail({1, 1}, {10, 40, 20, 30}) == rational{40});
  CHECK(tail({19, 20}, {10, 40, 20, 30}) == rational{40});
  // 3/2 of four scenarios: the worst whole, the next by half.
  CHECK(tail({5, 8}, {10, 40, 20, 30}) == rational{(40 * 2 + 30) * 8, 3 * 8});
}

TEST_CASE("Scenarios that do not fit the problem are refused by name") {
  const pipeline_problem problem{.schedule = {.microbatches = 2}, .layers = {pipeline_layer{}}};
  const scenario good{.forward = {{1, 2}}, .backward = {{3, 4}}};
  const auto field = [&](const std::vector<scenario>& scenarios,
                         const makespan_measure& measure = {}) -> std::string {
    try {
      (void)plan_jointly(problem, scenarios, measure);
    } catch (const invalid_input& error) {
      return error.field();
    }
    return "";
  };
  const auto changed = [&](auto change) {
    scenario one = good;
    change(one);
    return field({one});
  };
  CHECK(field({good}).empty());
  CHECK(field({}) == "scenarios");
  CHECK(changed([](scenario& one) { one.forward.clear(); }) == "scenarios[].forward");
  CHECK(changed([](scenario& one) { one.backward[0].pop_back(); }) == "scenarios[].backward");
  CHECK(changed([](scenario& one) { one.backward[0][1] = -1; }) == "scenarios[].backward");
  CHECK(changed([](scenario& one) {
          one.weight_gradient = {{4, 4}};
        }) == "scenarios[].weight_gradient");
  CHECK(changed([](scenario& one) { one.forward[0][0] = std::int64_t{1} << 61; }) ==
        "times of all layers");
  CHECK(field({good}, {.alpha = {2, 1}}) == "measure.alpha");
  CHECK(field({good}, {.alpha = {-1, 2}}) == "measure.alpha");
}
