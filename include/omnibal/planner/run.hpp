// SPDX-License-Identifier: Apache-2.0
/// @file
/// The whole-run plan: real samples, a model and a cluster go in; capacities, packs, their dealing,
/// layer partition and recomputation come out, with the simulated time of every step of the epoch,
/// beside what a trainer without balance and what the paper's method would take, and beside what
/// nobody can beat.
///
/// All columns process the same samples once under the same simulator:
/// - unbalanced: random padded micro-batches, layers split evenly by parameters, full
/// recomputation;
/// - published: the paper's packing, its partition by anchor and radius (the best few tried out, as
///   the paper does), its adaptive recomputation;
/// - planned: ours;
/// - bound: the work nobody can avoid, spread evenly over all devices.
/// The steps between unbalanced and planned show what each kind of balance adds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search.hpp>
#include <omnibal/cost/transformer.hpp>
#include <omnibal/partition/anchor.hpp>
#include <omnibal/partition/even.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/planner/batches.hpp>
#include <omnibal/planner/capacity.hpp>
#include <omnibal/planner/epoch.hpp>
#include <omnibal/planner/joint.hpp>
#include <omnibal/planner/order_search.hpp>
#include <omnibal/planner/stage_model.hpp>
#include <omnibal/recompute/adaptive.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace omnibal::inline v0 {

struct run_problem {
  std::span<const vision_language_sample> samples = {};
  std::span<const layer_cost> chain = {};
  schedule_kind schedule = schedule_kind::one_forward_one_backward;
  std::size_t stages = 1;         ///< Pipeline-parallel devices of a rank.
  std::size_t data_parallel = 1;  ///< Ranks.
  std::int64_t global_batch = 1;  ///< Samples an optimizer step, in the mean.
  memory_setup memory = {};
  std::optional<loads<2>> capacity = {};  ///< Tiles and tokens a pack; searched for when absent.
  std::uint64_t seed = 1024;
};

/// One way to run the epoch. `status` is infeasible where no plan of its kind fits the memory;
/// then only data figures and `why` mean anything.
struct run_column {
  search_status status = search_status::infeasible;
  std::optional<loads<2>> capacity = {};  ///< Where samples are packed.
  batch_plan data = {};
  pipeline_plan plan = {};
  epoch_outcome epoch = {};
  /// Nanoseconds of the epoch with micro-batches in the order in which they were dealt.
  std::int64_t time_as_dealt = 0;
  bool fits = true;  ///< Whether its memory stays within the limit.
  infeasibility why = {};

  [[nodiscard]] double epoch_seconds() const noexcept {
    return static_cast<double>(epoch.time) * 1e-9;
  }
  [[nodiscard]] double step_seconds() const noexcept {
    return epoch.steps == 0 ? 0.0 : epoch_seconds() / static_cast<double>(epoch.steps);
  }
};

/// A step from unbalanced to planned.
struct ablation_row {
  std::string name;
  bool fits = true;
  std::int64_t epoch_time = 0;  ///< Nanoseconds.
};

struct run_plan {
  run_column unbalanced = {};
  run_column published = {};
  run_column planned = {};
  std::int64_t bound_epoch_time = 0;  ///< Nanoseconds.
  std::vector<ablation_row> ablation = {};
  capacity_search capacities = {};  ///< What the search for capacities saw, where it ran.
};

namespace detail {

/// Plans and simulates for one run_problem.
class run_planner {
 public:
  run_planner(const run_problem& problem, const run_control& control)
      : problem_(problem), control_(control), necessary_(necessary_time(problem.chain)) {}

  [[nodiscard]] run_plan plan() {
    run_plan result;
    result.unbalanced = unbalanced();
    result.published = published();
    if (problem_.capacity) {
      result.planned = planned(*problem_.capacity);
    } else {
      result.capacities = search_capacity(capacity_question(), control_);
      result.planned = planned(result.capacities.best);
    }
    result.ablation = ablation(result.unbalanced, result.planned);
    result.bound_epoch_time = bound(result);
    return result;
  }

 private:
  using cuts_and_modes = std::optional<pipeline_plan>;

  [[nodiscard]] batch_options batches() const {
    return {.ranks = problem_.data_parallel,
            .global_batch = problem_.global_batch,
            .seed = problem_.seed,
            .cost = necessary_,
            .control = control_};
  }

  [[nodiscard]] schedule_shape shape_for(const batch_plan& data) const {
    return {.kind = problem_.schedule,
            .stages = problem_.stages,
            .microbatches = std::max<std::size_t>(1, data.load.most_microbatches())};
  }

  [[nodiscard]] run_column simulated(run_column column) const {
    const std::vector<stage_model> stages = stage_models(problem_.chain, column.plan);
    column.epoch = simulate_epoch(stages, problem_.schedule, column.data.load,
                                  problem_.memory.reserved, control_);
    column.time_as_dealt = column.epoch.time;
    column.fits = std::ranges::all_of(
        column.epoch.peak_memory, [&](std::int64_t peak) { return peak <= problem_.memory.limit; });
    return column;
  }

  /// The same plan with every rank's micro-batches in an order that suits it.
  [[nodiscard]] run_column in_order(run_column column) const {
    const std::int64_t as_dealt = column.epoch.time;
    column.data.dispatch.groups = order_epoch(stage_models(problem_.chain, column.plan),
                                              problem_.schedule, column.data.load, control_);
    column.data.load.assignment = column.data.dispatch.groups;
    column = simulated(std::move(column));
    column.time_as_dealt = as_dealt;
    return column;
  }

  [[nodiscard]] pipeline_plan even_and_full() const {
    std::vector<std::int64_t> parameters;
    pipeline_plan plan;
    for (const layer_cost& layer : problem_.chain) {
      parameters.push_back(layer.parameters);
      plan.modes.push_back(layer.modes.size() - 1);
    }
    plan.cuts = partition_evenly(parameters, problem_.stages);
    return plan;
  }

  [[nodiscard]] run_column unbalanced() const {
    run_column column{.status = search_status::feasible,
                      .data = unbalanced_batches(problem_.samples, batches()),
                      .plan = even_and_full()};
    return simulated(std::move(column));
  }

  // ---- published --------------------------------------------------------------------------------

  /// The capacity the paper trains with, or what the largest sample needs.
  [[nodiscard]] loads<2> published_capacity() const {
    if (problem_.capacity) return *problem_.capacity;
    loads<2> capacity = {9, 4096};
    for (const vision_language_sample& sample : problem_.samples)
      for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
    return capacity;
  }

  [[nodiscard]] run_column published() const {
    const loads<2> capacity = published_capacity();
    run_column column{.capacity = capacity,
                      .data = published_batches(problem_.samples, capacity, batches())};
    const pipeline_problem numbers =
        problem_of(problem_.chain, shape_for(column.data), column.data.load.typical(),
                   at_capacity(capacity), problem_.memory);
    std::vector<std::int64_t> forward;
    std::vector<std::int64_t> latency;
    for (const layer& one : numbers.layers) {
      forward.push_back(one.forward_time);
      latency.push_back(one.forward_latency + one.backward_latency);
    }
    stage_table table(numbers);
    const auto fits = [&](std::size_t stage, std::size_t begin, std::size_t end) {
      return table.overrun(stage, begin, end) <= 0;
    };
    // A radius in which nothing fits is no use to anybody: its user would widen it.
    std::vector<anchored_partition> candidates;
    for (std::size_t radius = 2; candidates.empty() && radius < 4 * forward.size(); radius *= 2)
      candidates = anchored_partitions(forward, latency, problem_.stages,
                                       {.radius = radius, .allows = fits});
    std::int64_t best = 0;
    for (const anchored_partition& candidate : candidates) {
      const cuts_and_modes plan = with_adaptive_modes(numbers, candidate.cuts);
      if (!plan) continue;
      const std::int64_t time = makespan(numbers.schedule, stage_costs(numbers, *plan));
      if (column.status != search_status::infeasible && time >= best) continue;
      best = time;
      column.status = search_status::feasible;
      column.plan = *plan;
    }
    if (column.status != search_status::infeasible) return simulated(std::move(column));
    column.fits = false;
    column.why = least_overrun(table, anchored_partitions(forward, latency, problem_.stages));
    return column;
  }

  /// Of partitions none of which fits: the least that some stage lacks.
  [[nodiscard]] static infeasibility least_overrun(
      stage_table& table, const std::vector<anchored_partition>& candidates) {
    infeasibility least{.reason = infeasibility::cause::memory,
                        .bytes_short = stage_table::infeasible};
    for (const anchored_partition& candidate : candidates) {
      infeasibility worst{.reason = infeasibility::cause::memory};
      for (std::size_t s = 0; s < table.stages(); ++s)
        if (const std::int64_t lacks = table.overrun(s, candidate.cuts[s], candidate.cuts[s + 1]);
            lacks > worst.bytes_short) {
          worst.bytes_short = lacks;
          worst.binding_stage = s;
        }
      if (worst.bytes_short < least.bytes_short) least = worst;
    }
    return least;
  }

  [[nodiscard]] static cuts_and_modes with_adaptive_modes(const pipeline_problem& numbers,
                                                          const std::vector<std::size_t>& cuts) {
    pipeline_plan plan{.cuts = cuts};
    const std::span<const layer> layers(numbers.layers);
    for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
      const std::span<const layer> own = layers.subspan(cuts[s], cuts[s + 1] - cuts[s]);
      std::int64_t budget = numbers.budget(s);
      for (const layer& one : own) budget -= one.static_bytes;
      const recompute_choice choice = choose_recomputation_adaptively(
          own, static_cast<std::int64_t>(in_flight(numbers.schedule, s)), budget);
      if (!choice.has_modes()) return std::nullopt;
      plan.modes.insert(plan.modes.end(), choice.modes.begin(), choice.modes.end());
    }
    return plan;
  }

  // ---- planned ----------------------------------------------------------------------------------

  [[nodiscard]] static workload at_capacity(const loads<2>& capacity) {
    return {.tiles = capacity[0], .tokens = capacity[1]};
  }

  [[nodiscard]] pipeline_problem numbers_for(const batch_plan& data,
                                             const loads<2>& capacity) const {
    return problem_of(problem_.chain, shape_for(data), data.load.typical(), at_capacity(capacity),
                      problem_.memory);
  }

  /// The best of the plans that are optimal for one of our objectives, judged by the epoch itself.
  [[nodiscard]] run_column planned(const loads<2>& capacity) const {
    run_column best{.capacity = capacity,
                    .data = balanced_batches(problem_.samples, capacity, batches())};
    const pipeline_problem numbers = numbers_for(best.data, capacity);
    for (const plan_objective objective :
         {plan_objective::bottleneck, plan_objective::closed_form, plan_objective::period}) {
      const joint_plan joint = plan_jointly(numbers, objective);
      if (joint.status == search_status::infeasible) {
        best.why = joint.why;
        best.fits = false;
        return best;
      }
      consider(best, joint.plan);
    }
    if (const cuts_and_modes plan = sequential(numbers)) consider(best, *plan);
    return best;
  }

  void consider(run_column& best, const pipeline_plan& plan) const {
    if (best.status != search_status::infeasible && plan == best.plan) return;
    run_column candidate{.status = search_status::feasible,
                         .capacity = best.capacity,
                         .data = best.data,
                         .plan = plan};
    candidate = in_order(simulated(std::move(candidate)));
    if (best.status == search_status::infeasible || candidate.epoch.time < best.epoch.time)
      best = std::move(candidate);
  }

  /// The same problem with every layer in its leanest mode.
  [[nodiscard]] static pipeline_problem fully_recomputed(pipeline_problem numbers) {
    for (layer& one : numbers.layers) one.modes = {one.modes[extremes(one).leanest]};
    return numbers;
  }

  /// Least bottleneck under full recomputation.
  [[nodiscard]] static cuts_and_modes balanced_and_full(const pipeline_problem& numbers) {
    joint_plan joint = plan_jointly(fully_recomputed(numbers), plan_objective::bottleneck);
    if (joint.status == search_status::infeasible) return std::nullopt;
    for (std::size_t l = 0; l < numbers.layers.size(); ++l)
      joint.plan.modes[l] = extremes(numbers.layers[l]).leanest;
    return joint.plan;
  }

  /// First the cuts, under full recomputation, then the modes: planning one after the other.
  [[nodiscard]] static cuts_and_modes sequential(const pipeline_problem& numbers) {
    cuts_and_modes plan = balanced_and_full(numbers);
    if (!plan) return std::nullopt;
    stage_table table(numbers);
    plan->modes.clear();
    for (std::size_t s = 0; s < numbers.schedule.stages; ++s)
      for (const std::size_t mode : table.modes(s, plan->cuts[s], plan->cuts[s + 1]))
        plan->modes.push_back(mode);
    return plan;
  }

  // ---- comparison -------------------------------------------------------------------------------

  [[nodiscard]] std::vector<ablation_row> ablation(const run_column& unbalanced,
                                                   const run_column& planned) const {
    std::vector<ablation_row> rows = {row("unbalanced", unbalanced)};
    if (planned.status == search_status::infeasible) return rows;
    const batch_plan dealt = balanced_batches(problem_.samples, *planned.capacity, batches());
    const pipeline_problem numbers = numbers_for(dealt, *planned.capacity);
    const auto add = [&](const char* name, const cuts_and_modes& plan) {
      if (!plan) return;
      run_column column{.data = dealt, .plan = *plan};
      rows.push_back(row(name, in_order(simulated(std::move(column)))));
    };
    add("+ data", even_and_full());
    add("+ partition", balanced_and_full(numbers));
    add("+ recomputation", sequential(numbers));
    rows.push_back(row("joint", planned));
    return rows;
  }

  [[nodiscard]] static ablation_row row(const char* name, const run_column& column) {
    return {.name = name, .fits = column.fits, .epoch_time = column.epoch.time};
  }

  /// Every device computes its share and reduces its gradients, and no step is faster than that
  /// mean; nor is an epoch faster than its longest sample through all layers.
  [[nodiscard]] std::int64_t bound(const run_plan& result) const {
    wide_integer work = 0;
    wide_integer longest = 0;
    for (const vision_language_sample& sample : problem_.samples) {
      const wide_integer time = necessary_.exactly(sample_workload(sample[0], sample[1]));
      work += time;
      longest = std::max(longest, time);
    }
    std::size_t steps = result.unbalanced.epoch.steps;
    for (const run_column* column : {&result.published, &result.planned})
      if (column->status != search_status::infeasible) steps = std::min(steps, column->epoch.steps);
    wide_integer reduction = 0;
    for (const layer_cost& layer : problem_.chain) reduction += layer.step_time;
    const auto ranks = static_cast<wide_integer>(problem_.data_parallel);
    const auto devices = static_cast<wide_integer>(problem_.stages) * ranks;
    const wide_integer shared =
        ((work >> fixed_point_bits) + reduction * ranks * static_cast<wide_integer>(steps)) /
        devices;
    return static_cast<std::int64_t>(std::max(shared, longest >> fixed_point_bits));
  }

  [[nodiscard]] capacity_problem capacity_question() const {
    return {
        .samples = problem_.samples,
        .evaluate =
            [this](const loads<2>& capacity, std::span<const vision_language_sample> samples) {
              run_problem part = problem_;
              part.samples = samples;
              const run_column column = run_planner(part, {}).planned(capacity);
              return capacity_outcome{
                  .fits = column.status != search_status::infeasible,
                  .time_per_sample = column.epoch_seconds() /
                                     static_cast<double>(std::max<std::size_t>(1, samples.size())),
                  .samples_per_step = column.data.mean_samples_per_step,
                  .packs_over_bound = column.data.packing.bound == 0
                                          ? 1.0
                                          : static_cast<double>(column.data.packing.objective) /
                                                static_cast<double>(column.data.packing.bound)};
            },
        .global_batch = problem_.global_batch,
        .seed = problem_.seed};
  }

  run_problem problem_;
  run_control control_;
  linear_cost necessary_;
};

inline void validate(const run_problem& problem) {
  if (problem.samples.empty())
    throw invalid_input("samples", "nothing", "a run needs at least one sample");
  if (problem.schedule != schedule_kind::gpipe &&
      problem.schedule != schedule_kind::one_forward_one_backward)
    throw invalid_input("schedule", to_string(problem.schedule),
                        "is not planned for yet; use 1f1b or gpipe");
  if (problem.data_parallel == 0 || problem.data_parallel > (std::size_t{1} << 20))
    throw invalid_input("dp", problem.data_parallel, "must be between 1 and 2^20");
  if (problem.global_batch < 1)
    throw invalid_input("global-batch", problem.global_batch, "must be at least 1");
  if (problem.memory.limit <= problem.memory.reserved)
    throw invalid_input(
        "memory", problem.memory.limit,
        "must be more than the reserved bytes, " + std::to_string(problem.memory.reserved));
}

}  // namespace detail

/// Plans a run. `planned.status` is infeasible, with the reason, when no plan fits the memory or
/// there are fewer layers than stages. Throws invalid_input for arguments out of range.
[[nodiscard]] inline run_plan plan_run(const run_problem& problem,
                                       const run_control& control = {}) {
  detail::validate(problem);
  omnibal::validate(schedule_shape{.kind = problem.schedule, .stages = problem.stages});
  if (problem.chain.size() < problem.stages) {
    run_plan result;
    result.planned.why = {.reason = infeasibility::cause::fewer_layers_than_stages};
    return result;
  }
  return detail::run_planner(problem, control).plan();
}

}  // namespace omnibal::inline v0
