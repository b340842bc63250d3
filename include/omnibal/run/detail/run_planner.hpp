// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans a run: computes the strategies one after the other, and the ablation between them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/compared_strategies.hpp>
#include <omnibal/run/detail/epoch_bound.hpp>
#include <omnibal/run/detail/oversize_memory.hpp>
#include <omnibal/run/detail/plan_search.hpp>
#include <omnibal/run/detail/run_capacities.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

class run_planner {
 public:
  run_planner(const run_problem& problem, const run_options& options) : run_(problem, options) {}

  [[nodiscard]] const run_context& run() const noexcept { return run_; }

  [[nodiscard]] run_result plan() const {
    run_result result = compared();
    result.planned = planned(result);
    result.ablation = ablation(result.unbalanced, result.planned);
    const epoch_bound least = run_.bound(least_steps(result));
    result.bound = least.time;
    result.bound_fill_and_drain = least.fill_and_drain;
    result.objective = result.planned.epoch.time;
    result.status = status_of(result);
    result.limit = limit_of(result.status, run_.options().control);
    return result;
  }

  [[nodiscard]] evaluated_run evaluate(const grouping<std::uint32_t>& packs,
                                       const dispatch_plan& dispatch, const loads<2>& capacity,
                                       const pipeline_plan& plan) const {
    run_strategy strategy{.status = search_status::feasible,
                          .capacity = capacity,
                          .data = earlier_batches(run_.problem().samples, packs, dispatch,
                                                  run_.batches(run_.schedule())),
                          .plan = plan};
    strategy.schedule = run_.shape_for(run_.schedule(), strategy.data);
    omnibal::validate(run_.problem_for(strategy), plan);
    strategy = run_.simulated(std::move(strategy));
    const std::int64_t least = run_.bound(strategy.epoch.steps).time;
    return {.strategy = std::move(strategy), .bound = least};
  }

  /// Steps of the strategy with the fewest.
  [[nodiscard]] static std::size_t least_steps(const run_result& result) {
    std::size_t steps = result.unbalanced.epoch.steps;
    for (const run_strategy* strategy : {&result.naive, &result.published, &result.planned})
      if (strategy->status != search_status::infeasible)
        steps = std::min(steps, strategy->epoch.steps);
    return result.current ? std::min(steps, result.current->epoch.steps) : steps;
  }

 private:
  /// The strategies that the planned one is compared with.
  [[nodiscard]] run_result compared() const {
    const compared_strategies others(run_);
    run_result result{.naive = others.naive(),
                      .unbalanced = others.unbalanced(),
                      .published = others.published()};
    if (run_.problem().current) result.current = others.current(*run_.problem().current);
    return result;
  }

  /// Infeasible where the batch, the constraints or the memory allow no plan.
  [[nodiscard]] run_strategy planned(run_result& result) const {
    if (const infeasibility why = run_.broken_constraints();
        why.reason != infeasibility::cause::none)
      return {.fits = false, .why = why};
    if (const std::int64_t nearest = run_.nearest_possible(run_.problem().samples.size());
        !run_.meets_batch(static_cast<double>(nearest)))
      return run_context::missing_batch(nearest);
    const plan_search search(run_);
    run_strategy best =
        search.improved(search.planned(capacity(result)), run_.options().operation_limit);
    // That none fits at a capacity says nothing of those that were not tried.
    if (best.status == search_status::infeasible && result.capacities.limit == search_limit::stop)
      best.why = {};
    if (best.status != search_status::infeasible &&
        !run_.meets_batch(best.data.mean_samples_per_step))
      best = run_context::missing_batch(run_.nearest_possible(best.data.packing.packs));
    for (const run_strategy* other : {&result.published, &result.unbalanced, &result.naive})
      search.offer(best, *other);
    if (result.current && !run_.problem().current->cluster) search.offer(best, *result.current);
    return search.with_moved_cuts(std::move(best));
  }

  /// The one given or, searched for, the best.
  [[nodiscard]] loads<2> capacity(run_result& result) const {
    if (run_.problem().capacity) return *run_.problem().capacity;
    result.capacities = run_capacities(run_).search();
    return result.capacities.best;
  }

  [[nodiscard]] search_status status_of(const run_result& result) const {
    if (const infeasibility& why = result.planned.why;
        result.planned.status == search_status::infeasible)
      return why.reason == infeasibility::cause::none || !why.proven ? search_status::stopped
                                                                     : search_status::infeasible;
    if (result.objective == result.bound) return search_status::optimal;
    return run_.options().control.stop_requested() ? search_status::stopped
                                                   : search_status::feasible;
  }

  struct named_strategy {
    const char* name = "";
    run_strategy strategy = {};
  };

  /// What each kind of balance adds to the unbalanced strategy, with the planned one's data.
  [[nodiscard]] std::vector<named_strategy> partial_strategies(const run_strategy& planned) const {
    const run_strategy assigned = run_.balanced(*planned.capacity, planned.data.oversize_gathered);
    const plan_search search(run_);
    std::vector<named_strategy> list;
    const auto add = [&](const char* name, const cuts_and_modes& plan) {
      if (!plan) return;
      run_strategy strategy = assigned;
      strategy.status = search_status::feasible;
      strategy.plan = *plan;
      list.push_back({name, run_.in_order(run_.simulated(std::move(strategy)))});
    };
    add("+ data",
        run_.with_full_modes(run_.even_cuts_by_parameters(), assigned.data.load.mean_microbatch()));
    add("+ partition", plan_with_oversize(run_, assigned, [&](const pipeline_problem& numbers) {
          return search.balanced_and_full(numbers);
        }));
    add("+ recomputation", plan_with_oversize(run_, assigned, [&](const pipeline_problem& numbers) {
          return search.sequential(numbers);
        }));
    return list;
  }

  /// Rows from unbalanced to planned; once a stop is asked for, these two alone. A row that meets
  /// what is asked for and is faster than the planned strategy, whose data may be another
  /// strategy's, becomes the planned one.
  [[nodiscard]] std::vector<ablation_row> ablation(const run_strategy& unbalanced,
                                                   run_strategy& planned) const {
    std::vector<ablation_row> rows = {row("unbalanced", unbalanced)};
    if (planned.status == search_status::infeasible) return rows;
    const plan_search search(run_);
    const std::int64_t before = planned.epoch.time;
    if (!run_.options().control.stop_requested())
      for (const auto& [name, strategy] : partial_strategies(planned)) {
        rows.push_back(row(name, strategy));
        if (strategy.fits && strategy.epoch.time < planned.epoch.time)
          search.offer(planned, strategy);
      }
    if (planned.epoch.time < before) planned = search.with_moved_cuts(std::move(planned));
    rows.push_back(row("joint", planned));
    return rows;
  }

  [[nodiscard]] static ablation_row row(const char* name, const run_strategy& strategy) {
    return {.name = name,
            .fits = strategy.fits,
            .keeps_constraints = strategy.keeps_constraints,
            .epoch_time = strategy.epoch.time};
  }

  run_context run_;
};

}  // namespace omnibal::inline v0::detail
