// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/replay.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t one_unit = std::int64_t{1} << fixed_point_bits;

/// A layer whose costs grow with the tokens, and whose output has two bytes for each of them.
layer_cost simple_layer(std::size_t number, std::int64_t nanoseconds_per_token) {
  const auto per_token = [](std::int64_t amount) {
    return linear_cost{.constant = 50 * one_unit, .per_token = amount * one_unit};
  };
  return {.name = "block" + std::to_string(number),
          .parameters = 1000,
          .forward_time = per_token(nanoseconds_per_token),
          .backward_time = per_token(2 * nanoseconds_per_token),
          .weight_gradient_time = per_token(nanoseconds_per_token),
          .forward_latency = {.constant = 20 * one_unit},
          .backward_latency = {.constant = 20 * one_unit},
          .output_bytes = {.per_token = 2 * one_unit},
          .static_bytes = 16000,
          .step_time = 300,
          .modes = {{.name = "none", .kind = recompute_kind::none}}};
}

/// A run whose packs have one sample each; the last of its steps leaves replicas idle.
struct small_run {
  std::vector<vision_language_sample> samples = {};
  std::vector<layer_cost> chain = {};
  run_problem problem = {};
  run_strategy strategy = {};

  small_run(any_schedule kind, std::size_t p, std::size_t v, std::size_t replicas,
            std::size_t microbatches) {
    random_stream random(3);
    for (std::size_t l = 0; l < p * v; ++l) chain.push_back(simple_layer(l, 3 + (l % 3 == 0)));
    const std::size_t full = replicas * microbatches;
    const std::size_t last = (replicas + 1) / 2;
    grouping<std::uint32_t> packs;
    for (std::uint32_t i = 0; i < full + last; ++i) {
      samples.push_back({1, test::draw(random, 100, 200)});
      packs.append(std::vector<std::uint32_t>{i});
    }
    dispatch_plan dispatch{.ranks = static_cast<std::uint32_t>(replicas)};
    for (std::uint32_t i = 0; i < full + last; ++i) {
      dispatch.groups.push_back(i);
      if (i + 1 > full ? true : (i + 1) % microbatches == 0) dispatch.groups.close_group();
    }
    while (dispatch.groups.size() < 2 * replicas) dispatch.groups.close_group();
    pipeline_plan plan{.modes = std::vector<std::size_t>(chain.size(), 0)};
    for (std::size_t j = 0; j <= chain.size(); ++j) plan.cuts.push_back(j);
    problem = {.samples = samples,
               .chain = chain,
               .schedule = kind,
               .stages = p,
               .virtual_stages = v,
               .data_parallel = replicas,
               .global_batch = static_cast<std::int64_t>(full),
               .memory = {.limit = std::int64_t{1} << 40}};
    strategy = evaluate_run(problem, packs, dispatch, {100, 10000}, plan).strategy;
  }

  execution_plan execution(const execution_options& options = {}) const {
    return make_execution_plan(problem, strategy, options);
  }
};

using item_list = std::vector<execution_item>;

/// Replaces a program by one in which the items of a device are changed.
template <class Change>
void change_program(execution_plan& plan, std::size_t program, std::size_t device,
                    const Change& change) {
  std::vector<item_list> devices;
  for (std::size_t d = 0; d < plan.devices; ++d) devices.push_back(items_of(plan, program, d));
  change(devices[device]);
  const std::uint32_t microbatches = plan.lanes[plan.programs[program].lanes].microbatches;
  plan.programs[program] = plan.programs[add_program(plan, microbatches, devices)];
  plan.programs.pop_back();
}

std::vector<std::vector<std::int64_t>> predictions(const execution_plan& plan, std::size_t step) {
  std::vector<std::vector<std::int64_t>> durations;
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank)
    durations.push_back(predicted_durations(plan, step, rank));
  return durations;
}

}  // namespace

TEST_CASE("every schedule is executed to the end, as fast as predicted, on all sizes") {
  for (const any_schedule& kind : all_schedules)
    for (const auto& [p, replicas] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 1}, {2, 1}, {2, 64}, {3, 2}, {4, 3}, {32, 2}})
      for (const order_source order : {order_source::exact, order_source::mean}) {
        const std::size_t v =
            std::max<std::size_t>(kind.capabilities().least_virtual_stages,
                                  kind == any_schedule(schedules::interleaved{}) ? 2 : 1);
        const small_run run(kind, p, v, replicas, 2 * p);
        const execution_plan plan = run.execution({.order = order, .shards_optimizer = true});
        INFO(kind.name() << " p " << p << " dp " << replicas);
        validate(plan);
        REQUIRE(plan.steps() == 2);
        CHECK(plan.step_times[0] + plan.step_times[1] == run.strategy.epoch.time);
        for (std::size_t step = 0; step < 2; ++step) {
          const replayed_step replayed = replay(plan, step, predictions(plan, step));
          REQUIRE(replayed.measured.stuck.empty());
          // Predictions have a transfer between stages of the same device too.
          std::int64_t local = 0;
          for (std::size_t j = 0; j + 1 < plan.stages.size(); ++j)
            if (plan.stages[j].device == plan.stages[j + 1].device) local += 40;
          CHECK(replayed.measured.makespan + local >= plan.step_times[step]);
          CHECK(static_cast<double>(replayed.measured.makespan) <=
                1.1 * static_cast<double>(plan.step_times[step]));
        }
      }
}

TEST_CASE("both ends of a message agree on its bytes, which are those of the edge and the pack") {
  const small_run run(schedules::interleaved{}, 4, 2, 2, 6);
  const execution_plan plan = run.execution();
  std::size_t empty = 0;
  for (std::uint32_t rank = 0; rank < plan.ranks(); ++rank) {
    const rank_step mine = step_of(plan, 0, rank);
    CHECK(mine.packs.size() == 6);
    for (std::size_t i = 0; i < mine.items.size(); ++i) {
      const execution_item& item = mine.items[i];
      if (!is_message(item.kind)) continue;
      CHECK(item.peer / plan.devices == rank / plan.devices);
      const rank_step theirs = step_of(plan, 0, item.peer);
      const auto found = std::ranges::find(theirs.items, other_end(item, rank));
      REQUIRE(found != theirs.items.end());
      CHECK(theirs.bytes[static_cast<std::size_t>(found - theirs.items.begin())] == mine.bytes[i]);
      const bool real = item.microbatch < mine.packs.size();
      empty += !real;
      CHECK(mine.bytes[i] ==
            (real ? 2 * run.samples[mine.packs[item.microbatch]][1] : std::int64_t{0}));
    }
  }
  CHECK(empty > 0);
}

TEST_CASE("an idle replica has no operations and joins all reductions") {
  const small_run run(schedules::one_forward_one_backward{}, 2, 1, 4, 3);
  const execution_plan plan = run.execution({.tensor_parallel = 2, .shards_optimizer = true});
  const rank_step idle = step_of(plan, 1, 7);
  CHECK(idle.packs.empty());
  REQUIRE(idle.items.size() == 3);
  CHECK(idle.items[0] == execution_item{.kind = item_kind::reduce, .stage = 1});
  CHECK(idle.items[1] == execution_item{.kind = item_kind::step, .stage = 1});
  CHECK(idle.items[2] == execution_item{.kind = item_kind::gather, .stage = 1});
  CHECK(idle.bytes == std::vector<std::int64_t>{2000, 0, 1000});
}

TEST_CASE("one program per number of micro-batches where the order is that of mean durations") {
  const small_run run(schedules::one_forward_one_backward{}, 4, 1, 4, 8);
  CHECK(run.execution({.order = order_source::mean}).programs.size() == 3);
  CHECK(run.execution().programs.size() >= 3);
}

TEST_CASE(
    "a program takes one byte per item, and lanes are stored once per number of micro-batches") {
  const small_run run(schedules::zero_bubble_v{}, 4, 2, 4, 8);
  const execution_plan plan = run.execution();
  CHECK(plan.programs.size() > 3);
  CHECK(plan.lanes.size() == 3);
  std::size_t bytes = 0, items = 0;
  for (std::size_t k = 0; k < plan.programs.size(); ++k)
    for (std::size_t d = 0; d < plan.devices; ++d) {
      bytes += plan.programs[k].turns[d].size();
      items += items_of(plan, k, d).size();
    }
  CHECK(bytes == items);
}

TEST_CASE("samples that the run leaves out are skipped, and all others are in a pack") {
  const small_run run(schedules::gpipe{}, 2, 1, 1, 2);
  std::vector<vision_language_sample> more = run.samples;
  more.push_back({1, 150});
  run_problem problem = run.problem;
  problem.samples = more;
  const execution_plan plan = make_execution_plan(problem, run.strategy);
  validate(plan);
  CHECK(plan.skipped == std::vector<std::uint32_t>{3});
  CHECK(run.execution().skipped.empty());
}

TEST_CASE("labels are summed over the samples of each pack") {
  const small_run run(schedules::gpipe{}, 2, 1, 1, 2);
  const std::vector<std::int64_t> labels = {5, 0, 7};
  CHECK(run.execution({.label_tokens = labels}).label_tokens == labels);
  const std::vector<std::int64_t> negative = {5, -1, 7}, few = {1};
  CHECK_THROWS_AS(run.execution({.label_tokens = negative}), invalid_input);
  CHECK_THROWS_AS(run.execution({.label_tokens = few}), invalid_input);
}

TEST_CASE("gradients do not pass below the first trained layer, and frozen stages reduce nothing") {
  small_run run(schedules::one_forward_one_backward{}, 3, 1, 2, 2);
  run.chain[0].trainable = false;
  run.problem.chain = run.chain;
  const execution_plan plan = run.execution();
  validate(plan);
  CHECK(plan.stages[0].gradient_bytes == linear_cost{});
  CHECK(plan.stages[1].gradient_bytes == plan.stages[1].activation_bytes);
  CHECK(step_of(plan, 0, 0).items.back().kind == item_kind::backward);
  run.chain[1].output_bytes = {};
  CHECK_THROWS_WITH(run.execution(),
                    Catch::Matchers::ContainsSubstring("output_bytes[1] = block1"));
}

TEST_CASE("a plan with anything wrong is refused") {
  const small_run run(schedules::one_forward_one_backward{}, 3, 1, 3, 3);
  const execution_plan right = run.execution();
  validate(right);
  std::size_t mutants = 0;
  const auto refuses = [&](const auto& change) {
    execution_plan wrong = right;
    change(wrong);
    CHECK_THROWS_AS(validate(wrong), invalid_input);
    ++mutants;
  };
  for (std::size_t k = 0; k < right.programs.size(); ++k)
    for (std::size_t d = 0; d < 3; ++d)
      for (std::size_t i = 0; i < items_of(right, k, d).size(); ++i) {
        const auto with_items = [&](const auto& change_items) {
          refuses([&](execution_plan& wrong) { change_program(wrong, k, d, change_items); });
        };
        const auto place = static_cast<std::ptrdiff_t>(i);
        with_items([&](item_list& items) { items.erase(items.begin() + place); });
        with_items([&](item_list& items) { items.insert(items.begin(), item_list(items)[i]); });
        with_items([&](item_list& items) { ++items[i].stage; });
      }
  // Two neighbouring messages with the same peer, in another order.
  for (std::size_t d = 0; d < 3; ++d) {
    const item_list items = items_of(right, 0, d);
    for (std::size_t i = 0; i < items.size(); ++i)
      for (std::size_t j = i + 1; j < items.size(); ++j)
        if (is_message(items[i].kind) && is_message(items[j].kind) &&
            items[i].peer == items[j].peer) {
          refuses([&](execution_plan& wrong) {
            change_program(wrong, 0, d, [&](item_list& list) { std::swap(list[i], list[j]); });
          });
          break;
        }
  }
  refuses([](execution_plan& wrong) { wrong.programs[0].lanes = 99; });
  refuses([](execution_plan& wrong) { wrong.programs[0].turns.pop_back(); });
  refuses([](execution_plan& wrong) { wrong.programs[0].turns[0].pop_back(); });
  refuses([](execution_plan& wrong) { wrong.programs[0].turns[0].push_back('0'); });
  refuses([](execution_plan& wrong) { wrong.programs[0].turns[0][0] = '?'; });
  refuses([](execution_plan& wrong) { wrong.lanes[0].devices.pop_back(); });
  refuses([](execution_plan& wrong) { wrong.lanes[0].microbatches = 0xFFFFFFF0; });
  refuses([](execution_plan& wrong) { wrong.skipped = {0}; });
  refuses([](execution_plan& wrong) { wrong.skipped = {99}; });
  refuses([](execution_plan& wrong) { wrong.program_of.pop_back(); });
  refuses([](execution_plan& wrong) { wrong.program_of[0] = wrong.program_of.back(); });
  refuses([](execution_plan& wrong) { wrong.program_of[0] = 99; });
  refuses([](execution_plan& wrong) { wrong.replicas = 2; });
  refuses([](execution_plan& wrong) { wrong.devices = 0; });
  refuses([](execution_plan& wrong) { wrong.stages.pop_back(); });
  refuses([](execution_plan& wrong) { wrong.stages[1].device = 0; });
  refuses([](execution_plan& wrong) { wrong.stages[1].first_layer = 0; });
  refuses([](execution_plan& wrong) { wrong.stages[1].forward_time.per_token = -1; });
  refuses([](execution_plan& wrong) { wrong.layers.emplace_back(); });
  refuses([](execution_plan& wrong) { wrong.workloads.pop_back(); });
  refuses([](execution_plan& wrong) { wrong.workloads[0].tokens = -1; });
  refuses([](execution_plan& wrong) { wrong.label_tokens = {1}; });
  refuses([](execution_plan& wrong) { wrong.step_times.clear(); });
  refuses([](execution_plan& wrong) { wrong.packs.append(wrong.packs[0]); });
  refuses([](execution_plan& wrong) {  // An idle replica forgotten.
    grouping<std::uint32_t> fewer;
    for (std::size_t g = 0; g + 1 < wrong.assignment.size(); ++g) fewer.append(wrong.assignment[g]);
    wrong.assignment = fewer;
    wrong.program_of.pop_back();
  });
  CHECK(mutants > 100);
}

TEST_CASE("a replay names who waited for whom, and where the prediction was wrong") {
  const small_run run(schedules::one_forward_one_backward{}, 2, 1, 2, 4);
  const execution_plan plan = run.execution();
  auto measured = predictions(plan, 0);
  const auto first = replay(plan, 0, measured);
  CHECK(first.measured.makespan == first.predicted.makespan);
  for (const auto& differences : first.difference)
    CHECK(std::ranges::all_of(differences, [](std::int64_t one) { return one == 0; }));

  measured[0][0] += 1'000'000;  // Rank 0 starts late: the ranks 1, 2 and 3 wait for it.
  const auto late = replay(plan, 0, measured);
  CHECK(late.difference[0][0] == 1'000'000);
  CHECK(late.measured.makespan == first.measured.makespan + 1'000'000);
  CHECK(late.measured.bubble_ratio() > first.measured.bubble_ratio());
  REQUIRE(!late.waits.empty());
  CHECK(late.waits[0].rank == 1);
  CHECK(late.waits[0].waited_for == 0);
  CHECK(late.waits[0].time >= 1'000'000);
  CHECK(replayed_timeline(plan, late, late.measured, 0).bars.size() == 16);

  measured[0].pop_back();
  CHECK_THROWS_AS(replay(plan, 0, measured), invalid_input);
  CHECK_THROWS_AS(replay(plan, 2, measured), invalid_input);
}
