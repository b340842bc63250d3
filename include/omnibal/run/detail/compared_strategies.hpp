// SPDX-License-Identifier: Apache-2.0
/// @file
/// The strategies that a planned run is compared with: naive and unbalanced trainers, the paper
/// baseline, and how the run is laid out today.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/baselines/vision_first_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/oversize_memory.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

class compared_strategies {
 public:
  explicit compared_strategies(const run_context& run) : run_(run) {}

  [[nodiscard]] run_strategy naive() const {
    std::vector<layer_kind> kinds;
    for (const layer_cost& layer : run_.problem().chain) kinds.push_back(layer.kind);
    std::vector<std::size_t> cuts = partition_vision_first(kinds, run_.schedule().total_stages());
    if (cuts.empty())
      return {.fits = false, .why = {.reason = infeasibility::cause::fewer_layers_than_stages}};
    return without_balance(std::move(cuts));
  }

  [[nodiscard]] run_strategy unbalanced() const {
    return without_balance(run_.even_cuts_by_parameters());
  }

  /// Throws invalid_input if it is none for these layers and stages.
  [[nodiscard]] run_strategy current(const current_layout& layout) const {
    if (layout.cluster) return in_its_cluster(layout);
    run_strategy strategy{.status = search_status::feasible, .plan = layout.plan};
    strategy.schedule = {.kind = layout.schedule,
                         .stages = run_.problem().stages,
                         .virtual_stages = layout.virtual_stages,
                         .microbatches = run_.problem().stages};
    omnibal::validate(strategy.schedule);
    const batch_options options = run_.batches(strategy.schedule);
    if (layout.data) {
      strategy.capacity = layout.data->capacity;
      strategy.data = earlier_batches(run_.problem().samples, layout.data->packs,
                                      layout.data->dispatch, options);
      strategy.data.microbatches_per_rank = strategy.data.load.most_microbatches();
    } else {
      strategy.data = unbalanced_batches(run_.problem().samples, options);
    }
    strategy.schedule = run_.shape_for(strategy.schedule, strategy.data);
    const workload mean = strategy.data.load.mean_microbatch();
    omnibal::validate(problem_of(chain_under(layout.schedule, run_.problem().chain),
                                 strategy.schedule, mean, mean, run_.problem().memory),
                      strategy.plan);
    return run_.simulated(std::move(strategy));
  }

  [[nodiscard]] run_strategy published() const {
    const loads<2> capacity = paper_capacity(run_.problem());
    run_strategy strategy{
        .capacity = capacity,
        .data = paper_batches(run_.problem().samples, capacity, run_.batches(paper_schedule()))};
    strategy.schedule = run_.shape_for(paper_schedule(), strategy.data);
    const pipeline_problem numbers = run_.problem_for(strategy);
    if (cuts_and_modes plan = plan_by_paper(numbers)) {
      strategy.status = search_status::feasible;
      strategy.plan = std::move(*plan);
      return run_.simulated(std::move(strategy));
    }
    strategy.fits = false;
    strategy.why = paper_plan_shortfall(numbers);
    return strategy;
  }

 private:
  /// Precondition: the layout has a cluster.
  [[nodiscard]] run_strategy in_its_cluster(current_layout layout) const {
    const other_cluster cluster = std::exchange(layout.cluster, {}).value();
    run_problem problem = run_.problem();
    problem.stages = cluster.stages;
    problem.data_parallel = cluster.data_parallel;
    problem.chain = cluster.chain;
    const run_context run(problem, run_.options());
    return compared_strategies(run).current(layout);
  }

  /// Random padded micro-batches and full recomputation.
  [[nodiscard]] run_strategy without_balance(std::vector<std::size_t> cuts) const {
    run_strategy strategy{
        .status = search_status::feasible,
        .data = unbalanced_batches(run_.problem().samples, run_.batches(run_.schedule()))};
    strategy.plan = run_.with_full_modes(std::move(cuts), strategy.data.load.mean_microbatch());
    strategy.schedule = run_.shape_for(run_.schedule(), strategy.data);
    return run_.simulated(std::move(strategy));
  }

  /// The paper treats schedules with one stage per device and an unsplit backward only.
  [[nodiscard]] schedule_shape paper_schedule() const {
    const schedule_shape asked = run_.schedule();
    const bool treated = !asked.shares_devices() && !asked.splits_backward();
    return {.kind = treated ? asked.kind : any_schedule(), .stages = run_.problem().stages};
  }

  const run_context& run_;
};

}  // namespace omnibal::inline v0::detail
