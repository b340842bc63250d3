// SPDX-License-Identifier: Apache-2.0
/// @file
/// What all strategies of a run have in common: the batch that is asked for, the planning problem
/// of a strategy, and its epoch simulated.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/recompute/extreme_modes.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/epoch_bound.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatch_order_search.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

/// The capacity, enlarged to the largest sample.
[[nodiscard]] inline loads<2> enlarged(loads<2> capacity,
                                       std::span<const vision_language_sample> samples) {
  for (const vision_language_sample& sample : samples)
    for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
  return capacity;
}

/// The capacity that the paper trains with, enlarged to the largest sample.
[[nodiscard]] inline loads<2> paper_capacity(const run_problem& problem) {
  return enlarged(problem.capacity.value_or(loads<2>{9, 4096}), problem.samples);
}

class run_context {
 public:
  run_context(const run_problem& problem, const run_options& options)
      : problem_(problem), options_(options), necessary_(necessary_time(problem.chain)) {}

  [[nodiscard]] const run_problem& problem() const noexcept { return problem_; }
  [[nodiscard]] const run_options& options() const noexcept { return options_; }

  [[nodiscard]] schedule_shape schedule() const {
    return {.kind = problem_.schedule,
            .stages = problem_.stages,
            .virtual_stages = problem_.virtual_stages};
  }

  [[nodiscard]] static schedule_shape shape_for(schedule_shape schedule, const batch_plan& data) {
    const std::size_t most = std::max<std::size_t>(1, data.load.most_microbatches());
    schedule.microbatches = runnable_microbatches(schedule, most);
    return schedule;
  }

  [[nodiscard]] batch_options batches(const schedule_shape& schedule) const {
    return {.ranks = problem_.data_parallel,
            .global_batch = problem_.global_batch,
            .batch_tolerance = problem_.batch_tolerance,
            .seed = problem_.seed,
            .microbatch_multiple = runnable_microbatches(schedule, 1),
            .cost = necessary_,
            .oversize = problem_.oversize == oversize_policy::own_pack ? oversize_policy::own_pack
                                                                       : oversize_policy::reject,
            .packer = problem_.packer,
            .control = options_.control};
  }

  [[nodiscard]] bool meets_batch(double samples_per_step) const {
    return omnibal::meets_batch(batches(schedule()), samples_per_step);
  }

  /// The samples per step nearest to the global batch that a table of this size allows.
  [[nodiscard]] std::int64_t nearest_possible(std::size_t samples) const {
    return nearest_batch(batches(schedule()), samples);
  }
  /// Those that steps of these packs, or parts of them, can have.
  [[nodiscard]] std::int64_t nearest_possible(const grouping<std::uint32_t>& packs) const {
    return nearest_batch(batches(schedule()), packs);
  }

  /// In a full step; where there is one step alone, what those of a larger table would have.
  [[nodiscard]] double expected_samples_per_step(const batch_plan& data) const {
    const grouping<std::uint32_t>& packs = data.packing.packs;
    if (packs.empty()) return 0;
    if (data.load.steps() > 1) return data.mean_samples_per_step;
    const double size =
        static_cast<double>(packs.indices().size()) / static_cast<double>(packs.size());
    const double whole = size * static_cast<double>(data.load.ranks * data.microbatches_per_rank);
    const std::size_t each = data.load.ranks * batches(schedule()).microbatch_multiple;
    const std::size_t most = static_cast<std::size_t>(problem_.global_batch) / each * each;
    // Packs may be split, so that a step has fewer samples.
    const bool splits =
        size * static_cast<double>(most) >= static_cast<double>(problem_.global_batch);
    return splits && !meets_batch(whole) ? static_cast<double>(problem_.global_batch) : whole;
  }

  [[nodiscard]] static run_strategy missing_batch(std::int64_t nearest) {
    return {.fits = false,
            .why = {.reason = infeasibility::cause::global_batch, .nearest_batch = nearest}};
  }

  /// The constraints for stages of a schedule.
  [[nodiscard]] partition_constraints constraints(const schedule_shape& schedule) const {
    pipeline_problem numbers{.schedule = schedule};
    numbers.layers.resize(problem_.chain.size());
    add_constraints(numbers);
    return partition_constraints(numbers);
  }

  /// Why no partition into the stages of the run's schedule keeps the constraints, if so.
  [[nodiscard]] infeasibility broken_constraints() const {
    return constraints(schedule()).impossibility(schedule().total_stages());
  }

  /// The chain as the strategy's schedule runs it.
  [[nodiscard]] std::vector<layer_cost> chain_of(const run_strategy& strategy) const {
    return chain_under(strategy.schedule.kind, problem_.chain, problem_.recompute_for_w);
  }

  [[nodiscard]] std::vector<stage_model> stages_of(const run_strategy& strategy) const {
    return stage_models(chain_of(strategy), strategy.plan, strategy.schedule,
                        strategy.data.load.mean_microbatch(), problem_.overlap);
  }

  /// Precondition: the strategy has data, a schedule and a capacity.
  [[nodiscard]] pipeline_problem problem_for(const run_strategy& strategy) const {
    return problem_for(strategy, largest_pack(strategy));
  }

  /// problem_for(), with the bytes of the larger of a full pack and the largest micro-batch.
  [[nodiscard]] pipeline_problem problem_for_largest(const run_strategy& assigned) const {
    const workload largest = assigned.data.load.largest();
    const loads<2> capacity = largest_pack(assigned);
    return problem_for(
        assigned, {std::max(capacity[0], largest.tiles), std::max(capacity[1], largest.tokens)});
  }

  /// A strategy with balanced data and without a plan.
  [[nodiscard]] run_strategy balanced(const loads<2>& capacity, bool gathered = false) const {
    batch_options options = batches(schedule());
    options.gather_oversize = gathered;
    run_strategy strategy{.capacity = capacity,
                          .data = balanced_batches(problem_.samples, capacity, options)};
    strategy.schedule = shape_for(schedule(), strategy.data);
    return strategy;
  }

  [[nodiscard]] run_strategy simulated(run_strategy strategy) const {
    strategy.epoch =
        simulate_epoch(stages_of(strategy), strategy.schedule, strategy.data.load,
                       {.reserved = problem_.memory.reserved, .control = options_.control});
    strategy.time_as_assigned = strategy.epoch.time;
    strategy.keeps_constraints = constraints(strategy.schedule).allow(strategy.plan.cuts);
    strategy.fits = std::ranges::all_of(strategy.epoch.peak_memory, [&](std::int64_t peak) {
      return peak <= problem_.memory.limit;
    });
    return strategy;
  }

  /// The same plan with the micro-batches of every rank in the order that the search finds; as it
  /// is once a stop is asked for. Precondition: it is simulated.
  [[nodiscard]] run_strategy in_order(run_strategy strategy) const {
    if (options_.control.stop_requested()) return strategy;
    const std::int64_t as_assigned = strategy.epoch.time;
    strategy.data.dispatch.groups = order_epoch(stages_of(strategy), strategy.schedule,
                                                strategy.data.load, {.control = options_.control})
                                        .assignment;
    strategy.data.load.assignment = strategy.data.dispatch.groups;
    strategy = simulated(std::move(strategy));
    strategy.time_as_assigned = as_assigned;
    return strategy;
  }

  [[nodiscard]] bool fits_when_full(const run_strategy& strategy) const {
    return omnibal::evaluate(problem_for(strategy), strategy.plan).fits();
  }

  [[nodiscard]] pipeline_plan with_full_modes(std::vector<std::size_t> cuts,
                                              const workload& mean) const {
    pipeline_plan plan{.cuts = std::move(cuts)};
    for (const layer_cost& layer : problem_.chain) plan.modes.push_back(full_mode(layer, mean));
    return plan;
  }

  [[nodiscard]] std::vector<std::size_t> even_cuts_by_parameters() const {
    std::vector<std::int64_t> parameters;
    for (const layer_cost& layer : problem_.chain) parameters.push_back(layer.parameters);
    return partition_evenly(parameters, schedule().total_stages());
  }

  /// Operations of one simulated epoch.
  [[nodiscard]] static std::int64_t epoch_operations(const run_strategy& strategy) {
    const std::size_t count =
        strategy.data.load.microbatches.size() * 3 * strategy.schedule.total_stages();
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(count));
  }

  [[nodiscard]] epoch_bound bound(std::size_t steps) const {
    return bound_epoch({.samples = problem_.samples,
                        .chain = problem_.chain,
                        .splits_backward = schedule().splits_backward(),
                        .overlap = problem_.overlap,
                        .devices = problem_.stages,
                        .ranks = problem_.data_parallel,
                        .steps = steps});
  }

  /// Seconds: a proven lower bound on the time per sample of any plan, of whatever number of steps.
  [[nodiscard]] double bound_per_sample() const {
    const auto count = static_cast<double>(std::max<std::size_t>(1, problem_.samples.size()));
    return static_cast<double>(bound(1).time) * 1e-9 / count;
  }

 private:
  /// With the bytes of micro-batches that fill a capacity.
  [[nodiscard]] pipeline_problem problem_for(const run_strategy& strategy,
                                             const loads<2>& capacity) const {
    pipeline_problem numbers = problem_of(
        chain_of(strategy), strategy.schedule, strategy.data.load.mean_microbatch(),
        {.tiles = capacity[0], .tokens = capacity[1]}, problem_.memory, problem_.overlap);
    add_constraints(numbers);
    return numbers;
  }

  /// The most that a pack can hold: its capacity, or less where it may have few samples only.
  [[nodiscard]] loads<2> largest_pack(const run_strategy& strategy) const {
    loads<2> capacity = *strategy.capacity;
    const std::size_t most_samples = strategy.data.most_samples_per_pack;
    if (most_samples == 0) return capacity;
    const loads<2> largest = enlarged({1, 1}, problem_.samples);
    for (std::size_t r = 0; r < 2; ++r) {
      const wide_integer all = static_cast<wide_integer>(largest[r]) * most_samples;
      capacity[r] = static_cast<std::int64_t>(std::min<wide_integer>(capacity[r], all));
    }
    return capacity;
  }

  void add_constraints(pipeline_problem& numbers) const {
    numbers.together = problem_.together;
    numbers.apart = problem_.apart;
    numbers.fixed_cuts = problem_.fixed_cuts;
  }

  run_problem problem_;
  run_options options_;
  linear_cost necessary_;
};

}  // namespace omnibal::inline v0::detail
