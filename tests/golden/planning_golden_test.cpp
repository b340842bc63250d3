// SPDX-License-Identifier: Apache-2.0
// Golden hashes of pipelines, partitions, recomputation and plans; golden_table.hpp says how to
// record them again.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/baselines/planners.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/partition/chain.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/planner/advice.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/recompute/exact.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/microbatch_order_search.hpp>
#include <omnibal/run/plan_run.hpp>

#include "golden/golden_table.hpp"
#include "planning_problems.hpp"

using namespace omnibal;
using test::digits;
using test::draw;
using test::each;
using test::golden_hashes;

namespace {

constexpr auto kinds =
    std::to_array<any_schedule>({schedules::gpipe{}, schedules::one_forward_one_backward{},
                                 schedules::interleaved{}, schedules::zero_bubble_h1{}});

/// In the list above, whose order is part of the record.
std::ptrdiff_t position_of(any_schedule kind) {
  return std::ranges::find(kinds, kind) - kinds.begin();
}

/// Those of hashes over several objectives: one that is added leaves them as they are, and has
/// lines of its own among the joint plans.
constexpr auto objectives_together = std::to_array<any_objective>(
    {objectives::bottleneck{}, objectives::blocking_bottleneck{}, objectives::closed_form{},
     objectives::period{}, objectives::makespan{}, objectives::variance{}});

std::string name_of(any_schedule kind) { return std::string(kind.name()); }

schedule_shape shape_of(any_schedule kind, std::size_t stages, std::size_t microbatches) {
  const bool interleaved = kind == schedules::interleaved{};
  return {.kind = kind,
          .stages = stages,
          .virtual_stages = interleaved ? 2U : 1U,
          .microbatches = interleaved ? microbatches * stages : microbatches};
}

/// As test::random_problem, in a shape that the schedule can run.
pipeline_problem some_problem(random_stream& random, any_schedule kind, std::size_t most_layers) {
  pipeline_problem problem = test::random_problem(random, kind, most_layers);
  if (kind != schedules::interleaved{}) return problem;
  problem.schedule.virtual_stages = 2;
  problem.schedule.microbatches = problem.schedule.stages * (1 + problem.schedule.microbatches % 2);
  return problem;
}

/// The hash of what `answer` makes of each of `count` random problems.
template <typename Answer>
std::uint64_t over_problems(any_schedule kind, std::uint64_t seed, int count,
                            const Answer& answer) {
  random_stream random(seed);
  hash_stream hash;
  for (int k = 0; k < count; ++k)
    add_to_hash(hash, answer(some_problem(random, kind, kind == schedules::interleaved{} ? 7 : 9)));
  return hash.value();
}

std::uint64_t hash_of(const rational& one) { return plan_hash(one.numerator, one.denominator); }

std::uint64_t hash_of(const pipeline_plan& one) { return plan_hash(one.cuts, one.modes); }

std::uint64_t hash_of(const infeasibility& one) {
  return plan_hash(one.reason, one.binding_stage, one.bytes_short);
}

std::uint64_t hash_of(const joint_result& one) {
  return plan_hash(one.status, hash_of(one.objective), hash_of(one.bound), hash_of(one.plan),
                   hash_of(one.why));
}

std::uint64_t hash_of(const evaluated_plan& one) {
  return plan_hash(one.name, one.fits, hash_of(one.plan), one.makespan, one.bytes_over);
}

std::uint64_t hash_of(const pipeline_operation& one) {
  return plan_hash(one.kind, one.stage, one.microbatch);
}

std::uint64_t hash_of(const recompute_result& one) {
  return plan_hash(one.status, one.objective, one.bound, one.bytes_short, one.modes);
}

std::uint64_t hash_of(const anchored_partition& one) {
  return plan_hash(one.cuts, static_cast<std::int64_t>(one.sum_of_squares), one.latency);
}

std::uint64_t hash_of(const linear_cost& one) {
  return plan_hash(one.constant, one.per_tile, one.per_token, one.per_squared_token);
}

std::vector<std::int64_t> some_weights(random_stream& random, std::size_t count) {
  std::vector<std::int64_t> weights(count);
  for (std::int64_t& weight : weights) weight = draw(random, 0, 99);
  return weights;
}

stage_times<std::int64_t> some_times(random_stream& random, const schedule_shape& shape) {
  const std::size_t stages = shape.total_stages();
  return {.forward = some_weights(random, stages),
          .backward = some_weights(random, stages),
          .weight_gradient = some_weights(random, stages),
          .forward_latency = some_weights(random, stages - 1),
          .backward_latency = some_weights(random, stages - 1),
          .microbatch_scale = some_weights(random, shape.microbatches)};
}

std::vector<scenario> some_scenarios(random_stream& random, const pipeline_problem& problem) {
  const auto table = [&](std::int64_t most) {
    std::vector<std::vector<std::int64_t>> rows(problem.layers.size());
    for (auto& row : rows)
      for (std::size_t m = 0; m < problem.schedule.microbatches; ++m)
        row.push_back(draw(random, 0, most));
    return rows;
  };
  std::vector<scenario> scenarios(4);
  for (scenario& one : scenarios) one = {.forward = table(40), .backward = table(80)};
  return scenarios;
}

// ---- runs ---------------------------------------------------------------------------------------

constexpr std::int64_t gibibyte = std::int64_t{1} << 30;

std::vector<vision_language_sample> some_samples(std::size_t count) {
  random_stream random(71);
  std::vector<vision_language_sample> samples;
  for (std::size_t k = 0; k < count; ++k) {
    const std::int64_t tiles = draw(random, 0, 4) == 0 ? 0 : draw(random, 1, 9);
    samples.push_back({tiles, 256 * tiles + draw(random, 30, 900)});
  }
  return samples;
}

run_problem some_run(std::span<const vision_language_sample> samples,
                     std::span<const layer_cost> chain) {
  return {.samples = samples,
          .chain = chain,
          .stages = 4,
          .data_parallel = 2,
          .global_batch = 64,
          .memory = {.limit = 40 * gibibyte, .reserved = 6 * gibibyte, .margin = 0.05},
          .capacity = loads<2>{12, 4096}};
}

std::vector<layer_cost> some_chain(const training_setup& setup = {.tensor_parallel = 2,
                                                                  .data_parallel = 2}) {
  return cost_layers(model_presets()[3], device_presets()[0], setup);
}

std::uint64_t hash_of(const batch_plan& one) {
  return plan_hash(one.packing.packs, one.packing.bound, one.dispatch.groups, one.dispatch.dropped,
                   one.load.assignment, one.microbatches_per_rank, one.least_samples_per_step,
                   one.most_samples_per_step, digits(one.mean_samples_per_step),
                   digits(one.pad_ratio), digits(one.dist_ratio[0]), digits(one.dist_ratio[1]),
                   digits(one.cost_ratio));
}

std::uint64_t hash_of(const run_strategy& one) {
  return plan_hash(
      one.status, position_of(one.schedule.kind), one.schedule.stages, one.schedule.virtual_stages,
      one.schedule.microbatches, one.capacity.value_or(loads<2>{}), hash_of(one.data),
      hash_of(one.plan), one.epoch.steps, one.epoch.time, one.epoch.peak_memory,
      digits(one.epoch.bubble_ratio), one.time_as_assigned, one.fits, hash_of(one.why));
}

/// One hash of each column, so that a change says in which it is.
void add_run(golden_hashes& golden, const std::string& name, const run_result& plan) {
  golden.add(name + ", unbalanced", hash_of(plan.unbalanced));
  golden.add(name + ", paper", hash_of(plan.published));
  golden.add(name + ", planned", hash_of(plan.planned));
  golden.add(name + ", bound and ablation",
             plan_hash(plan.bound, each(plan.ablation, [](const ablation_row& row) {
                         return plan_hash(row.name, row.fits, row.epoch_time);
                       })));
}

std::uint64_t hash_of(const capacity_search_result& one) {
  return plan_hash(one.best, each(one.candidates, [](const capacity_candidate& candidate) {
                     return plan_hash(
                         candidate.capacity, candidate.capacity_ratio, candidate.outcome.fits,
                         digits(candidate.outcome.time_per_sample),
                         digits(candidate.outcome.samples_per_step),
                         digits(candidate.outcome.packs_over_bound), candidate.passed_over);
                   }));
}

/// Layers named as in a chain with costs.
pipeline_problem named_problem(random_stream& random, const schedule_shape& shape) {
  pipeline_problem problem{.schedule = shape};
  const auto add = [&](const std::string& name) {
    pipeline_layer one = test::random_layer(random, 0);
    one.name = name;
    one.kind = layer_kind_named(name);
    const std::int64_t kept = draw(random, 10, 60);
    one.modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = kept},
                 {.name = "selective",
                  .kind = recompute_kind::selective,
                  .extra_time = one.forward_time / 10,
                  .saved_bytes = kept / 2,
                  .transient_bytes = kept / 2},
                 {.name = "full",
                  .kind = recompute_kind::full,
                  .extra_time = one.forward_time,
                  .saved_bytes = kept / 8,
                  .transient_bytes = kept}};
    problem.layers.push_back(one);
  };
  for (int k = 0; k < 5; ++k) add("vision" + std::to_string(k));
  add("projector");
  add("embedding");
  for (int k = 0; k < 9; ++k) add("language" + std::to_string(k));
  add("head");
  problem.memory_limit.assign(shape.stages, 900);
  return problem;
}

}  // namespace

TEST_CASE("Golden hashes of schedules") {
  golden_hashes golden;
  random_stream random(51);
  for (const any_schedule kind : kinds) {
    const schedule_shape shape = shape_of(kind, 4, kind == schedules::interleaved{} ? 3 : 9);
    const auto orders = device_orders(shape);
    golden.add(
        name_of(kind) + ", orders", plan_hash(each(orders, [](const auto& order) {
          return plan_hash(each(order, [](const pipeline_operation& one) { return hash_of(one); }));
        })));
    const operation_graph graph(shape);
    std::vector<std::int64_t> ends;
    const auto times = some_times(random, shape);
    const simulation<std::int64_t> run = simulate(graph, times, ends);
    golden.add(name_of(kind) + ", simulated",
               plan_hash(run.makespan, run.busy, run.end, ends, digits(run.bubble_ratio())));
    const auto kept = some_weights(random, shape.total_stages());
    const auto peaks = each(orders, [&](const auto& order) {
      const device_peak peak = peak_activation(order, [&](const pipeline_operation& work) {
        const std::int64_t bytes = kept[work.stage];
        return activation_bytes{
            .saved = bytes, .transient = bytes / 4, .saved_for_weight_gradient = bytes / 2};
      });
      return plan_hash(peak.bytes, peak.in_flight);
    });
    golden.add(name_of(kind) + ", peaks", plan_hash(peaks));
  }
  golden.expect({
      {"1f1b, orders", 0x5941f5df98c0324a},
      {"1f1b, peaks", 0x24c94a4a00869fe1},
      {"1f1b, simulated", 0x839891757a07057e},
      {"gpipe, orders", 0x3340ff27f3c90d7f},
      {"gpipe, peaks", 0x697ff00753e2ba2e},
      {"gpipe, simulated", 0x8d015a6189666ee2},
      {"interleaved, orders", 0xbaf7901d159c2cab},
      {"interleaved, peaks", 0x061c5eec5118384e},
      {"interleaved, simulated", 0xbc35a5aebe810402},
      {"zbh1, orders", 0x7780f02cf31246cd},
      {"zbh1, peaks", 0xafe6b0643280730f},
      {"zbh1, simulated", 0x34f2c2a4390a5c89},
  });
}

TEST_CASE("Golden hashes of evaluated plans") {
  golden_hashes golden;
  for (const any_schedule kind : kinds)
    golden.add(name_of(kind), over_problems(kind, 52, 40, [](pipeline_problem problem) {
                 problem.memory_limit.clear();
                 problem.reserved.clear();
                 const joint_result found = plan_jointly(problem, objectives::bottleneck{});
                 if (found.plan.cuts.empty()) return hash_of(found.why);
                 const auto stages = stage_costs(problem, found.plan);
                 const auto costs = each(stages, [](const stage_cost& one) {
                   return plan_hash(one.layers.begin, one.layers.end, one.forward_time,
                                    one.backward_time, one.weight_gradient_time, one.static_bytes,
                                    one.latency(), one.activation.saved, one.activation.transient);
                 });
                 const auto values = each(objectives_together, [&](const any_objective& objective) {
                   return hash_of(objective_of(problem, found.plan, objective));
                 });
                 return plan_hash(costs, values, peak_memory(problem, stages));
               }));
  const std::vector<layer_training> training = {
      {.trainable = false}, {.trainable = false}, {}, {.trainable = false}, {}};
  random_stream random(53);
  std::vector<pipeline_layer> layers;
  for (std::size_t k = 0; k < training.size(); ++k) layers.push_back(test::random_layer(random, 2));
  leave_out_gradients(layers, gradients_of(training));
  golden.add("frozen layers", plan_hash(each(layers, [](const pipeline_layer& one) {
               return plan_hash(one.backward_time, one.weight_gradient_time, one.backward_latency,
                                one.modes[1].saved_bytes, one.modes[1].saved_for_weight_gradient);
             })));
  golden.expect({
      {"1f1b", 0xa84774da55e46745},
      {"frozen layers", 0xc114e4931b12e551},
      {"gpipe", 0x818f7905d0395821},
      {"interleaved", 0x0b5559f83c3176d3},
      {"zbh1", 0xe5d96f2c212f57fa},
  });
}

TEST_CASE("Golden hashes of partitions") {
  golden_hashes golden;
  random_stream random(54);
  const auto weights = some_weights(random, 60);
  const auto latencies = some_weights(random, 60);
  for (const std::size_t parts : {1U, 4U, 16U, 61U}) {
    const auto chain = partition_chain(weights, parts);
    golden.add("chain into " + std::to_string(parts),
               plan_hash(chain.status, chain.objective, chain.bound, chain.cuts));
    if (parts > weights.size()) continue;
    golden.add("even into " + std::to_string(parts), plan_hash(partition_evenly(weights, parts)));
    golden.add("anchored into " + std::to_string(parts),
               plan_hash(each(anchored_partitions(weights, latencies, parts, {.radius = 3}),
                              [](const anchored_partition& one) { return hash_of(one); })));
  }
  golden.expect({
      {"anchored into 1", 0x53972e677842744e},
      {"anchored into 16", 0x3d7e7f1833102fee},
      {"anchored into 4", 0xe08923e0833b6998},
      {"chain into 1", 0x45174b63cb8e2250},
      {"chain into 16", 0xfa31a63105908fe5},
      {"chain into 4", 0x9ddb09fef60f3f89},
      {"chain into 61", 0x1f1f813f71a47cab},
      {"even into 1", 0x00c3f2ff35131ddc},
      {"even into 16", 0xd898dd4c6b8f9e10},
      {"even into 4", 0xd697d5c3065db17f},
  });
}

TEST_CASE("Golden hashes of recomputation") {
  golden_hashes golden;
  random_stream random(55);
  std::vector<pipeline_layer> layers;
  while (layers.size() < 24)
    layers.push_back(layers.size() % 3 == 1 ? layers.back() : test::random_layer(random, 3));
  recompute_chooser chooser(layers);
  for (const std::int64_t in_flight : {1, 4}) {
    const std::int64_t least = chooser.least_bytes(0, layers.size(), in_flight);
    for (const std::int64_t more : {-1, 0, 30, 200, 5000}) {
      const std::string name =
          std::to_string(in_flight) + " in flight, " + std::to_string(more) + " bytes more";
      golden.add(name, hash_of(chooser.choose(0, layers.size(), in_flight, least + more)));
      golden.add(name + ", adaptive",
                 hash_of(choose_recomputation_adaptively(layers, in_flight, least + more)));
    }
  }
  golden.add(
      "limit of points",
      hash_of(recompute_chooser(layers, {.point_limit = 3}).choose(0, layers.size(), 2, 900)));
  golden.expect({
      {"1 in flight, -1 bytes more", 0xcb295373b0424f00},
      {"1 in flight, -1 bytes more, adaptive", 0xcb295373b0424f00},
      {"1 in flight, 0 bytes more", 0x3b40ac7d3429ff1b},
      {"1 in flight, 0 bytes more, adaptive", 0xa2a11feb5ec933b0},
      {"1 in flight, 200 bytes more", 0x08f9ad816ccceb89},
      {"1 in flight, 200 bytes more, adaptive", 0xfde5dc4f699e7b90},
      {"1 in flight, 30 bytes more", 0xca5db94e002a977e},
      {"1 in flight, 30 bytes more, adaptive", 0x8753b30d0758c8e2},
      {"1 in flight, 5000 bytes more", 0x8efbe048699692b6},
      {"1 in flight, 5000 bytes more, adaptive", 0xe3c92c9e713fac0a},
      {"4 in flight, -1 bytes more", 0xcb295373b0424f00},
      {"4 in flight, -1 bytes more, adaptive", 0xcb295373b0424f00},
      {"4 in flight, 0 bytes more", 0x3b40ac7d3429ff1b},
      {"4 in flight, 0 bytes more, adaptive", 0xa2a11feb5ec933b0},
      {"4 in flight, 200 bytes more", 0x5a582ff975047326},
      {"4 in flight, 200 bytes more, adaptive", 0x2e42b163d36a7246},
      {"4 in flight, 30 bytes more", 0xcb9265927262ea81},
      {"4 in flight, 30 bytes more, adaptive", 0xf44a7a4b592be1e4},
      {"4 in flight, 5000 bytes more", 0x8efbe048699692b6},
      {"4 in flight, 5000 bytes more, adaptive", 0xe3c92c9e713fac0a},
      {"limit of points", 0x878aa6ce7a983170},
  });
}

TEST_CASE("Golden hashes of joint plans") {
  golden_hashes golden;
  for (const any_schedule kind : kinds)
    for (const any_objective& objective : all_objectives)
      golden.add(name_of(kind) + ", " + std::string(objective.name()),
                 over_problems(kind, 56, 300, [&](const pipeline_problem& problem) {
                   return hash_of(plan_jointly(problem, objective));
                 }));
  golden.expect({
      {"1f1b, blocking_bottleneck", 0x68eb95fae022c324},
      {"1f1b, bottleneck", 0xa76e5af0e55163f3},
      {"1f1b, closed_form", 0xabe6dcd0af6c66ce},
      {"1f1b, makespan", 0xf4603681c6da92a9},
      {"1f1b, period", 0x359e2b9d3b21b077},
      {"1f1b, variance", 0x1e2b6cf58dd94bee},
      {"gpipe, blocking_bottleneck", 0x3f008a7a515cc359},
      {"gpipe, bottleneck", 0xd1587961bb7e8fe8},
      {"gpipe, closed_form", 0x0027fea6f140de21},
      {"gpipe, makespan", 0x7e1cf815cfd3855e},
      {"gpipe, period", 0x65d620f9d97c0654},
      {"gpipe, variance", 0x4d4a4e7d6a15714b},
      {"interleaved, blocking_bottleneck", 0xfb68c2300ffb54d8},
      {"interleaved, bottleneck", 0x18cbdbad9e829f6b},
      {"interleaved, closed_form", 0xf1c0fd268d987221},
      {"interleaved, makespan", 0xae0e0260b76f4217},
      {"interleaved, period", 0x0119534fe3c928eb},
      {"interleaved, variance", 0x32346f1bea08fe26},
      {"zbh1, blocking_bottleneck", 0x1745c6a113b8b59f},
      {"zbh1, bottleneck", 0xfe9976cfa33f8e64},
      {"zbh1, closed_form", 0x983c5ccd4ac6ede6},
      {"zbh1, makespan", 0xc33c4554cd69dcb0},
      {"zbh1, period", 0x87f735dd54d73cdf},
      {"zbh1, variance", 0xd7e18b892349f71b},
  });
}

TEST_CASE("Golden hashes of plans with rules, ties and unequal devices") {
  golden_hashes golden;
  for (const any_schedule kind : kinds)
    golden.add(name_of(kind), over_problems(kind, 57, 200, [](pipeline_problem problem) {
                 const std::size_t last = problem.layers.size() - 1;
                 problem.memory_margin = 3;
                 for (std::size_t d = 0; d < problem.schedule.stages; ++d)
                   problem.time_factor.push_back({static_cast<std::int64_t>(2 + d % 2), 2});
                 if (last > 2) {
                   problem.tied = {{0, last}};
                   problem.together = {{0, 1}};
                   problem.apart = {{1, 2}};
                 }
                 const auto plans = each(objectives_together, [&](const any_objective& objective) {
                   return hash_of(plan_jointly(problem, objective));
                 });
                 return plan_hash(plans);
               }));
  golden.expect({
      {"1f1b", 0xb2455c2ca99093c9},
      {"gpipe", 0xe82a2e9a3e8b75a8},
      {"interleaved", 0xd85a1a932c29ea0f},
      {"zbh1", 0x290b43390e2e9b35},
  });
}

TEST_CASE("Golden hashes of plans over scenarios") {
  golden_hashes golden;
  using kind = makespan_measure::kind;
  constexpr std::array measures = {makespan_measure{.of = kind::mean},
                                   makespan_measure{.of = kind::worst},
                                   makespan_measure{.of = kind::cvar, .alpha = {1, 2}}};
  constexpr std::array names = {"mean", "worst", "cvar"};
  for (const any_schedule schedule : kinds)
    for (std::size_t m = 0; m < measures.size(); ++m) {
      random_stream random(58);
      golden.add(name_of(schedule) + ", " + names[m],
                 over_problems(schedule, 59, 60, [&](const pipeline_problem& problem) {
                   const auto scenarios = some_scenarios(random, problem);
                   const joint_result found = plan_jointly(problem, scenarios, measures[m]);
                   if (found.plan.cuts.empty()) return hash_of(found);
                   return plan_hash(hash_of(found),
                                    scenario_makespans(problem, scenarios, found.plan));
                 }));
    }
  golden.expect({
      {"1f1b, cvar", 0x0983163dcf1ad2a8},
      {"1f1b, mean", 0x07f1e915931e98dd},
      {"1f1b, worst", 0x1d13248f37ffb7d3},
      {"gpipe, cvar", 0xa8f7175d5458d1fe},
      {"gpipe, mean", 0xb3c3c0af0f482d06},
      {"gpipe, worst", 0xeaa2bdc0101960b3},
      {"interleaved, cvar", 0x4dcb4f25d4f1de0e},
      {"interleaved, mean", 0xaa76a3dc97d575f7},
      {"interleaved, worst", 0x28714fa129323176},
      {"zbh1, cvar", 0xc54c4a73715812c0},
      {"zbh1, mean", 0xa53ec4540d1e97d8},
      {"zbh1, worst", 0xc5bfc9bc23235213},
  });
}

TEST_CASE("Golden hashes of baselines and advice") {
  golden_hashes golden;
  for (const any_schedule kind : std::initializer_list<any_schedule>{
           schedules::gpipe{}, schedules::one_forward_one_backward{}}) {
    golden.add(name_of(kind) + ", paper", over_problems(kind, 60, 60, [](const auto& problem) {
                 return hash_of(plan_by_paper(problem).value_or(pipeline_plan{}));
               }));
    golden.add(name_of(kind) + ", least variance",
               over_problems(kind, 61, 40, [](const auto& problem) {
                 return plan_hash(each(least_variance_partitions(problem, 5),
                                       [](const anchored_partition& one) { return hash_of(one); }));
               }));
    golden.add(name_of(kind) + ", baselines", over_problems(kind, 62, 40, [](const auto& problem) {
                 std::vector<std::int64_t> parameters;
                 for (const pipeline_layer& one : problem.layers)
                   parameters.push_back(1 + one.static_bytes);
                 return plan_hash(each(plan_baselines(problem, parameters),
                                       [](const evaluated_plan& one) { return hash_of(one); }));
               }));
  }
  for (const any_schedule kind : kinds)
    golden.add(name_of(kind) + ", advice", over_problems(kind, 63, 200, [](const auto& problem) {
                 const joint_result found = plan_jointly(problem, objectives::bottleneck{});
                 if (found.why.reason != infeasibility::cause::memory) return std::uint64_t{0};
                 const fit_advice advice = advise(problem, found.why);
                 return plan_hash(advice.bytes, advice.microbatches.value_or(0),
                                  advice.stages.value_or(0), advice.layer.value_or(99));
               }));
  golden.expect({
      {"1f1b, advice", 0x97cc147faf64d7dd},
      {"1f1b, baselines", 0x44db1b303d44ae14},
      {"1f1b, least variance", 0x2ed6baf082e6f9ee},
      {"1f1b, paper", 0x32d63271dae355d8},
      {"gpipe, advice", 0xaf9070d645a1b26c},
      {"gpipe, baselines", 0xa4bb39ad26037ea4},
      {"gpipe, least variance", 0x18aaf15c7ec8d407},
      {"gpipe, paper", 0xff0c10a79cdaa56a},
      {"interleaved, advice", 0xeb064ab700369892},
      {"zbh1, advice", 0x7408c378bbc9ef08},
  });
}

TEST_CASE("Golden hashes of orders of micro-batches") {
  golden_hashes golden;
  for (const any_schedule kind : kinds)
    for (const std::size_t microbatches : {4U, 12U}) {
      random_stream random(64);
      schedule_shape shape = shape_of(kind, 4, microbatches);
      if (kind == schedules::interleaved{}) shape.microbatches = microbatches;
      const auto times = some_times(random, shape);
      const auto step_times = some_weights(random, 4);
      const microbatch_order_result found =
          search_microbatch_order(operation_graph(shape), times, microbatches, step_times);
      golden.add(name_of(kind) + ", " + std::to_string(microbatches),
                 plan_hash(found.status, found.order, found.objective, found.bound, found.given));
    }
  golden.expect({
      {"1f1b, 12", 0x84289eef115b3de6},
      {"1f1b, 4", 0x8fc1f1ccbbbc3174},
      {"gpipe, 12", 0xbfb3a9ee880f3c67},
      {"gpipe, 4", 0xea84e2cb3663f946},
      {"interleaved, 12", 0x800c562a6f7d029e},
      {"interleaved, 4", 0x46819966705f72d8},
      {"zbh1, 12", 0xbcfd8a35bed1df24},
      {"zbh1, 4", 0x84cb9ef5de2fdbca},
  });
}

TEST_CASE("Golden hashes of Megatron-LM's layout") {
  golden_hashes golden;
  random_stream random(65);
  for (const any_schedule kind : kinds) {
    const pipeline_problem problem = named_problem(random, shape_of(kind, 4, 3));
    const joint_result found = plan_jointly(problem, objectives::bottleneck{});
    REQUIRE(!found.plan.cuts.empty());
    const megatron_layout layout = to_megatron_layout(problem, found.plan);
    const auto text = [](const std::string& one) { return plan_hash(one); };
    golden.add(name_of(kind), plan_hash(layout.layout, layout.vision_layers,
                                        layout.recomputed_layers, hash_of(layout.evaluated),
                                        each(layout.arguments, text), each(layout.warnings, text)));
  }
  golden.expect({
      {"1f1b", 0x5e1f0b9e694a7200},
      {"gpipe", 0xa6741d6a192608c8},
      {"interleaved", 0x55356cc889ab6cbb},
      {"zbh1", 0xeaede207e51ec56a},
  });
}

TEST_CASE("Golden hashes of chains as stages") {
  golden_hashes golden;
  const auto chain = some_chain();
  for (const any_schedule kind : kinds) {
    const auto under = chain_under(kind, chain);
    const workload work{.tiles = 10, .tokens = 4096, .squared_tokens = 9'000'000};
    const pipeline_problem problem = problem_of(under, shape_of(kind, 4, 8), work, work,
                                                {.limit = 60 * gibibyte, .margin = 0.1});
    const joint_result found = plan_jointly(problem, objectives::closed_form{});
    REQUIRE(!found.plan.cuts.empty());
    const auto stages = each(stage_models(under, found.plan), [](const stage_model& one) {
      return plan_hash(hash_of(one.forward_time), hash_of(one.backward_time),
                       hash_of(one.weight_gradient_time), hash_of(one.saved_bytes), one.step_time);
    });
    golden.add(name_of(kind), plan_hash(hash_of(found), stages));
  }
  golden.add("necessary time", hash_of(necessary_time(chain)));
  golden.expect({
      {"1f1b", 0x379484e74dd2f550},
      {"gpipe", 0xcca94286e3f79a20},
      {"interleaved", 0x79b8f9d9bf1bf1c4},
      {"necessary time", 0xc75015df0f376ca5},
      {"zbh1", 0x75350cb4f175f12e},
  });
}

TEST_CASE("Golden hashes of runs") {
  golden_hashes golden;
  const auto samples = some_samples(400);
  const auto chain = some_chain();
  for (const any_schedule kind : kinds) {
    run_problem problem = some_run(samples, chain);
    problem.schedule = kind;
    if (kind == schedules::interleaved{}) problem.virtual_stages = 2;
    add_run(golden, name_of(kind), plan_run(problem));
  }
  const auto frozen = some_chain({.tensor_parallel = 2, .freeze = frozen_part::vision});
  add_run(golden, "vision frozen", plan_run(some_run(samples, frozen)));

  run_problem problem = some_run(samples, chain);
  problem.capacity.reset();
  const run_result searched = plan_run(problem);
  add_run(golden, "capacity searched for", searched);
  golden.add("capacities", hash_of(searched.capacities));
  const evaluated_run again =
      evaluate_run(problem, searched.planned.data.packing.packs, searched.planned.data.dispatch,
                   *searched.planned.capacity, searched.planned.plan);
  golden.add("evaluated", plan_hash(hash_of(again.strategy), again.bound));

  problem.memory.limit = 9 * gibibyte;
  problem.capacity = loads<2>{12, 4096};
  add_run(golden, "short of memory", plan_run(problem));
  golden.expect({
      {"1f1b, bound and ablation", 0x6ff144a2d26e0392},
      {"1f1b, paper", 0xa2643278411c24ef},
      {"1f1b, planned", 0xecdb11a7c1097cb7},
      {"1f1b, unbalanced", 0xfff81830f4dfe3e4},
      {"capacities", 0x73fd336a83639165},
      {"capacity searched for, bound and ablation", 0xf4e043ebc25fdd95},
      {"capacity searched for, paper", 0x708aadda08035a66},
      {"capacity searched for, planned", 0x57b4839f51f8a825},
      {"capacity searched for, unbalanced", 0xfff81830f4dfe3e4},
      {"evaluated", 0x3d79cee08f58dd8a},
      {"gpipe, bound and ablation", 0xc19b590399d2e401},
      {"gpipe, paper", 0x997cbd042a9c0c65},
      {"gpipe, planned", 0x67fb7631ed309a3e},
      {"gpipe, unbalanced", 0x8f26bae97d6b0229},
      {"interleaved, bound and ablation", 0xdab91cebdce37b17},
      {"interleaved, paper", 0xa2643278411c24ef},
      {"interleaved, planned", 0x3c58b57a954ebc40},
      {"interleaved, unbalanced", 0xc451bbcb2ee52700},
      {"short of memory, bound and ablation", 0x20dcad89aca6ad1e},
      {"short of memory, paper", 0x8dcb82508f416ef3},
      {"short of memory, planned", 0x9d5cb2a981509c44},
      {"short of memory, unbalanced", 0x3819c8b3ff30e85a},
      {"vision frozen, bound and ablation", 0x778d7c0b8e9e893a},
      {"vision frozen, paper", 0xe838b99b062cd26c},
      {"vision frozen, planned", 0x1ed336ac9510b403},
      {"vision frozen, unbalanced", 0x8963c4be884f9285},
      {"zbh1, bound and ablation", 0x276cc6660fb7574c},
      {"zbh1, paper", 0xa2643278411c24ef},
      {"zbh1, planned", 0x334bd8cb035bb334},
      {"zbh1, unbalanced", 0xac5046fd9cc0ce41},
  });
}

TEST_CASE("Golden hashes of cluster shapes") {
  golden_hashes golden;
  const auto samples = some_samples(200);
  const auto costs_of = [](const cluster_shape& shape) {
    return cost_layers(model_presets()[3], device_presets()[1],
                       {.tensor_parallel = shape.tensor_parallel,
                        .data_parallel = static_cast<std::int64_t>(shape.data_parallel)});
  };
  run_problem run = some_run(samples, {});
  run.memory.limit = 80 * gibibyte;
  for (const std::int64_t devices : {8, 12})
    golden.add(
        std::to_string(devices) + " devices",
        plan_hash(
            each(rank_shapes({.devices = devices, .layer_costs = costs_of, .run = run}).candidates,
                 [](const shape_candidate& one) {
                   return plan_hash(one.shape.data_parallel, one.shape.stages,
                                    one.shape.tensor_parallel, one.fits,
                                    digits(one.time_per_sample), one.bytes_short, one.passed_over);
                 })));
  golden.expect({
      {"12 devices", 0x7c03f9b8cb6cb803},
      {"8 devices", 0xa89351ff909894d1},
  });
}
