// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for the plan of least epoch time at a capacity: plans that are optimal for one of the
/// objectives, each simulated, then improved.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/recompute/extreme_modes.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/oversize_memory.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/microbatch_order_search.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

class plan_search {
 public:
  explicit plan_search(const run_context& run) : run_(run) {}

  /// Of the plans that are optimal for one of the objectives, the one of least epoch time.
  [[nodiscard]] run_strategy planned(const loads<2>& capacity) const {
    // A part of the samples may be smaller than the batch; as many as asked for are enough.
    const run_problem& asked = run_.problem();
    const std::int64_t nearest = run_.nearest_possible(
        std::max(asked.samples.size(), static_cast<std::size_t>(asked.global_batch)));
    if (!run_.meets_batch(static_cast<double>(nearest))) return run_.missing_batch(nearest);
    run_strategy spread = planned_for(run_.balanced(capacity));
    if (spread.data.oversize_per_rank == 0) return spread;
    run_strategy gathered = planned_for(run_.balanced(capacity, true));
    if (gathered.status == search_status::infeasible ||
        !run_.meets_batch(gathered.data.mean_samples_per_step))
      return spread;
    if (!run_.meets_batch(spread.data.mean_samples_per_step)) return gathered;
    keep_faster(spread, std::move(gathered));
    return spread;
  }

  /// One plan, in a quickly found order. `assigned` has balanced data.
  [[nodiscard]] run_strategy planned_quickly(run_strategy assigned) const {
    constexpr std::size_t simulations_per_rank = 6;
    const cuts_and_modes plan =
        plan_with_oversize(run_, assigned, [this](const pipeline_problem& numbers) {
          return plan_of(plan_jointly(numbers, objectives::closed_form{}, plan_options(3'000'000)));
        });
    if (!plan) return assigned;
    assigned.plan = *plan;
    assigned.status = search_status::feasible;
    assigned.data.load.assignment =
        order_epoch(
            run_.stages_of(assigned), assigned.schedule, assigned.data.load,
            {.simulations_per_rank = simulations_per_rank, .control = run_.options().control})
            .assignment;
    return run_.simulated(std::move(assigned));
  }

  /// Also considers the plans of least makespan for the mean micro-batch and on average over the
  /// actual micro-batches of some ranks and steps.
  [[nodiscard]] run_strategy improved(run_strategy best, std::uint64_t operation_limit) const {
    if (best.status == search_status::infeasible || run_.options().control.stop_requested())
      return best;
    const run_strategy assigned = run_.balanced(*best.capacity, best.data.oversize_gathered);
    const auto consider_found = [&](const auto& search) {
      const cuts_and_modes plan = plan_with_oversize(
          run_, assigned,
          [&](const pipeline_problem& numbers) { return plan_of(search(numbers)); });
      if (plan) consider(best, assigned, *plan);
    };
    consider_found([&](const pipeline_problem& numbers) {
      return plan_jointly(numbers, objectives::makespan{}, plan_options(operation_limit));
    });
    if (const std::vector<scenario> scenarios = scenarios_of(assigned); !scenarios.empty())
      consider_found([&](const pipeline_problem& numbers) {
        return plan_jointly(numbers, scenarios, {.of = makespan_measure::kind::mean},
                            plan_options(operation_limit));
      });
    return best;
  }

  /// Moves one cut by one layer at a time while the simulated epoch becomes shorter, each time with
  /// the best order of micro-batches where the present one comes within 2 %.
  [[nodiscard]] run_strategy with_moved_cuts(run_strategy best) const {
    if (best.status == search_status::infeasible) return best;
    const pipeline_problem numbers = run_.problem_for(best);
    const partition_constraints constraints(numbers);
    std::int64_t left = move_limit(best);
    const auto improves = [&](const std::vector<std::size_t>& cuts) {
      if (!constraints.allow(cuts)) return false;
      const cuts_and_modes plan = plan_with_oversize(
          run_, best, [&](const pipeline_problem& some) { return assign_modes(some, cuts); });
      if (!plan) return false;
      run_strategy candidate = best;
      candidate.plan = *plan;
      candidate = run_.simulated(std::move(candidate));
      --left;
      if (candidate.epoch.time - best.epoch.time > best.epoch.time / 50) return false;
      candidate = run_.in_order(std::move(candidate));
      left -= order_search_cost;
      if (candidate.epoch.time >= best.epoch.time) return false;
      candidate.time_as_assigned = best.time_as_assigned;
      best = std::move(candidate);
      return true;
    };
    const auto step = [&] {
      for (std::size_t j = 1; j + 1 < best.plan.cuts.size(); ++j)
        for (const bool up : {true, false}) {
          if (left <= 0 || run_.options().control.stop_requested()) return false;
          std::vector<std::size_t> cuts = best.plan.cuts;
          if (up)
            ++cuts[j];
          else
            --cuts[j];
          if (improves(cuts)) return true;
        }
      return false;
    };
    while (step()) {
    }
    return best;
  }

  /// Replaces a plan by another strategy's micro-batches, without padding, and layers, where these
  /// meet what is asked for (schedule, capacity, global batch, memory for any order of
  /// micro-batches) and are faster: the best that was seen is always offered.
  void offer(run_strategy& best, const run_strategy& other) const {
    if (other.status == search_status::infeasible ||
        !run_.meets_batch(other.data.mean_samples_per_step) ||
        other.schedule.kind != run_.problem().schedule ||
        other.schedule.stages != run_.problem().stages ||
        other.schedule.virtual_stages != run_.problem().virtual_stages)
      return;
    run_strategy candidate = other;
    candidate.data = earlier_batches(run_.problem().samples, other.data.packing.packs,
                                     other.data.dispatch, run_.batches(run_.schedule()));
    candidate.data.packing.bound = other.data.packing.bound;
    candidate.data.microbatches_per_rank = other.data.microbatches_per_rank;
    const workload largest = candidate.data.load.largest();
    if (run_.problem().capacity && (largest.tiles > (*run_.problem().capacity)[0] ||
                                    largest.tokens > (*run_.problem().capacity)[1]))
      return;
    if (!candidate.capacity)
      candidate.capacity = loads<2>{std::max<std::int64_t>(1, largest.tiles),
                                    std::max<std::int64_t>(1, largest.tokens)};
    if (!candidate.keeps_constraints || !run_.fits_when_full(candidate)) return;
    keep_faster(best, run_.in_order(run_.simulated(std::move(candidate))));
  }

  /// The best cuts under full recomputation: of those optimal for one of the objectives, the ones
  /// of least makespan.
  [[nodiscard]] cuts_and_modes balanced_and_full(const pipeline_problem& numbers) const {
    const pipeline_problem full = fully_recomputed(numbers);
    cuts_and_modes best;
    std::int64_t least = 0;
    for (const any_objective& objective : searched_objectives) {
      const pipeline_plan plan = plan_jointly(full, objective, plan_options()).plan;
      if (plan.cuts.empty()) return std::nullopt;
      const std::int64_t time = makespan(full.schedule, stage_costs(full, plan));
      if (best && time >= least) continue;
      best = plan;
      least = time;
    }
    for (std::size_t l = 0; l < numbers.layers.size(); ++l)
      best->modes[l] = full_mode(numbers.layers[l]);
    return best;
  }

  /// Sequential planning: first the cuts, under full recomputation, then the modes.
  [[nodiscard]] cuts_and_modes sequential(const pipeline_problem& numbers) const {
    const cuts_and_modes plan = balanced_and_full(numbers);
    return plan ? assign_modes(numbers, plan->cuts) : std::nullopt;
  }

  /// As a run with this capacity ends, where its epochs take little to simulate; elsewhere before
  /// its improvement, whose gain is much alike for all capacities of many micro-batches.
  [[nodiscard]] run_strategy planned_thoroughly(const loads<2>& capacity) const {
    constexpr std::int64_t most_operations = 20'000;
    run_strategy strategy = planned(capacity);
    if (run_context::epoch_operations(strategy) > most_operations) return strategy;
    return with_moved_cuts(improved(std::move(strategy), run_.options().operation_limit / 10));
  }

 private:
  static constexpr auto searched_objectives = std::to_array<any_objective>(
      {objectives::bottleneck{}, objectives::closed_form{}, objectives::period{}});

  [[nodiscard]] static cuts_and_modes plan_of(const joint_result& found) {
    return found.plan.cuts.empty() ? cuts_and_modes() : cuts_and_modes(found.plan);
  }

  /// Precondition: the candidate has a plan.
  static void keep_faster(run_strategy& best, run_strategy candidate) {
    if (best.status == search_status::infeasible || candidate.epoch.time < best.epoch.time)
      best = std::move(candidate);
  }

  [[nodiscard]] run_strategy planned_for(const run_strategy& assigned) const {
    run_strategy best = assigned;
    for (const any_objective& objective : searched_objectives) {
      joint_result joint;
      const cuts_and_modes plan =
          plan_with_oversize(run_, assigned, [&](const pipeline_problem& numbers) {
            joint = plan_jointly(numbers, objective, plan_options());
            return plan_of(joint);
          });
      if (!plan && joint.status == search_status::stopped && joint.plan.cuts.empty() &&
          (joint.why.reason == infeasibility::cause::none ||
           run_.options().control.stop_requested()))
        continue;
      if (!plan) {
        best.why = why_none_fits(assigned, objective, joint);
        best.fits = false;
        return best;
      }
      consider(best, assigned, *plan);
    }
    if (const cuts_and_modes plan = plan_with_oversize(
            run_, assigned,
            [this](const pipeline_problem& numbers) { return sequential(numbers); }))
      consider(best, assigned, *plan);
    return best;
  }

  /// Why a search over plans for this data, which ended so, has none. That memory which it reserved
  /// for micro-batches beyond the capacity is missing proves nothing; that a relaxation has no plan
  /// does.
  [[nodiscard]] infeasibility why_none_fits(const run_strategy& assigned,
                                            const any_objective& objective,
                                            const joint_result& ended) const {
    infeasibility why = ended.why;
    if (why.reason == infeasibility::cause::none) why.reason = infeasibility::cause::memory;
    if (why.reason == infeasibility::cause::memory && assigned.data.oversize_per_rank > 0)
      why.proven =
          plan_jointly(relaxed_oversize(run_, assigned), objective, plan_options()).status ==
          search_status::infeasible;
    return why;
  }

  void consider(run_strategy& best, const run_strategy& assigned, const pipeline_plan& plan) const {
    if (best.status != search_status::infeasible && plan == best.plan) return;
    run_strategy candidate = assigned;
    candidate.status = search_status::feasible;
    candidate.plan = plan;
    keep_faster(best, run_.in_order(run_.simulated(std::move(candidate))));
  }

  /// Simulations of the epoch that one search for orders counts as.
  static constexpr std::int64_t order_search_cost = 10;

  /// Epochs that moves of cuts may simulate: about a second of one core, and a few for any epoch.
  [[nodiscard]] static std::int64_t move_limit(const run_strategy& strategy) {
    constexpr std::int64_t operations = 150'000'000;
    constexpr std::int64_t most = 1000;
    const auto neighbours = static_cast<std::int64_t>(2 * strategy.schedule.total_stages());
    return std::max(neighbours,
                    std::min(most, operations / run_context::epoch_operations(strategy)));
  }

  /// The times of every layer for ranks with the full number of micro-batches, chosen evenly over
  /// the epoch.
  [[nodiscard]] std::vector<scenario> scenarios_of(const run_strategy& strategy) const {
    constexpr std::size_t most = 6;
    const grouping<std::uint32_t>& ranks = strategy.data.load.assignment;
    std::vector<std::size_t> full;
    for (std::size_t group = 0; group < ranks.size(); ++group)
      if (ranks[group].size() == strategy.schedule.microbatches) full.push_back(group);
    std::vector<scenario> scenarios;
    const std::size_t count = std::min(most, full.size());
    for (std::size_t k = 0; k < count; ++k)
      scenarios.push_back(scenario_of(strategy, ranks[full[k * full.size() / count]]));
    return scenarios;
  }

  [[nodiscard]] scenario scenario_of(const run_strategy& strategy,
                                     std::span<const std::uint32_t> microbatches) const {
    scenario times;
    for (const layer_cost& layer : run_.chain_of(strategy)) {
      times.forward.emplace_back();
      times.backward.emplace_back();
      times.weight_gradient.emplace_back();
      for (const std::uint32_t id : microbatches) {
        const workload& work = strategy.data.load.microbatches[id];
        times.forward.back().push_back(layer.forward_time.of(work));
        times.backward.back().push_back(layer.backward_time.of(work));
        times.weight_gradient.back().push_back(layer.weight_gradient_time.of(work));
      }
    }
    return times;
  }

  /// The same problem with every layer recomputed fully.
  [[nodiscard]] static pipeline_problem fully_recomputed(pipeline_problem numbers) {
    for (pipeline_layer& one : numbers.layers) one.modes = {one.modes[full_mode(one)]};
    return numbers;
  }

  [[nodiscard]] joint_options plan_options() const {
    return plan_options(run_.options().operation_limit);
  }
  [[nodiscard]] joint_options plan_options(std::uint64_t operation_limit) const {
    return {.operation_limit = operation_limit, .control = run_.options().control};
  }

  const run_context& run_;
};

}  // namespace omnibal::inline v0::detail
