// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "../catch.hpp"
#include "../pipeline/own_schedules.hpp"
#include "plan_oracle.hpp"

using namespace omnibal;

namespace {

/// Plans for every objective and compares with enumeration; whether anything fits.
bool agrees_with_enumeration(const pipeline_problem& problem) {
  const test::oracle expected(problem);
  for (std::size_t k = 0; k < all_objectives.size(); ++k) {
    const any_objective objective = all_objectives[k];
    INFO(objective.name());
    const joint_result found = plan_jointly(problem, objective);
    if (problem.layers.size() < problem.schedule.total_stages()) {
      REQUIRE(found.why.reason == infeasibility::cause::fewer_layers_than_stages);
    } else if (expected.least_overrun == test::none) {
      REQUIRE(found.why.reason == infeasibility::cause::rules);
    } else if (!expected.feasible()) {
      REQUIRE(found.status == search_status::infeasible);
      REQUIRE(found.why.reason == infeasibility::cause::memory);
      REQUIRE(found.why.bytes_short == expected.least_overrun);
      REQUIRE(found.why.binding_stage < problem.schedule.stages);
    } else {
      REQUIRE(found.status == search_status::optimal);
      REQUIRE(found.objective == expected.best[k]);
      REQUIRE(found.bound == expected.best[k]);
      validate(problem, found.plan);
      REQUIRE(objective_of(problem, found.plan, objective) == expected.best[k]);
      REQUIRE(test::overrun(problem, found.plan) <= 0);
    }
  }
  return expected.feasible();
}

/// The schedules of the list with a number of virtual stages that `wanted` accepts, and further
/// ones.
template <typename Wanted>
std::vector<any_schedule> schedules_of(const Wanted& wanted,
                                       std::vector<any_schedule> further = {}) {
  std::vector<any_schedule> kinds;
  for (const any_schedule& one : all_schedules)
    if (wanted(one.capabilities())) kinds.push_back(one);
  kinds.insert(kinds.end(), further.begin(), further.end());
  return kinds;
}
bool is_unshared(const schedule_capabilities& can) { return can.most_virtual_stages == 1; }
bool takes_any_number(const schedule_capabilities& can) {
  return can.most_virtual_stages > can.least_virtual_stages;
}
bool takes_one_number(const schedule_capabilities& can) {
  return !is_unshared(can) && !takes_any_number(can);
}

/// Whether the search under schedules without virtual stages is a dynamic program, which no limit
/// ends.
bool has_recurrence(const any_objective& objective) {
  constexpr auto those = std::to_array<any_objective>(
      {objectives::bottleneck{}, objectives::blocking_bottleneck{}, objectives::closed_form{},
       objectives::period{}, objectives::variance{}});
  return std::ranges::count(those, objective) > 0;
}

/// Begins with the last micro-batch.
struct last_first : schedules::gpipe {
  static constexpr std::string_view name = "last first";

  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    std::vector<pipeline_operation> order = schedules::gpipe::order(size, device);
    for (pipeline_operation& work : order)
      work.microbatch = static_cast<std::uint32_t>(size.microbatches) - 1 - work.microbatch;
    return order;
  }
};

}  // namespace

TEST_CASE("Random problems agree with enumeration of partitions and modes") {
  random_stream random(41);
  const auto kinds = schedules_of(is_unshared);
  int infeasible = 0;
  for (int round = 0; round < 2000; ++round) {
    pipeline_problem problem =
        test::random_problem(random, kinds[static_cast<std::size_t>(round) % kinds.size()], 6);
    if (round % 2 == 0) test::vary(problem, random);
    if (!agrees_with_enumeration(problem)) ++infeasible;
  }
  CHECK(infeasible > 100);
  CHECK(infeasible < 1500);
}

TEST_CASE("Random interleaved problems agree with enumeration of partitions and modes") {
  random_stream random(53);
  const auto kinds = schedules_of(takes_any_number);
  int infeasible = 0;
  for (int round = 0; round < 1200; ++round) {
    pipeline_problem problem =
        test::random_problem(random, kinds[static_cast<std::size_t>(round) % kinds.size()], 7);
    schedule_shape& shape = problem.schedule;
    shape.stages = static_cast<std::size_t>(test::draw(random, 1, 3));
    shape.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 3));
    shape.microbatches = shape.stages * static_cast<std::size_t>(test::draw(random, 1, 3));
    if (round % 3 == 0)
      shape.group_size = shape.stages + static_cast<std::size_t>(test::draw(random, 0, 2));
    shape.microbatches = runnable_microbatches(shape, shape.microbatches);
    problem.reserved.clear();
    if (!problem.memory_limit.empty()) problem.memory_limit.resize(shape.stages);
    problem.memory_limit.resize(problem.memory_limit.size(), 100);
    for (std::int64_t& limit : problem.memory_limit) limit = test::draw(random, 50, 1200);
    if (round % 2 == 0) test::vary(problem, random);
    if (!agrees_with_enumeration(problem)) ++infeasible;
  }
  CHECK(infeasible > 100);
  CHECK(infeasible < 900);
}

TEST_CASE("Random problems of ZB-V and of a user's own schedules agree with enumeration") {
  random_stream random(59);
  const auto kinds = schedules_of(takes_one_number, {test::neighbours{}, test::depth_first{}});
  int infeasible = 0;
  for (int round = 0; round < 1200; ++round) {
    const any_schedule kind = kinds[static_cast<std::size_t>(round) % kinds.size()];
    pipeline_problem problem = test::random_problem(random, kind, 6);
    schedule_shape& shape = problem.schedule;
    shape.stages = static_cast<std::size_t>(test::draw(random, 1, 3));
    shape.virtual_stages = kind.capabilities().least_virtual_stages;
    problem.reserved.clear();
    if (!problem.memory_limit.empty()) problem.memory_limit.resize(shape.stages);
    for (std::int64_t& limit : problem.memory_limit) limit = test::draw(random, 50, 1200);
    while (problem.memory_limit.size() > 0 && problem.memory_limit.size() < shape.stages)
      problem.memory_limit.push_back(test::draw(random, 50, 1200));
    if (round % 2 == 0) test::vary(problem, random);
    if (!agrees_with_enumeration(problem)) ++infeasible;
  }
  CHECK(infeasible > 100);
  CHECK(infeasible < 900);
}

TEST_CASE("Problems whose backwards keep more until W than was saved agree with enumeration") {
  random_stream random(83);
  const auto kinds =
      std::to_array<any_schedule>({schedules::zero_bubble_h1{}, schedules::zero_bubble_v{}});
  int infeasible = 0;
  for (int round = 0; round < 1200; ++round) {
    const any_schedule kind = kinds[round % 3 == 0 ? 1 : 0];
    pipeline_problem problem = test::random_problem(random, kind, 6);
    schedule_shape& shape = problem.schedule;
    shape.virtual_stages = kind.capabilities().least_virtual_stages;
    if (shape.shares_devices()) shape.stages = std::min<std::size_t>(shape.stages, 3);
    problem.reserved.clear();
    problem.memory_limit.clear();
    if (round % 5 > 0)
      for (std::size_t d = 0; d < shape.stages; ++d)
        problem.memory_limit.push_back(test::draw(random, 100, 1200));
    test::keep_for_weight_gradient(problem, random, round % 2 == 0);
    if (round % 4 < 2) test::vary(problem, random);
    if (!agrees_with_enumeration(problem)) ++infeasible;
  }
  CHECK(infeasible > 100);
  CHECK(infeasible < 900);
}

TEST_CASE("A schedule that takes micro-batches out of order is not planned") {
  CHECK_THROWS_WITH(
      plan_jointly({.schedule = {.kind = last_first{}, .stages = 2, .microbatches = 2},
                    .layers = std::vector<pipeline_layer>(3)},
                   objectives::makespan{}),
      Catch::Matchers::ContainsSubstring("last first") &&
          Catch::Matchers::ContainsSubstring("F0.1"));
}

TEST_CASE("Makespans of longer chains agree with the simulation of every partition") {
  random_stream random(97);
  for (int round = 0; round < 2500; ++round) {
    pipeline_problem problem{
        .schedule = {.kind =
                         all_schedules[static_cast<std::size_t>(round) % all_schedules.size()]}};
    schedule_shape& shape = problem.schedule;
    const schedule_capabilities& can = shape.kind.capabilities();
    shape.stages = static_cast<std::size_t>(test::draw(random, 1, 6));
    shape.microbatches = static_cast<std::size_t>(test::draw(random, 1, 12));
    if (shape.shares_devices()) shape.stages = static_cast<std::size_t>(test::draw(random, 1, 3));
    shape.virtual_stages = can.least_virtual_stages;
    if (takes_any_number(can)) {
      shape.virtual_stages = static_cast<std::size_t>(test::draw(random, 1, 3));
      shape.microbatches = shape.stages * static_cast<std::size_t>(test::draw(random, 1, 4));
    }
    shape.microbatches = runnable_microbatches(shape, shape.microbatches);
    const auto layers = static_cast<std::int64_t>(shape.total_stages()) + test::draw(random, 0, 5);
    const std::int64_t latency = 20 * test::draw(random, 0, 3);
    for (std::int64_t l = 0; l < layers; ++l) {
      pipeline_layer one{.forward_time = test::draw(random, 0, 40),
                         .backward_time = test::draw(random, 0, 80),
                         .forward_latency = test::draw(random, 0, latency),
                         .backward_latency = test::draw(random, 0, latency)};
      one.weight_gradient_time = test::draw(random, 0, one.backward_time);
      problem.layers.push_back(one);
    }
    std::int64_t best = test::none;
    test::for_each_partition(
        problem.layers.size(), shape.total_stages(), [&](const std::vector<std::size_t>& cuts) {
          const pipeline_plan plan{.cuts = cuts,
                                   .modes = std::vector<std::size_t>(problem.layers.size(), 0)};
          best = std::min(best, makespan(shape, stage_costs(problem, plan)));
        });
    const joint_result found = plan_jointly(problem, objectives::makespan{});
    REQUIRE(found.status == search_status::optimal);
    REQUIRE(found.objective == rational{best});
    REQUIRE(found.bound == rational{best});
  }
}

TEST_CASE("Joint planning sees what cutting first and recomputing after cannot") {
  // Cut in the middle, stage 0 must recompute both wide layers: 60 + 40. One cut earlier no stage
  // recomputes: 30 and 90.
  const pipeline_layer wide{
      .forward_time = 10,
      .backward_time = 20,
      .modes = {{.saved_bytes = 10}, {.extra_time = 20, .saved_bytes = 1, .transient_bytes = 9}}};
  const pipeline_layer slim{.forward_time = 10, .backward_time = 20, .modes = {{.saved_bytes = 1}}};
  pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 8},
                           .layers = {wide, wide, slim, slim},
                           .memory_limit = {20, 13}};
  const joint_result joint = plan_jointly(problem, objectives::bottleneck{});
  REQUIRE(joint.status == search_status::optimal);
  CHECK(joint.objective == rational{90});
  CHECK(joint.plan == pipeline_plan{.cuts = {0, 1, 4}, .modes = {0, 0, 0, 0}});
  problem.memory_limit = {1000, 1000};
  CHECK(plan_jointly(problem, objectives::bottleneck{}).objective == rational{60});
}

TEST_CASE("The chunks of a device share its memory") {
  // One device, two chunks, and bytes for one of them not to recompute: the slower to recompute.
  const auto with_extra = [](std::int64_t extra) {
    return pipeline_layer{.forward_time = 10,
                          .backward_time = 10,
                          .modes = {{.saved_bytes = 10}, {.extra_time = extra}}};
  };
  pipeline_problem problem{
      .schedule = {.kind = schedules::interleaved{}, .virtual_stages = 2, .microbatches = 1},
      .layers = {with_extra(3), with_extra(5)},
      .memory_limit = {10}};
  const joint_result found = plan_jointly(problem, objectives::makespan{});
  CHECK(found.status == search_status::optimal);
  CHECK(found.objective == rational{43});
  CHECK(found.plan.modes == std::vector<std::size_t>{1, 0});
  problem.memory_limit = {20};
  CHECK(plan_jointly(problem, objectives::makespan{}).objective == rational{40});
}

TEST_CASE("What long interleaved chains lack is found without trying all their partitions") {
  pipeline_layer one{.forward_time = 10, .backward_time = 20, .static_bytes = 100};
  one.modes = {{.saved_bytes = 7}, {.extra_time = 10, .saved_bytes = 0, .transient_bytes = 7}};
  pipeline_problem problem{.schedule = {.kind = schedules::interleaved{},
                                        .stages = 5,
                                        .virtual_stages = 2,
                                        .microbatches = 10},
                           .layers = std::vector<pipeline_layer>(60, one),
                           .memory_limit = std::vector<std::int64_t>(5, 50)};
  for (const any_objective& objective :
       {any_objective(objectives::closed_form{}), any_objective(objectives::makespan{})}) {
    problem.together.clear();
    const joint_result even = plan_jointly(problem, objective);
    CHECK(even.status == search_status::infeasible);
    CHECK(even.why.bytes_short == 12 * 100 + 7 - 50);
    problem.together = {{0, 29}};  // The first device has them, and a layer in its second chunk.
    const joint_result together = plan_jointly(problem, objective);
    CHECK(together.status == search_status::infeasible);
    CHECK(together.why.binding_stage == 0);
    CHECK(together.why.bytes_short == 31 * 100 + 7 - 50);
  }
  // Each device has room for twelve layers, all together for sixty-two: partitions are too many to
  // try them all.
  problem.together.clear();
  problem.layers.push_back(one);
  problem.memory_limit.assign(5, 1250);
  for (const any_objective& objective :
       {any_objective(objectives::closed_form{}), any_objective(objectives::makespan{})}) {
    const joint_result open = plan_jointly(problem, objective, {.operation_limit = 1'000'000});
    CHECK(open.status == search_status::stopped);
    CHECK(open.limit == search_limit::operations);
    CHECK(open.plan.cuts.empty());
    CHECK(open.why.reason == infeasibility::cause::memory);
    CHECK(!open.why.proven);
    CHECK(open.why.bytes_short == 13 * 100 + 7 - 1250);
  }
}

TEST_CASE("An interleaved chain fits where only uneven partitions keep the constraints") {
  pipeline_layer one{.forward_time = 10, .backward_time = 20, .static_bytes = 100};
  one.modes = {{.saved_bytes = 0}};
  pipeline_problem problem{.schedule = {.kind = schedules::interleaved{},
                                        .stages = 5,
                                        .virtual_stages = 4,
                                        .microbatches = 10},
                           .layers = std::vector<pipeline_layer>(80, one),
                           .memory_limit = std::vector<std::int64_t>(5, 2300),
                           .together = {{0, 19}}};
  const joint_result found = plan_jointly(problem, objectives::closed_form{});
  REQUIRE_FALSE(found.plan.cuts.empty());
  CHECK(test::overrun(problem, found.plan) <= 0);
  CHECK(found.plan.cuts[1] >= 20);
}

TEST_CASE("The closed form trades the bottleneck against costly edges") {
  random_stream random(47);
  for (int round = 0; round < 400; ++round) {
    pipeline_problem problem{.schedule = {.stages = 4, .microbatches = 3}};
    for (int l = 0; l < 9; ++l)
      problem.layers.push_back({.forward_time = test::draw(random, 1, 30),
                                .forward_latency = test::draw(random, 0, 60)});
    REQUIRE(plan_jointly(problem, objectives::closed_form{}).objective ==
            test::oracle(problem).best[2]);
  }
}

TEST_CASE("A device of half the speed gets half the layers") {
  const pipeline_layer one{.forward_time = 10, .backward_time = 20};
  pipeline_problem problem{.schedule = {.stages = 2, .microbatches = 16},
                           .layers = std::vector<pipeline_layer>(6, one)};
  CHECK(plan_jointly(problem, objectives::makespan{}).plan.cuts ==
        std::vector<std::size_t>{0, 3, 6});
  problem.time_factor = {{1}, {2}};
  const joint_result found = plan_jointly(problem, objectives::bottleneck{});
  CHECK(found.plan.cuts == std::vector<std::size_t>{0, 4, 6});
  CHECK(found.objective == rational{120});
}

TEST_CASE("Tied layers weigh once on one device") {
  const pipeline_layer one{.forward_time = 1, .backward_time = 2, .static_bytes = 100};
  pipeline_problem problem{
      .schedule = {.kind = schedules::interleaved{}, .virtual_stages = 2, .microbatches = 2},
      .layers = {one, one},
      .memory_limit = {100},
      .tied = {{0, 1}}};
  CHECK(plan_jointly(problem, objectives::makespan{}).status == search_status::optimal);
  problem.tied.clear();
  const joint_result found = plan_jointly(problem, objectives::makespan{});
  CHECK(found.status == search_status::infeasible);
  CHECK(found.why.bytes_short == 100);
}

TEST_CASE("A search over shared devices ended by its count proves no lack of memory") {
  // Any two stages of one device overrun it, though both devices together have room for all.
  pipeline_problem problem{
      .schedule = {.kind = schedules::interleaved{},
                   .stages = 2,
                   .virtual_stages = 2,
                   .microbatches = 2},
      .layers = std::vector<pipeline_layer>(4, {.forward_time = 1, .backward_time = 2}),
      .memory_limit = {15, 15}};
  for (const std::size_t l : std::array<std::size_t, 2>{0, 2}) problem.layers[l].static_bytes = 10;
  for (const any_objective objective : all_objectives) {
    INFO(objective.name());
    const joint_result all = plan_jointly(problem, objective);
    CHECK(all.status == search_status::infeasible);
    CHECK(all.why.proven);
    const joint_result some = plan_jointly(problem, objective, {.operation_limit = 0});
    CHECK(some.status == search_status::stopped);
    CHECK(some.limit == search_limit::operations);
    CHECK(some.why.reason == infeasibility::cause::memory);
    CHECK(!some.why.proven);
    CHECK(some.why.bytes_short == 5);
    CHECK(some.plan.cuts.empty());
  }
}

TEST_CASE("That shared devices have too little memory for any partition needs no search") {
  const pipeline_layer one{.forward_time = 1, .backward_time = 2, .static_bytes = 100};
  pipeline_problem problem{.schedule = {.kind = schedules::interleaved{},
                                        .stages = 8,
                                        .virtual_stages = 4,
                                        .microbatches = 16},
                           .layers = std::vector<pipeline_layer>(96, one),
                           .memory_limit = std::vector<std::int64_t>(8, 1199)};
  const joint_result found = plan_jointly(problem, objectives::makespan{}, {.operation_limit = 0});
  CHECK(found.status == search_status::infeasible);
  CHECK(found.why.proven);
  CHECK(found.why.bytes_short == 1);
  problem.memory_limit.assign(8, 1200);
  CHECK(plan_jointly(problem, objectives::makespan{}, {.operation_limit = 0}).why.reason ==
        infeasibility::cause::none);
}

TEST_CASE("A hundred layers of byte and nanosecond scale are planned and evaluated") {
  random_stream random(43);
  pipeline_problem problem{.schedule = {.stages = 8, .microbatches = 32}};
  for (int l = 0; l < 100; ++l) problem.layers.push_back(test::random_layer(random, 3, 1'000'003));
  problem.memory_limit.assign(8, 3'000'000'000);
  for (const any_objective objective : all_objectives) {
    INFO(objective.name());
    const joint_result found = plan_jointly(problem, objective);
    if (has_recurrence(objective)) REQUIRE(found.status == search_status::optimal);
    REQUIRE(objective_of(problem, found.plan, objective) == found.objective);
    REQUIRE(!(found.objective < found.bound));
    REQUIRE(test::overrun(problem, found.plan) <= 0);
  }
}

TEST_CASE("Searches that are cut short keep a plan and a bound below the optimum") {
  random_stream random(61);
  for (int round = 0; round < 60; ++round) {
    pipeline_problem problem =
        test::random_problem(random,
                             round % 2 == 0 ? any_schedule(schedules::one_forward_one_backward{})
                                            : any_schedule(schedules::zero_bubble_h1{}),
                             6);
    problem.schedule.stages = 3;
    problem.memory_limit.clear();
    problem.reserved.clear();
    if (problem.layers.size() < 3) continue;
    const rational best = plan_jointly(problem, objectives::makespan{}).objective;
    const joint_result found =
        plan_jointly(problem, objectives::makespan{}, {.operation_limit = 0});
    REQUIRE((found.status == search_status::stopped || found.status == search_status::optimal));
    REQUIRE((found.limit == search_limit::operations) == (found.status == search_status::stopped));
    REQUIRE(!(best < found.bound));
    REQUIRE(!(found.objective < best));
    REQUIRE(objective_of(problem, found.plan, objectives::makespan{}) == found.objective);
  }
}

TEST_CASE("Choices of modes for many chunks per device end at a count") {
  // Sixteen virtual stages of layers that all differ: millions of combinations per partition.
  random_stream random(97);
  pipeline_problem problem{
      .schedule = {
          .kind = schedules::interleaved{}, .stages = 4, .virtual_stages = 4, .microbatches = 16}};
  for (int l = 0; l < 56; ++l) {
    const std::int64_t time = test::draw(random, 1'000'000, 3'000'000);
    const std::int64_t bytes = test::draw(random, 900, 1100);
    pipeline_layer& layer = problem.layers.emplace_back();
    layer.forward_time = time;
    layer.backward_time = 2 * time;
    layer.modes = {{.saved_bytes = bytes},
                   {.extra_time = time / 4, .saved_bytes = bytes / 2},
                   {.extra_time = time, .saved_bytes = bytes / 10}};
  }
  problem.memory_limit.assign(4, 20'000);
  for (const any_objective& objective :
       {any_objective(objectives::closed_form{}), any_objective(objectives::makespan{})}) {
    INFO(objective.name());
    const joint_result found = plan_jointly(problem, objective, {.operation_limit = 3'000'000});
    REQUIRE_FALSE(found.plan.cuts.empty());
    CHECK(found.status == search_status::stopped);
    CHECK_FALSE(found.objective < found.bound);
    CHECK(evaluate(problem, found.plan).fits());
  }
}

TEST_CASE("Knapsacks that are cut short leave plans that fit and bounds that hold") {
  random_stream random(67);
  int stopped = 0;
  for (int round = 0; round < 300; ++round) {
    const pipeline_problem problem =
        test::random_problem(random, schedules::one_forward_one_backward{}, 6);
    if (problem.layers.size() < problem.schedule.stages) continue;
    const test::oracle expected(problem);
    if (!expected.feasible()) continue;
    for (std::size_t k = 0; k < all_objectives.size(); ++k) {
      const joint_result found =
          plan_jointly(problem, all_objectives[k], {.recompute = {.point_limit = 0}});
      stopped += found.status == search_status::stopped;
      REQUIRE(!(expected.best[k] < found.bound));
      REQUIRE(test::overrun(problem, found.plan) <= 0);
      REQUIRE(!(found.objective < objective_of(problem, found.plan, all_objectives[k])));
      if (found.status == search_status::optimal) REQUIRE(found.objective == expected.best[k]);
    }
  }
  CHECK(stopped > 0);
}

TEST_CASE("Plans are the same bytes everywhere") {
  struct expected {
    any_schedule kind;
    std::int64_t makespan;
    pipeline_plan plan;
  };
  const expected golden[] = {
      {schedules::one_forward_one_backward{},
       2688,
       {.cuts = {0, 4, 8, 10, 14}, .modes = {2, 2, 1, 2, 2, 0, 1, 0, 2, 0, 1, 2, 0, 2}}},
      {schedules::gpipe{},
       3128,
       {.cuts = {0, 4, 7, 10, 14}, .modes = {2, 2, 2, 2, 2, 0, 1, 0, 2, 1, 1, 2, 2, 2}}},
      {schedules::zero_bubble_h1{},
       2370,
       {.cuts = {0, 4, 8, 10, 14}, .modes = {2, 2, 1, 2, 2, 0, 1, 0, 2, 0, 1, 2, 0, 2}}},
      {schedules::interleaved{},
       2445,
       {.cuts = {0, 1, 3, 6, 8, 9, 11, 12, 14},
        .modes = {2, 2, 2, 2, 2, 0, 1, 0, 2, 0, 1, 2, 0, 2}}}};
  for (const auto& [kind, makespan, plan] : golden) {
    INFO(kind.name());
    random_stream random(101);
    pipeline_problem problem{
        .schedule = {.kind = kind,
                     .stages = 4,
                     .virtual_stages = kind == schedules::interleaved{} ? 2U : 1U,
                     .microbatches = 8}};
    for (int l = 0; l < 14; ++l) problem.layers.push_back(test::random_layer(random, 3));
    problem.memory_limit.assign(4, kind == schedules::gpipe{} ? 700 : 450);
    const joint_result found = plan_jointly(problem, objectives::makespan{});
    CHECK(found.status == search_status::optimal);
    CHECK(found.objective == rational{makespan});
    CHECK(found.plan == plan);
  }
}

TEST_CASE("A layer with much to reduce goes to the device that ends first") {
  pipeline_problem problem{
      .schedule = {.stages = 2, .microbatches = 4},
      .layers = std::vector<pipeline_layer>(7, {.forward_time = 10, .backward_time = 20})};
  problem.layers[3].step_time = 500;
  const joint_result found = plan_jointly(problem, objectives::makespan{});
  CHECK(found.status == search_status::optimal);
  CHECK(found.plan.cuts[1] == 3);
  // Forward of 3 layers, then 4 rounds of 4 layers and the reduction.
  CHECK(found.objective.numerator == 30 + 4 * 120 + 500);
}
