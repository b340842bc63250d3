// SPDX-License-Identifier: Apache-2.0
// What every objective promises, checked against enumeration of small problems; an objective of a
// program's own keeps it, objectives that are wrong on purpose are found out.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/search_partitions.hpp>

#include "../catch.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

/// Σ over devices of the squared time: in no list.
struct squared_times {
  static constexpr std::string_view name = "squared times";
  static constexpr bool monotone = true;

  static rational value(const std::vector<stage_cost>& stages, const schedule_shape& schedule) {
    std::vector<std::int64_t> time(schedule.stages, 0);
    for (std::size_t j = 0; j < stages.size(); ++j) time[schedule.device(j)] += stages[j].time();
    std::int64_t sum = 0;
    for (const std::int64_t one : time) sum += one * one;
    return {sum};
  }
  static rational bound(const pipeline_problem&) { return {0}; }
  static joint_result search(const pipeline_problem& problem, const joint_options& options) {
    return search_partitions(problem, squared_times{}, options);
  }
};

/// The first thing that is wrong with a plan found, given the least value of all plans.
std::string wrong_plan(const pipeline_problem& problem, const any_objective& objective,
                       const rational* least) {
  const joint_result found = plan_jointly(problem, objective);
  if (least == nullptr) return found.plan.cuts.empty() ? "" : "a plan where none fits";
  if (found.plan.cuts.empty()) return "no plan where one fits";
  validate(problem, found.plan);
  if (test::overrun(problem, found.plan) > 0) return "a plan that does not fit";
  if (!(objective_of(problem, found.plan, objective) == found.objective))
    return "a plan of another value than stated";
  if (*least < found.bound) return "a bound above the least value";
  if (found.status == search_status::optimal && *least < found.objective)
    return "optimal, and not the least";
  return "";
}

/// Whether one more unit of a time ever lowers the value, or changes one that is not monotone.
std::string wrong_monotone(const pipeline_problem& problem, const pipeline_plan& plan,
                           const any_objective& objective) {
  std::vector<stage_cost> stages = stage_costs(problem, plan);
  const rational before = objective.value(stages, problem.schedule);
  for (stage_cost& stage : stages) {
    ++stage.backward_time;
    const rational after = objective.value(stages, problem.schedule);
    --stage.backward_time;
    if (objective.monotone() && after < before) return "a value that falls as times grow";
    if (!objective.monotone() && !(after == before)) return "a value that depends on the modes";
  }
  return "";
}

std::string broken_promise(const pipeline_problem& problem, const any_objective& objective) {
  std::vector<rational> values;
  std::string wrong;
  test::for_each_plan(problem, [&](const pipeline_plan& plan) {
    const rational value = objective_of(problem, plan, objective);
    if (value < objective.bound(problem)) wrong = "a bound above a value";
    if (test::overrun(problem, plan) <= 0) values.push_back(value);
    if (values.size() % 8 == 1 && wrong.empty()) wrong = wrong_monotone(problem, plan, objective);
  });
  if (!wrong.empty()) return wrong;
  return wrong_plan(problem, objective,
                    values.empty() ? nullptr : &*std::min_element(values.begin(), values.end()));
}

/// The first promise that the objective breaks; nothing if it keeps all.
std::string broken_promise(const any_objective& objective) {
  if (objective.name().empty()) return "no name";
  constexpr std::array<any_schedule, 4> kinds = {schedules::one_forward_one_backward{},
                                                 schedules::gpipe{}, schedules::zero_bubble_h1{},
                                                 schedules::interleaved{}};
  random_stream random(7);
  for (int round = 0; round < 400; ++round) {
    const any_schedule kind = kinds[static_cast<std::size_t>(round) % kinds.size()];
    pipeline_problem problem = test::random_problem(random, kind, 6);
    problem.schedule.virtual_stages = kind.capabilities().least_virtual_stages;
    problem.schedule.microbatches = runnable_microbatches(problem.schedule, 2);
    test::vary(problem, random);
    if (std::string wrong = broken_promise(problem, objective); !wrong.empty()) return wrong;
  }
  return "";
}

// ---- wrong on purpose -------------------------------------------------------------------------

struct bound_of_everything : squared_times {
  static rational bound(const pipeline_problem&) { return {1'000'000}; }
};
/// The plan of another objective, called optimal.
struct plan_of_another : squared_times {
  static joint_result search(const pipeline_problem& problem, const joint_options& options) {
    joint_result found = objectives::bottleneck::search(problem, options);
    if (found.plan.cuts.empty()) return found;
    found.objective = found.bound = objective_of(problem, found.plan, squared_times{});
    return found;
  }
};
struct states_another_value : objectives::closed_form {
  static rational value(const std::vector<stage_cost>& stages, const schedule_shape& schedule) {
    return objectives::bottleneck::value(stages, schedule);
  }
};
struct ignores_memory : objectives::bottleneck {
  static joint_result search(const pipeline_problem& problem, const joint_options& options) {
    return objectives::bottleneck::search(without_memory_limit(problem), options);
  }
};
struct gives_up : objectives::bottleneck {
  static joint_result search(const pipeline_problem&, const joint_options&) { return {}; }
};
/// Largest minus least time of a stage, falsely declared monotone.
struct difference : squared_times {
  static rational value(const std::vector<stage_cost>& stages, const schedule_shape&) {
    const auto [least, largest] = std::ranges::minmax(stages, {}, &stage_cost::time);
    return {largest.time() - least.time()};
  }
};
struct monotone_not_said : squared_times {
  static constexpr bool monotone = false;
};

}  // namespace

TEST_CASE("every objective keeps what objectives promise") {
  for (const any_objective& objective : all_objectives) {
    INFO(objective.name());
    CHECK(broken_promise(objective).empty());
  }
  CHECK(broken_promise(squared_times{}).empty());
}

TEST_CASE("objectives that are wrong on purpose are found out") {
  CHECK(broken_promise(bound_of_everything{}) == "a bound above a value");
  CHECK(broken_promise(plan_of_another{}) == "a bound above the least value");
  CHECK_FALSE(broken_promise(states_another_value{}).empty());
  CHECK_FALSE(broken_promise(ignores_memory{}).empty());
  CHECK(broken_promise(gives_up{}) == "no plan where one fits");
  CHECK(broken_promise(difference{}) == "a value that falls as times grow");
  CHECK(broken_promise(monotone_not_said{}) == "a value that depends on the modes");
}

TEST_CASE("every objective in the list has a name of its own, by which it is found") {
  for (const any_objective& objective : all_objectives) {
    CHECK(objective_named(objective.name()) == objective);
    CHECK(std::ranges::count(all_objectives, objective) == 1);
  }
  CHECK_FALSE(objective_named("none of them").has_value());
}
