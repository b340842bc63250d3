// SPDX-License-Identifier: Apache-2.0
// What plan_run() promises, on small tables, chains, clusters and batches drawn at random.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <omnibal/pipeline.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/run/plan_run.hpp>

#include "../catch.hpp"
#include "../planning_problems.hpp"

using namespace omnibal;

namespace {

linear_cost amount(random_stream& random, std::int64_t per_tile, std::int64_t per_token) {
  const std::int64_t one = std::int64_t{1} << fixed_point_bits;
  return {.constant = test::draw(random, 0, 50) * one,
          .per_tile = test::draw(random, 0, per_tile) * one,
          .per_token = test::draw(random, 0, per_token) * one};
}

layer_cost drawn_layer(random_stream& random, bool vision) {
  layer_cost layer{.forward_time = amount(random, vision ? 900 : 0, vision ? 0 : 6),
                   .static_bytes = test::draw(random, 1000, 90'000),
                   .step_time = test::draw(random, 0, 3000)};
  layer.parameters = test::draw(random, 100, 4000);
  layer.backward_time = layer.forward_time + layer.forward_time;
  const linear_cost saved = amount(random, vision ? 300 : 0, vision ? 0 : 4);
  linear_cost little = saved;
  little.constant /= 4;
  little.per_tile /= 4;
  little.per_token /= 4;
  layer.modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = saved},
                 {.name = "full",
                  .kind = recompute_kind::full,
                  .extra_time = layer.forward_time,
                  .saved_bytes = little,
                  .transient_bytes = saved}};
  return layer;
}

struct drawn_run {
  std::vector<vision_language_sample> samples = {};
  std::vector<layer_cost> chain = {};
  run_problem problem = {};
};

/// How many times as many runs to draw: OMNIBAL_TEST_TIMES of the environment, else 1.
std::uint64_t times() {
  const char* given = std::getenv("OMNIBAL_TEST_TIMES");
  return given == nullptr ? 1 : std::max<std::uint64_t>(1, std::strtoull(given, nullptr, 10));
}

drawn_run draw_run(std::uint64_t seed) {
  random_stream random(seed, 77);
  drawn_run run;
  const std::int64_t kind = test::draw(random, 0, 4);
  const std::int64_t count = test::draw(random, 5, 60);
  for (std::int64_t k = 0; k < count; ++k) {
    const bool text = kind == 0 ? test::draw(random, 0, 9) > 0 : kind == 1;
    const std::int64_t tiles = text ? 0 : test::draw(random, 1, 6);
    const bool is_long = kind == 2 && test::draw(random, 0, 30) == 0;
    const std::int64_t tokens = kind == 3 ? 500 : test::draw(random, 20, is_long ? 4000 : 400);
    run.samples.push_back({tiles, 60 * tiles + tokens});
  }
  const std::int64_t vision = test::draw(random, 0, 4);
  const std::int64_t layers = test::draw(random, 4, 10);
  for (std::int64_t l = 0; l < layers; ++l) run.chain.push_back(drawn_layer(random, l < vision));
  run.problem = {.stages = static_cast<std::size_t>(test::draw(random, 1, 4)),
                 .data_parallel = static_cast<std::size_t>(test::draw(random, 1, 6)),
                 .global_batch = test::draw(random, 1, 40),
                 .memory = {.limit = test::draw(random, 60'000, 700'000), .reserved = 1000},
                 .seed = seed};
  if (test::draw(random, 0, 4) > 0) {
    loads<2> capacity = {1, 1};
    for (const auto& sample : run.samples)
      for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
    for (std::int64_t& one : capacity) one *= test::draw(random, 1, 3);
    run.problem.capacity = capacity;
  }
  random_stream ends(seed, 78);
  for (layer_cost& layer : run.chain) {
    layer.reduction_time = test::draw(ends, 0, layer.step_time / 2);
    layer.gather_time = test::draw(ends, 0, layer.step_time / 3);
  }
  run.problem.overlap = {.reduction = test::draw(ends, 0, 1) == 1,
                         .gather = test::draw(ends, 0, 1) == 1};
  run.problem.samples = run.samples;
  run.problem.chain = run.chain;
  return run;
}

bool has_batch(const run_strategy& strategy, const run_problem& problem) {
  const auto wanted = static_cast<double>(problem.global_batch);
  const double mean = strategy.data.mean_samples_per_step;
  return std::abs(mean - wanted) <= problem.batch_tolerance * wanted + 1e-9;
}

/// Whether its memory is enough for any micro-batches that fill the largest one, as is promised of
/// plans.
bool keeps_memory(const run_problem& problem, const run_strategy& strategy) {
  run_strategy measured = strategy;
  const workload largest = strategy.data.load.largest();
  measured.capacity = loads<2>{largest.tiles, largest.tokens};
  const pipeline_problem numbers = planning_problem(problem, measured);
  const std::vector<std::int64_t> peaks = peak_memory(numbers, stage_costs(numbers, strategy.plan));
  return std::ranges::all_of(peaks,
                             [&](std::int64_t peak) { return peak <= problem.memory.limit; });
}

bool keeps_capacity(const run_problem& problem, const run_strategy& strategy) {
  const workload largest = strategy.data.load.largest();
  return !problem.capacity ||
         (largest.tiles <= (*problem.capacity)[0] && largest.tokens <= (*problem.capacity)[1]);
}

void check(const drawn_run& run) {
  const run_problem& problem = run.problem;
  const run_result plan = plan_run(problem);
  const run_strategy& planned = plan.planned;
  if (planned.status == search_status::infeasible) {
    if (planned.why.reason == infeasibility::cause::global_batch) {
      // Steps of one sample per rank are the smallest, and one of all samples is the largest.
      const std::size_t least = std::min(problem.data_parallel, problem.samples.size());
      const auto nearest = static_cast<std::size_t>(planned.why.nearest_batch);
      CHECK(nearest >= least);
      CHECK(nearest <= problem.samples.size());
      run_problem possible = problem;
      possible.global_batch = planned.why.nearest_batch;
      CHECK(plan_run(possible).planned.why.reason != infeasibility::cause::global_batch);
      return;
    }
    for (const run_strategy* other : {&plan.naive, &plan.unbalanced, &plan.published})
      CHECK_FALSE((other->keeps_constraints && other->status != search_status::infeasible &&
                   other->fits && has_batch(*other, problem) && keeps_memory(problem, *other) &&
                   keeps_capacity(problem, *other)));
    return;
  }
  CHECK(has_batch(planned, problem));
  CHECK(keeps_capacity(problem, planned));
  CHECK(planned.fits);
  CHECK(plan.bound <= planned.epoch.time);
  for (const run_strategy* other : {&plan.naive, &plan.unbalanced, &plan.published}) {
    if (other->status == search_status::infeasible || !other->fits) continue;
    CHECK(plan.bound <= other->epoch.time);
    if (other->keeps_constraints && has_batch(*other, problem) && keeps_memory(problem, *other) &&
        keeps_capacity(problem, *other))
      CHECK(planned.epoch.time <= other->epoch.time);
  }
  // Rows of the ablation with plans that the memory was considered for.
  for (const ablation_row& row : plan.ablation)
    if (row.fits && row.keeps_constraints && (row.name == "+ recomputation" || row.name == "joint"))
      CHECK(planned.epoch.time <= row.epoch_time);
  const evaluated_run again = evaluate_run(problem, planned.data.packing.packs,
                                           planned.data.dispatch, *planned.capacity, planned.plan);
  CHECK(again.strategy.fits);
  CHECK(again.strategy.epoch.time == planned.epoch.time);
  CHECK(again.strategy.epoch.peak_memory == planned.epoch.peak_memory);
}

/// The same with layers that share a stage or not, and stages of vision layers.
drawn_run draw_constrained_run(std::uint64_t seed) {
  drawn_run run = draw_run(seed);
  random_stream random(seed, 78);
  const auto last = static_cast<std::int64_t>(run.chain.size()) - 1;
  const auto pair = [&] {
    const std::int64_t first = test::draw(random, 0, last - 1);
    return layer_pair{static_cast<std::size_t>(first),
                      static_cast<std::size_t>(test::draw(random, first + 1, last))};
  };
  if (test::draw(random, 0, 2) == 0) run.problem.together.push_back(pair());
  if (test::draw(random, 0, 2) == 0) run.problem.apart.push_back(pair());
  if (test::draw(random, 0, 1) == 0) {
    const std::int64_t tower = test::draw(random, 1, 3);
    for (std::int64_t l = 0; l < tower; ++l)
      run.chain[static_cast<std::size_t>(l)].kind = layer_kind::vision;
    reserve_vision_stages(run.problem, static_cast<std::size_t>(test::draw(random, 1, 3)));
  }
  return run;
}

void check_constraints(const drawn_run& run) {
  const run_problem& problem = run.problem;
  const run_result plan = plan_run(problem);
  pipeline_problem layers{
      .schedule = {.kind = problem.schedule, .stages = problem.stages, .microbatches = 1},
      .together = problem.together,
      .apart = problem.apart,
      .fixed_cuts = problem.fixed_cuts};
  layers.layers.resize(problem.chain.size());
  const bool possible = impossible_partition(layers).reason == infeasibility::cause::none;
  if (plan.planned.why.reason == infeasibility::cause::rules) CHECK_FALSE(possible);
  if (plan.planned.status == search_status::infeasible) return;
  CHECK(possible);
  CHECK(plan.planned.keeps_constraints);
  CHECK_NOTHROW(validate(planning_problem(problem, plan.planned), plan.planned.plan));
  const partition_constraints constraints(layers);
  for (const run_strategy* other : {&plan.naive, &plan.unbalanced, &plan.published})
    if (other->status != search_status::infeasible)
      CHECK(other->keeps_constraints == constraints.allow(other->plan.cuts));
  for (const ablation_row& row : plan.ablation) {
    const bool as_unbalanced = row.name == "unbalanced" || row.name == "+ data";
    CHECK(row.keeps_constraints ==
          (!as_unbalanced || constraints.allow(plan.unbalanced.plan.cuts)));
  }
}

/// No cut moved by one layer makes the epoch of the same micro-batches shorter by more than 0.5 %.
void check_moved_cuts(const drawn_run& run) {
  const run_strategy planned = plan_run(run.problem).planned;
  if (planned.status == search_status::infeasible) return;
  const pipeline_problem numbers = planning_problem(run.problem, planned);
  for (std::size_t j = 1; j + 1 < planned.plan.cuts.size(); ++j)
    for (const bool up : {true, false}) {
      std::vector<std::size_t> cuts = planned.plan.cuts;
      if (up)
        ++cuts[j];
      else
        --cuts[j];
      if (cuts[j] == cuts[j - 1] || cuts[j] == cuts[j + 1]) continue;
      const auto moved = assign_modes(numbers, cuts);
      if (!moved) continue;
      const evaluated_run again = evaluate_run(run.problem, planned.data.packing.packs,
                                               planned.data.dispatch, *planned.capacity, *moved);
      CHECK(static_cast<double>(again.strategy.epoch.time) >=
            0.995 * static_cast<double>(planned.epoch.time));
    }
}

void check_more_memory(const drawn_run& run) {
  const run_result plan = plan_run(run.problem);
  if (plan.planned.status == search_status::infeasible) return;
  run_problem more = run.problem;
  more.memory.limit += more.memory.limit / 3;
  const run_result faster = plan_run(more);
  REQUIRE(faster.planned.status != search_status::infeasible);
  CHECK(static_cast<double>(faster.planned.epoch.time) <=
        1.005 * static_cast<double>(plan.planned.epoch.time));
}

}  // namespace

TEST_CASE(
    "Runs drawn at random keep the batch, are faster than the other strategies and evaluate the "
    "same") {
  for (std::uint64_t seed = 1; seed <= 30 * times(); ++seed) {
    CAPTURE(seed);
    check(draw_run(seed));
  }
}

TEST_CASE("Runs drawn at random keep the constraints on their stages") {
  for (std::uint64_t seed = 3001; seed <= 3000 + 10 * times(); ++seed) {
    CAPTURE(seed);
    const drawn_run run = draw_constrained_run(seed);
    check(run);
    check_constraints(run);
  }
}

TEST_CASE("Runs that may leave samples out lack what they lack with all samples, or have a plan") {
  int lacking = 0;
  for (std::uint64_t seed = 4001; seed <= 4000 + 20 * times(); ++seed) {
    CAPTURE(seed);
    drawn_run run = draw_run(seed);
    run.problem.capacity.reset();
    run.problem.memory.limit /= 2;
    const run_strategy all = plan_run(run.problem).planned;
    run.problem.oversize = oversize_policy::skip;
    const run_result some = plan_run(run.problem);
    if (all.status != search_status::infeasible) {
      CHECK(some.planned.epoch.time == all.epoch.time);
      CHECK(some.skipped.empty());
      continue;
    }
    if (some.planned.status != search_status::infeasible) {
      CHECK(has_batch(some.planned, run.problem));
      CHECK_FALSE(some.skipped.empty());
      continue;
    }
    ++lacking;
    CHECK(some.planned.why.reason == all.why.reason);
    CHECK(some.planned.why.bytes_short == all.why.bytes_short);
  }
  CHECK(lacking > 0);
}

TEST_CASE("No cut moved by one layer makes a run much faster") {
  for (std::uint64_t seed = 2001; seed <= 2000 + 12 * times(); ++seed) {
    CAPTURE(seed);
    check_moved_cuts(draw_run(seed));
  }
}

TEST_CASE("More memory makes no run slower") {
  for (std::uint64_t seed = 1001; seed <= 1000 + 6 * times(); ++seed) {
    CAPTURE(seed);
    check_more_memory(draw_run(seed));
  }
}
