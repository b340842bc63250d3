// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <initializer_list>
#include <map>
#include <numeric>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include <omnibal/cost/presets.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/packers.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/plan_run.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

/// Samples like those of instruction tuning: 1 to 5 tiles of 256 tokens and some text.
std::vector<vision_language_sample> some_samples(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<vision_language_sample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t tiles = test::draw(random, 0, 2) == 0 ? test::draw(random, 1, 4) : 5;
    samples.push_back({tiles, 256 * tiles + test::draw(random, 30, 250)});
  }
  return samples;
}

std::vector<layer_cost> small_chain(const training_setup& setup = {.data_parallel = 4}) {
  return cost_layers(model_presets()[3], device_presets()[0], setup);
}

run_problem small_run(std::span<const vision_language_sample> samples,
                      std::span<const layer_cost> chain) {
  return {.samples = samples,
          .chain = chain,
          .stages = 4,
          .data_parallel = 4,
          .global_batch = 64,
          .memory = {.limit = 80 * gibibyte, .reserved = 6 * gibibyte},
          .capacity = loads<2>{10, 4096}};
}

/// A layer that takes a nanosecond forwards and two backwards for every token, and keeps a byte.
layer_cost token_layer() {
  const linear_cost per_token{.per_token = std::int64_t{1} << fixed_point_bits};
  return {.forward_time = per_token,
          .backward_time = per_token + per_token,
          .static_bytes = 1000,
          .step_time = 5,
          .modes = {{.saved_bytes = per_token}}};
}

/// Every sample is in one micro-batch, and every micro-batch in one place.
void check_complete(const batch_plan& data, std::size_t samples) {
  std::vector<std::uint32_t> ids(data.packing.packs.indices().begin(),
                                 data.packing.packs.indices().end());
  std::ranges::sort(ids);
  REQUIRE(ids.size() == samples);
  for (std::uint32_t id = 0; id < ids.size(); ++id) REQUIRE(ids[id] == id);
  std::vector<std::uint32_t> packs(data.load.assignment.indices().begin(),
                                   data.load.assignment.indices().end());
  std::ranges::sort(packs);
  REQUIRE(packs.size() == data.load.microbatches.size());
  for (std::uint32_t k = 0; k < packs.size(); ++k) REQUIRE(packs[k] == k);
}

}  // namespace

/// The balanced packer, made to leave a tenth of each capacity free: in no list.
struct cautious_packer {
  static constexpr std::string_view name = "cautious";

  template <std::size_t R>
  [[nodiscard]] packing_result pack(std::span<const loads<R>> samples,
                                    packing_options<R> options) const {
    for (std::int64_t& most : options.capacity) most -= most / 10;
    return packers::balanced{}.pack(samples, options);
  }
};

TEST_CASE("A run is planned with any packer") {
  const auto samples = some_samples(1500, 1);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const run_result usual = plan_run(problem);
  problem.packer = cautious_packer{};
  const run_result cautious = plan_run(problem);
  REQUIRE(cautious.planned.fits);
  check_complete(cautious.planned.data, samples.size());
  const auto& packs = cautious.planned.data.packing.packs;
  CHECK(packs.size() > usual.planned.data.packing.packs.size());
  for (const loads<2>& sum : pack_loads(packs, samples)) CHECK((sum[0] <= 9 && sum[1] <= 3687));
  problem.packer = packers::balanced{};
  CHECK(plan_run(problem).planned.data.packing.packs == usual.planned.data.packing.packs);
  // Also where the global batch limits the samples of a pack.
  problem.global_batch = 20;
  problem.packer = packers::streaming{};
  check_complete(plan_run(problem).planned.data, samples.size());
}

TEST_CASE("A run is planned from samples to simulated epoch") {
  const auto samples = some_samples(1500, 1);
  const auto chain = small_chain();
  const run_result plan = plan_run(small_run(samples, chain));
  for (const run_strategy* strategy :
       {&plan.naive, &plan.unbalanced, &plan.published, &plan.planned}) {
    REQUIRE(strategy->status == search_status::feasible);
    check_complete(strategy->data, samples.size());
    CHECK(strategy->fits);
    CHECK(plan.bound <= strategy->epoch.time);
    CHECK(strategy->epoch.bubble_ratio > 0.0);
    CHECK(strategy->epoch.bubble_ratio < 1.0);
    CHECK(strategy->epoch.rank_wait_ratio >= 0.0);
    CHECK(strategy->epoch.rank_wait_ratio <= strategy->epoch.bubble_ratio);
    CHECK(strategy->plan.cuts.size() == 5);
    for (const std::int64_t peak : strategy->epoch.peak_memory) CHECK(peak <= 80 * gibibyte);
  }
  CHECK(plan.planned.epoch.time <= plan.published.epoch.time);
  CHECK(plan.published.epoch.time <= plan.unbalanced.epoch.time);
  CHECK(plan.planned.data.packing.bound <= plan.planned.data.packing.objective);
  CHECK(plan.unbalanced.data.pad_ratio > 0.05);
  CHECK(plan.planned.data.pad_ratio == 0.0);
}

TEST_CASE("The naive strategy has the vision tower on the first stage") {
  const auto samples = some_samples(400, 1);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const run_result plan = plan_run(problem);
  const auto language = [&](std::size_t stage) {
    const std::vector<std::size_t>& cuts = plan.naive.plan.cuts;
    return std::count_if(chain.begin() + static_cast<std::ptrdiff_t>(cuts[stage]),
                         chain.begin() + static_cast<std::ptrdiff_t>(cuts[stage + 1]),
                         [](const layer_cost& one) { return one.kind == layer_kind::language; });
  };
  for (std::size_t stage = 1; stage < 4; ++stage)
    CHECK(std::abs(language(stage) - language(0)) <= 1);
  for (std::size_t l = plan.naive.plan.cuts[1]; l < chain.size(); ++l)
    CHECK(chain[l].kind != layer_kind::vision);
  CHECK(plan.naive.data.packing.packs == plan.unbalanced.data.packing.packs);
  CHECK(plan.naive.epoch.time > plan.unbalanced.epoch.time);
  problem.virtual_stages = 2;
  problem.schedule = schedules::interleaved{};
  CHECK(plan_run(problem).naive.plan.cuts.size() == 9);
}

TEST_CASE("The vision tower fills the stages reserved for it") {
  const auto samples = some_samples(400, 1);
  const auto chain = small_chain();
  const auto is_tower = [](const layer_cost& one) {
    return one.kind == layer_kind::vision || one.kind == layer_kind::projector;
  };
  const auto tower = static_cast<std::size_t>(std::count_if(chain.begin(), chain.end(), is_tower));
  for (const std::size_t stages : {std::size_t{1}, std::size_t{2}}) {
    run_problem problem = small_run(samples, chain);
    reserve_vision_stages(problem, stages);
    const run_result plan = plan_run(problem);
    REQUIRE(plan.planned.fits);
    CHECK(plan.planned.plan.cuts[stages] == tower);
    CHECK(plan.published.plan.cuts[stages] == tower);
    CHECK_FALSE(plan.naive.keeps_constraints);
    CHECK(plan.bound <= plan.planned.epoch.time);
  }
  run_problem problem = small_run(samples, chain);
  reserve_vision_stages(problem, 4);
  const infeasibility why = plan_run(problem).planned.why;
  CHECK(why.reason == infeasibility::cause::rules);
  problem = small_run(samples, chain);
  problem.together = {{0, chain.size() - 3}};
  CHECK(plan_run(problem).planned.why.most_stages == 3);
  problem.together = {{0, chain.size()}};
  CHECK_THROWS_AS(plan_run(problem), invalid_input);
  problem.together = {};
  problem.chain = problem.chain.subspan(tower);
  CHECK_THROWS_AS(reserve_vision_stages(problem, 1), invalid_input);
}

TEST_CASE("A current layout is compared with and never better than the plan") {
  const auto samples = some_samples(400, 1);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const run_result plan = plan_run(problem);
  problem.current =
      current_layout{.plan = plan.planned.plan,
                     .data = assigned_packs{plan.planned.data.packing.packs,
                                            plan.planned.data.dispatch, *plan.planned.capacity}};
  const run_result again = plan_run(problem);
  CHECK(again.current->epoch.time == plan.planned.epoch.time);
  CHECK(again.planned.epoch.time <= again.current->epoch.time);
  problem.current = current_layout{.plan = plan.naive.plan};
  CHECK(plan_run(problem).current->epoch.time == plan.naive.epoch.time);
  problem.current->plan.cuts.back() -= 1;
  CHECK_THROWS_AS(plan_run(problem), invalid_input);
}

TEST_CASE("The ablation leads from unbalanced to planned") {
  const auto samples = some_samples(800, 2);
  const auto chain = small_chain();
  const run_result plan = plan_run(small_run(samples, chain));
  REQUIRE(plan.ablation.size() == 5);
  CHECK(plan.ablation.front().name == "unbalanced");
  CHECK(plan.ablation.front().epoch_time == plan.unbalanced.epoch.time);
  CHECK(plan.ablation.back().name == "joint");
  CHECK(plan.ablation.back().epoch_time == plan.planned.epoch.time);
  CHECK(plan.ablation.back().epoch_time <= plan.ablation[3].epoch_time);
}

TEST_CASE("A run that is asked to stop still has a whole plan") {
  const auto samples = some_samples(900, 7);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  problem.capacity.reset();
  std::stop_source stop;
  stop.request_stop();
  std::map<std::string, int> begun;
  const auto report = [&](const progress& now) {
    if (now.done == 0) ++begun[std::string(now.phase)];
  };
  const run_result plan =
      plan_run(problem, {.control = {.report = report, .stop = stop.get_token()}});
  CHECK(plan.status == search_status::stopped);
  // Every strategy and plan is simulated once, and no more is searched for.
  CHECK(begun["order micro-batches"] == 0);
  CHECK(begun["simulate"] > 3);
  CHECK(begun["simulate"] <= 14);
  CHECK(plan.ablation.size() == 2);
  CHECK(plan.limit == search_limit::stop);
  REQUIRE(plan.planned.status == search_status::feasible);
  check_complete(plan.planned.data, samples.size());
  CHECK(plan.planned.fits);
  CHECK(plan.bound <= plan.planned.epoch.time);
  CHECK(plan.capacities.candidates.size() == 1);
}

TEST_CASE("The same seed plans the same run") {
  const auto samples = some_samples(600, 3);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  problem.capacity.reset();
  const run_result first = plan_run(problem);
  const run_result second = plan_run(problem);
  CHECK(first.planned.epoch.time == second.planned.epoch.time);
  CHECK(first.planned.plan == second.planned.plan);
  CHECK(first.planned.data.packing.packs == second.planned.data.packing.packs);
  CHECK(first.planned.data.dispatch == second.planned.data.dispatch);
  CHECK(first.capacities.best == second.capacities.best);
}

TEST_CASE("An automatic capacity is no slower than the paper's") {
  const auto samples = some_samples(1200, 4);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  problem.capacity = loads<2>{9, 4096};
  const std::int64_t fixed = plan_run(problem).planned.epoch.time;
  problem.capacity.reset();
  const run_result automatic = plan_run(problem);
  CHECK(automatic.planned.epoch.time <= fixed);
  const auto& candidates = automatic.capacities.candidates;
  CHECK(std::ranges::count(candidates, std::string(), &capacity_candidate::passed_over) == 1);
  for (const vision_language_sample& sample : samples)
    for (std::size_t r = 0; r < 2; ++r) REQUIRE(sample[r] <= automatic.capacities.best[r]);
}

TEST_CASE(
    "A plan never holds more than it was planned for, and is evaluated with simulated memory") {
  const auto samples = some_samples(500, 5);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const run_result plan = plan_run(problem);
  const auto stages = stage_models(chain, plan.planned.plan);
  for (std::size_t s = 0; s < 4; ++s) {
    const workload full{.tiles = 10, .tokens = 4096};
    const activation_bytes each = stages[s].activation(full);
    const auto held = static_cast<std::int64_t>(4 - s);
    CHECK(plan.planned.epoch.peak_memory[s] <=
          6 * gibibyte + stages[s].static_bytes + held * each.saved + each.transient);
    CHECK(plan.planned.epoch.peak_memory[s] > 6 * gibibyte + stages[s].static_bytes);
  }
}

TEST_CASE("A run is planned under every schedule") {
  const auto samples = some_samples(1500, 8);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const std::int64_t plain = plan_run(problem).planned.epoch.time;
  for (const any_schedule kind : std::initializer_list<any_schedule>{
           schedules::gpipe{}, schedules::interleaved{}, schedules::zero_bubble_h1{}}) {
    CAPTURE(kind.name());
    problem.schedule = kind;
    problem.virtual_stages = kind == schedules::interleaved{} ? 2 : 1;
    const run_result plan = plan_run(problem);
    REQUIRE(plan.planned.status == search_status::feasible);
    check_complete(plan.planned.data, samples.size());
    CHECK(plan.planned.plan.cuts.size() == 4 * problem.virtual_stages + 1);
    CHECK(plan.planned.epoch.peak_memory.size() == 4);
    CHECK(plan.planned.fits);
    CHECK(plan.bound <= plan.planned.epoch.time);
    CHECK(plan.planned.epoch.time <= plan.unbalanced.epoch.time);
    for (const ablation_row& row : plan.ablation)
      if (row.fits) CHECK(plan.planned.epoch.time <= row.epoch_time);
    if (kind == schedules::interleaved{}) {
      CHECK(plan.planned.data.microbatches_per_rank % 4 == 0);
      CHECK(plan.planned.epoch.time < plain);
    }
  }
}

TEST_CASE("A plan made before is evaluated, and refused where it is not for this run") {
  const auto samples = some_samples(800, 9);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  const run_strategy planned = plan_run(problem).planned;
  const auto evaluate_again = [&](const dispatch_plan& dispatch, const pipeline_plan& plan) {
    return evaluate_run(problem, planned.data.packing.packs, dispatch, *planned.capacity, plan);
  };
  const evaluated_run same = evaluate_again(planned.data.dispatch, planned.plan);
  CHECK(same.strategy.epoch.time == planned.epoch.time);
  CHECK(same.strategy.epoch.peak_memory == planned.epoch.peak_memory);
  CHECK(same.strategy.fits);
  CHECK(same.bound <= same.strategy.epoch.time);

  problem.memory.limit = same.strategy.epoch.peak_memory[0] - 1;
  CHECK_FALSE(evaluate_again(planned.data.dispatch, planned.plan).strategy.fits);

  dispatch_plan dispatch = planned.data.dispatch;
  dispatch.dropped.push_back(0);
  CHECK_THROWS_AS(evaluate_again(dispatch, planned.plan), invalid_input);
  pipeline_plan plan = planned.plan;
  plan.cuts.pop_back();
  CHECK_THROWS_AS(evaluate_again(planned.data.dispatch, plan), invalid_input);
  problem.samples = problem.samples.first(700);
  CHECK_THROWS_AS(evaluate_again(planned.data.dispatch, planned.plan), invalid_input);
  problem.samples = samples;
  problem.data_parallel = 2;
  CHECK_THROWS_AS(evaluate_again(planned.data.dispatch, planned.plan), invalid_input);
}

TEST_CASE("An interleaved epoch is filled up with empty micro-batches") {
  // Two devices of two stages of one layer each; one rank with one micro-batch runs two.
  const std::vector<layer_cost> chain(4, token_layer());
  const auto stages = stage_models(chain, {.cuts = {0, 1, 2, 3, 4}, .modes = {0, 0, 0, 0}});
  epoch_load load{.ranks = 1, .microbatches = {{.tokens = 10}}};
  load.assignment.append(std::vector<std::uint32_t>{0});
  const epoch_outcome outcome =
      simulate_epoch(stages, {.kind = schedules::interleaved{}, .stages = 2, .virtual_stages = 2},
                     load, {.reserved = 100});
  CHECK(outcome.time == 4 * 10 + 4 * 20 + 2 * 5);
  CHECK(outcome.peak_memory == std::vector<std::int64_t>{2120, 2120});
}

TEST_CASE("ZB-H1 splits the backward, and layers recompute once or twice") {
  const linear_cost per_token{.per_token = std::int64_t{1} << fixed_point_bits};
  const layer_cost layer{
      .forward_time = per_token,
      .backward_time = per_token + per_token,
      .weight_gradient_time = per_token,
      .modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = per_token},
                {.name = "full", .extra_time = per_token, .transient_bytes = per_token}}};
  const std::vector<layer_cost> chain(2, layer);
  CHECK(chain_under(schedules::gpipe{}, chain)[0].weight_gradient_time == linear_cost{});
  CHECK(chain_under(schedules::gpipe{}, chain)[0].modes == layer.modes);
  const auto twice =
      chain_under(schedules::zero_bubble_h1{}, chain, weight_gradient_recompute::twice);
  CHECK(twice[1].modes[1].extra_time == per_token + per_token);
  CHECK(twice[1].modes[1].saved_for_weight_gradient == linear_cost{});
  CHECK(twice[1].modes[0].saved_for_weight_gradient == per_token);
  const auto split = chain_under(schedules::zero_bubble_h1{}, chain);
  CHECK(split[1].modes[1].extra_time == per_token);
  CHECK(split[1].modes[1].saved_for_weight_gradient == per_token);

  const auto stages = stage_models(split, {.cuts = {0, 1, 2}, .modes = {0, 0}});
  epoch_load load{.ranks = 1, .microbatches = {{.tokens = 10}, {.tokens = 20}}};
  load.assignment.append(std::vector<std::uint32_t>{0, 1});
  const epoch_outcome outcome =
      simulate_epoch(stages, {.kind = schedules::zero_bubble_h1{}, .stages = 2}, load);
  // Stage 0: F 0-10, F 10-30, B 30-40, W 40-50, B 70-90, W 90-110.
  // Stage 1: F 10-20, B 20-30, F 30-50, B 50-70, W 70-80, W 80-100.
  CHECK(outcome.time == 110);
  CHECK(outcome.peak_memory == std::vector<std::int64_t>{30, 30});

  // Recomputed in B and saved until W: stage 1 runs F B F B W W, and 10 + 20 bytes wait at the end.
  const pipeline_plan full{.cuts = {0, 1, 2}, .modes = {1, 1}};
  const schedule_shape shape{.kind = schedules::zero_bubble_h1{}, .stages = 2};
  CHECK(simulate_epoch(stage_models(split, full), shape, load).peak_memory[1] == 30);
  CHECK(simulate_epoch(stage_models(twice, full), shape, load).peak_memory[1] == 20);
}

TEST_CASE(
    "What is saved for W where a layer is not trained, or has no mode without recomputation") {
  const linear_cost bytes{.constant = std::int64_t{8} << fixed_point_bits};
  layer_cost layer{.weight_gradient_time = bytes,
                   .modes = {{.name = "own", .saved_bytes = bytes, .transient_bytes = bytes}}};
  const auto held = [&] {
    return *chain_under(schedules::zero_bubble_v{}, std::vector{layer})[0]
                .modes[0]
                .saved_for_weight_gradient;
  };
  CHECK(held() == bytes + bytes);
  layer.modes[0].saved_for_weight_gradient = bytes;
  CHECK(held() == bytes);
  layer.trainable = false;
  CHECK(held() == linear_cost{});
}

TEST_CASE("An epoch worked out by hand") {
  // Two stages of one layer, two ranks, one step: rank 0 runs two micro-batches, rank 1 one.
  const std::vector<layer_cost> chain(2, token_layer());
  const auto stages = stage_models(chain, {.cuts = {0, 1, 2}, .modes = {0, 0}});
  epoch_load load{.ranks = 2, .microbatches = {{.tokens = 10}, {.tokens = 20}, {.tokens = 7}}};
  load.assignment.append(std::vector<std::uint32_t>{0, 1});
  load.assignment.append(std::vector<std::uint32_t>{2});
  const epoch_outcome outcome = simulate_epoch(stages, {.stages = 2}, load, {.reserved = 100});
  // Rank 0, stage 0: F 0-10, F 10-30, B 40-60, B 90-130. Stage 1: F 10-20, B 20-40, F 40-60, B
  // 60-100. B of micro-batch 1 on stage 0 starts at 100.
  CHECK(outcome.time == 140 + 5);
  CHECK(outcome.steps == 1);
  CHECK(outcome.peak_memory == std::vector<std::int64_t>{1000 + 100 + 30, 1000 + 100 + 20});
  const double busy = 2 * 3 * (10 + 20 + 7) + 2 * 2 * 5;
  CHECK(outcome.bubble_ratio == Approx(1.0 - busy / (4 * 145.0)));
  // Rank 1, stage 0: F 0-7, B 28-42. Stage 1: F 7-14, B 14-28. It waits for rank 0, which ends at
  // 140 and 100.
  CHECK(outcome.rank_wait_ratio == Approx((140 - 42 + 100 - 28) / (4 * 145.0)));
}

TEST_CASE("Memory that cannot suffice is explained, not thrown") {
  const auto samples = some_samples(200, 6);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  problem.memory.limit = 20 * gibibyte;
  const run_result plan = plan_run(problem);
  CHECK(plan.planned.status == search_status::infeasible);
  CHECK(plan.planned.why.reason == infeasibility::cause::memory);
  CHECK(plan.planned.why.bytes_short > 0);
  problem.memory.limit += plan.planned.why.bytes_short - 1;
  CHECK(plan_run(problem).planned.status == search_status::infeasible);
  problem.memory.limit += 1;
  CHECK(plan_run(problem).planned.status == search_status::feasible);
}

TEST_CASE("More stages than layers is infeasible with its reason") {
  const auto samples = some_samples(20, 7);
  const auto chain = small_chain();
  run_problem problem = small_run(samples, chain);
  problem.stages = chain.size() + 1;
  CHECK(plan_run(problem).planned.why.reason == infeasibility::cause::fewer_layers_than_stages);
}

TEST_CASE("A margin makes activations count for more") {
  const auto chain = small_chain();
  const workload work{.tiles = 5, .tokens = 2000};
  const schedule_shape shape{.stages = 2};
  const auto plain = problem_of(chain, shape, work, work, {.limit = gibibyte});
  const auto cautious = problem_of(chain, shape, work, work, {.limit = gibibyte, .margin = 0.5});
  const auto& before = plain.layers[3].modes[0];
  const auto& after = cautious.layers[3].modes[0];
  CHECK(after.saved_bytes == before.saved_bytes + (before.saved_bytes + 1) / 2);
  CHECK_THROWS_AS(problem_of(chain, shape, work, work, {.margin = -1.0}), invalid_input);
}

TEST_CASE("Text-only tables, one sample, one device") {
  const auto chain = small_chain({});
  const std::vector<vision_language_sample> text = {{0, 700}, {0, 40}, {0, 40}};
  run_problem problem = small_run(text, chain);
  problem.stages = 1;
  problem.data_parallel = 1;
  problem.global_batch = 2;
  problem.memory.limit = 200 * gibibyte;
  problem.capacity.reset();
  CHECK(plan_run(problem).planned.status == search_status::feasible);
  const std::vector<vision_language_sample> one = {{1, 300}};
  problem.samples = one;
  problem.global_batch = 1;
  const run_result plan = plan_run(problem);
  CHECK(plan.planned.epoch.steps == 1);
  CHECK(plan.planned.epoch.time > 0);
}

TEST_CASE("Runs out of range are refused by name") {
  const auto samples = some_samples(10, 8);
  const auto chain = small_chain();
  const auto field = [&](auto change) -> std::string {
    run_problem problem = small_run(samples, chain);
    change(problem);
    try {
      (void)plan_run(problem);
    } catch (const invalid_input& error) {
      return error.field();
    }
    return "";
  };
  CHECK(field([](run_problem&) {}).empty());
  CHECK(field([](run_problem& p) { p.samples = {}; }) == "samples");
  CHECK(field([](run_problem& p) { p.data_parallel = 0; }) == "data_parallel");
  CHECK(field([](run_problem& p) { p.global_batch = 0; }) == "global_batch");
  CHECK(field([](run_problem& p) { p.stages = 0; }) == "stages");
  CHECK(field([](run_problem& p) { p.memory.limit = p.memory.reserved; }) == "memory.limit");
  CHECK(field([](run_problem& p) {
          p.capacity = loads<2>{4, 4096};
          p.oversize = oversize_policy::reject;
        }) == "images");
  CHECK(field([](run_problem& p) { p.virtual_stages = 2; }) == "virtual_stages");
}
