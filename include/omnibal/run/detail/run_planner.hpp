// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans a run: computes the strategies one after the other; the planned one is the plan of least
/// simulated epoch time among several candidates.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/baselines/vision_first_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/recompute/extreme_modes.hpp>
#include <omnibal/run/capacity_search.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/detail/capacity_candidates.hpp>
#include <omnibal/run/detail/epoch_bound.hpp>
#include <omnibal/run/detail/larger_microbatches.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatch_order_search.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0::detail {

/// The capacity that the paper trains with, enlarged to the largest sample.
[[nodiscard]] inline loads<2> paper_capacity(const run_problem& problem) {
  loads<2> capacity = problem.capacity.value_or(loads<2>{9, 4096});
  for (const vision_language_sample& sample : problem.samples)
    for (std::size_t r = 0; r < 2; ++r) capacity[r] = std::max(capacity[r], sample[r]);
  return capacity;
}

/// Plans and simulates one run_problem.
class run_planner {
 public:
  run_planner(const run_problem& problem, const search_control& control)
      : problem_(problem), control_(control), necessary_(necessary_time(problem.chain)) {}

  [[nodiscard]] run_plan plan() {
    run_plan result;
    result.naive = naive();
    result.unbalanced = unbalanced();
    result.published = published();
    if (problem_.current) result.current = current(*problem_.current);
    if (const std::int64_t nearest = nearest_possible(problem_.samples.size());
        !meets_batch(batches(schedule()), static_cast<double>(nearest))) {
      result.planned = missing_batch(nearest);
      return result;
    }
    if (const infeasibility why = constraints(schedule()).impossibility(schedule().total_stages());
        why.reason != infeasibility::cause::none) {
      result.planned = {.fits = false, .why = why};
      return result;
    }
    if (problem_.capacity) {
      result.planned = planned(*problem_.capacity);
    } else {
      result.capacities = searched_capacities();
      result.planned = planned(result.capacities.best);
    }
    result.planned = improved(std::move(result.planned));
    for (const run_strategy* other : {&result.published, &result.unbalanced, &result.naive})
      offer(result.planned, *other);
    if (result.current) offer(result.planned, *result.current);
    result.planned = with_moved_cuts(std::move(result.planned));
    result.ablation = ablation(result.unbalanced, result.planned);
    const epoch_bound least = bound(least_steps(result));
    result.bound_epoch_time = least.time;
    result.bound_fill_and_drain = least.fill_and_drain;
    return result;
  }

  [[nodiscard]] evaluated_run evaluate(const grouping<std::uint32_t>& packs,
                                       const dispatch_plan& dispatch, const loads<2>& capacity,
                                       const pipeline_plan& plan) const {
    run_strategy strategy{
        .status = search_status::feasible,
        .capacity = capacity,
        .data = earlier_batches(problem_.samples, packs, dispatch, batches(schedule())),
        .plan = plan};
    strategy.schedule = shape_for(schedule(), strategy.data);
    omnibal::validate(problem_for(strategy), plan);
    strategy = simulated(std::move(strategy));
    const std::int64_t least = bound(strategy.epoch.steps).time;
    return {.strategy = std::move(strategy), .bound_epoch_time = least};
  }

  /// Whether a quickly found plan fits the memory, at the smallest capacities that hold all samples
  /// or all but the longest.
  [[nodiscard]] bool fits_quickly() const {
    const auto fits = [&](std::span<const vision_language_sample> held) {
      const loads<2> smallest = capacity_candidates(held).smallest();
      return planned_quickly(balanced(smallest)).status != search_status::infeasible;
    };
    return fits(problem_.samples) || std::ranges::any_of(parts_of_longest, [&](std::size_t part) {
             return fits(without_longest(part));
           });
  }

  /// Of the plans that are optimal for one of the objectives, the one of least epoch time.
  [[nodiscard]] run_strategy planned(const loads<2>& capacity) const {
    // A part of the samples may be smaller than the batch; as many as asked for are enough.
    const std::int64_t nearest = nearest_possible(std::numeric_limits<std::int32_t>::max());
    if (!meets_batch(batches(schedule()), static_cast<double>(nearest)))
      return missing_batch(nearest);
    const run_strategy spread = planned_for(balanced(capacity));
    if (spread.data.oversize_per_rank == 0) return spread;
    const run_strategy gathered = planned_for(balanced(capacity, true));
    if (gathered.status == search_status::infeasible) return spread;
    return spread.status == search_status::infeasible || gathered.epoch.time < spread.epoch.time
               ? gathered
               : spread;
  }

  /// Precondition: the strategy has data, a schedule and a capacity.
  [[nodiscard]] pipeline_problem problem_for(const run_strategy& strategy) const {
    pipeline_problem numbers =
        problem_of(chain_of(strategy), strategy.schedule, strategy.data.load.mean_microbatch(),
                   at_capacity(largest_pack(strategy)), problem_.memory, problem_.overlap);
    add_constraints(numbers);
    return numbers;
  }

  /// Of all strategies.
  [[nodiscard]] static std::size_t least_steps(const run_plan& result) {
    std::size_t steps = result.unbalanced.epoch.steps;
    for (const run_strategy* strategy : {&result.naive, &result.published, &result.planned})
      if (strategy->status != search_status::infeasible)
        steps = std::min(steps, strategy->epoch.steps);
    return result.current ? std::min(steps, result.current->epoch.steps) : steps;
  }

 private:
  using cuts_and_modes = std::optional<pipeline_plan>;

  /// The longest samples, one in so many, that capacities need not hold.
  static constexpr std::array<std::size_t, 3> parts_of_longest = {400, 80, 20};
  void add_constraints(pipeline_problem& numbers) const {
    numbers.together = problem_.together;
    numbers.apart = problem_.apart;
    numbers.fixed_cuts = problem_.fixed_cuts;
  }

  /// The constraints for stages of a schedule.
  [[nodiscard]] partition_constraints constraints(const schedule_shape& schedule) const {
    pipeline_problem numbers{.schedule = schedule};
    numbers.layers.resize(problem_.chain.size());
    add_constraints(numbers);
    return partition_constraints(numbers);
  }

  static constexpr auto searched_objectives = std::to_array<any_objective>(
      {objectives::bottleneck{}, objectives::closed_form{}, objectives::period{}});

  [[nodiscard]] schedule_shape schedule() const {
    return {.kind = problem_.schedule,
            .stages = problem_.stages,
            .virtual_stages = problem_.virtual_stages};
  }

  /// The paper treats schedules with one stage per device and an unsplit backward only.
  [[nodiscard]] schedule_shape paper_schedule() const {
    const schedule_shape asked = schedule();
    const bool treated = !asked.shares_devices() && !asked.splits_backward();
    return {.kind = treated ? asked.kind : any_schedule(), .stages = problem_.stages};
  }

  [[nodiscard]] run_strategy planned_for(const run_strategy& assigned) const {
    run_strategy best = assigned;
    for (const any_objective& objective : searched_objectives) {
      infeasibility why;
      bool stopped = false;
      const cuts_and_modes plan = with_room(assigned, [&](const pipeline_problem& numbers) {
        const joint_plan joint = plan_jointly(numbers, objective, plan_options());
        why = joint.why;
        stopped = joint.status == search_status::stopped;
        return joint.plan.cuts.empty() ? cuts_and_modes() : cuts_and_modes(joint.plan);
      });
      if (!plan && stopped) continue;
      if (!plan) {
        best.why = why;
        if (why.reason == infeasibility::cause::none)
          best.why.reason = infeasibility::cause::memory;
        best.fits = false;
        return best;
      }
      consider(best, assigned, *plan);
    }
    if (const cuts_and_modes plan = with_room(
            assigned, [this](const pipeline_problem& numbers) { return sequential(numbers); }))
      consider(best, assigned, *plan);
    return best;
  }

  /// A plan of the search with room for the micro-batches beyond the capacity: as many at a time as
  /// a rank has in a step, beside others that fill it. The search is told what modes save on
  /// average over the micro-batches in flight, and what of full packs; the plan of less makespan
  /// counts. If there is none, it is told what they save of the largest micro-batch.
  template <typename Search>
  [[nodiscard]] cuts_and_modes with_room(const run_strategy& assigned, const Search& search) const {
    const pipeline_problem numbers = problem_for(assigned);
    const std::size_t count = assigned.data.oversize_per_rank;
    if (count == 0) return search(numbers);
    const pipeline_problem larger = problem_for_largest(assigned);
    const std::size_t in_flight =
        std::max<std::size_t>(1, std::min(assigned.schedule.microbatches, problem_.stages));
    const auto found = [&](const pipeline_problem& told) {
      return with_reserved_room(assigned, told, numbers, larger, search);
    };
    const auto time = [&](const pipeline_plan& plan) {
      return makespan(numbers.schedule, stage_costs(numbers, plan));
    };
    cuts_and_modes best = found(with_larger(numbers, larger, count, in_flight));
    const cuts_and_modes other = found(numbers);
    if (other && (!best || time(*other) < time(*best))) best = other;
    return best ? best : found(larger);
  }

  /// Memory that the search's plan lacks is reserved, and the search repeated.
  template <typename Search>
  [[nodiscard]] cuts_and_modes with_reserved_room(const run_strategy& assigned,
                                                  pipeline_problem reserving,
                                                  const pipeline_problem& numbers,
                                                  const pipeline_problem& larger,
                                                  const Search& search) const {
    constexpr int most_rounds = 8;
    for (int round = 0; round < most_rounds; ++round) {
      const cuts_and_modes plan = search(reserving);
      if (!plan) return plan;
      bool fits = true;
      const std::vector<std::int64_t> lacking = lacking_room(assigned, numbers, larger, *plan);
      for (std::size_t d = 0; d < lacking.size(); ++d) {
        fits = fits && lacking[d] == 0;
        reserving.reserved[d] += lacking[d];
        if (reserving.reserved[d] >= problem_.memory.limit) return std::nullopt;
      }
      if (fits) return plan;
    }
    return std::nullopt;
  }

  /// problem_for(), with the bytes of the larger of a full pack and the largest micro-batch.
  [[nodiscard]] pipeline_problem problem_for_largest(const run_strategy& assigned) const {
    const workload largest = assigned.data.load.largest();
    const loads<2> capacity = largest_pack(assigned);
    return problem_of(chain_of(assigned), assigned.schedule, assigned.data.load.mean_microbatch(),
                      {.tiles = std::max(capacity[0], largest.tiles),
                       .tokens = std::max(capacity[1], largest.tokens)},
                      problem_.memory);
  }

  /// Bytes per device that a plan for the capacity lacks for the larger micro-batches in flight.
  [[nodiscard]] std::vector<std::int64_t> lacking_room(const run_strategy& assigned,
                                                       const pipeline_problem& numbers,
                                                       const pipeline_problem& larger,
                                                       const pipeline_plan& plan) const {
    const std::vector<stage_cost> usual = stage_costs(numbers, plan);
    const std::vector<stage_cost> most = stage_costs(larger, plan);
    std::vector<std::int64_t> peaks = peak_memory(numbers, usual);
    const auto count = static_cast<std::int64_t>(assigned.data.oversize_per_rank);
    std::vector<std::int64_t> transient(peaks.size(), 0);
    for (std::size_t j = 0; j < usual.size(); ++j) {
      const std::size_t device = assigned.schedule.device(j);
      const activation_bytes& one = most[j].activation;
      const activation_bytes& less = usual[j].activation;
      const std::int64_t difference = std::max(
          one.saved - less.saved, one.saved_for_weight_gradient - less.saved_for_weight_gradient);
      peaks[device] += checked_multiply(count, difference, "memory");
      transient[device] = std::max(transient[device], one.transient - less.transient);
    }
    for (std::size_t d = 0; d < peaks.size(); ++d)
      peaks[d] = std::max<std::int64_t>(0, peaks[d] + transient[d] - problem_.memory.limit);
    return peaks;
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
            .control = control_};
  }

  /// The samples per step nearest to the global batch that a table of this size allows.
  [[nodiscard]] std::int64_t nearest_possible(std::size_t samples) const {
    return nearest_batch(batches(schedule()), samples);
  }

  [[nodiscard]] static run_strategy missing_batch(std::int64_t nearest) {
    return {.fits = false,
            .why = {.reason = infeasibility::cause::global_batch, .nearest_batch = nearest}};
  }

  [[nodiscard]] static schedule_shape shape_for(schedule_shape schedule, const batch_plan& data) {
    const std::size_t most = std::max<std::size_t>(1, data.load.most_microbatches());
    schedule.microbatches = runnable_microbatches(schedule, most);
    return schedule;
  }

  /// The chain as the strategy's schedule runs it.
  [[nodiscard]] std::vector<layer_cost> chain_of(const run_strategy& strategy) const {
    return chain_under(strategy.schedule.kind, problem_.chain, problem_.recompute_for_w);
  }

  [[nodiscard]] std::vector<stage_model> stages_of(const run_strategy& strategy) const {
    return stage_models(chain_of(strategy), strategy.plan, strategy.schedule,
                        strategy.data.load.mean_microbatch(), problem_.overlap);
  }

  [[nodiscard]] run_strategy simulated(run_strategy strategy) const {
    strategy.epoch = simulate_epoch(stages_of(strategy), strategy.schedule, strategy.data.load,
                                    problem_.memory.reserved, control_);
    strategy.time_as_assigned = strategy.epoch.time;
    strategy.keeps_constraints = constraints(strategy.schedule).allow(strategy.plan.cuts);
    strategy.fits = std::ranges::all_of(strategy.epoch.peak_memory, [&](std::int64_t peak) {
      return peak <= problem_.memory.limit;
    });
    return strategy;
  }

  /// The same plan with the micro-batches of every rank in the order that the search finds.
  [[nodiscard]] run_strategy in_order(run_strategy strategy) const {
    const std::int64_t as_assigned = strategy.epoch.time;
    strategy.data.dispatch.groups =
        order_epoch(stages_of(strategy), strategy.schedule, strategy.data.load, control_);
    strategy.data.load.assignment = strategy.data.dispatch.groups;
    strategy = simulated(std::move(strategy));
    strategy.time_as_assigned = as_assigned;
    return strategy;
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

  /// Random padded micro-batches and full recomputation.
  [[nodiscard]] run_strategy without_balance(std::vector<std::size_t> cuts) const {
    run_strategy strategy{.status = search_status::feasible,
                          .data = unbalanced_batches(problem_.samples, batches(schedule()))};
    strategy.plan = with_full_modes(std::move(cuts), strategy.data.load.mean_microbatch());
    strategy.schedule = shape_for(schedule(), strategy.data);
    return simulated(std::move(strategy));
  }

  [[nodiscard]] run_strategy naive() const {
    std::vector<layer_kind> kinds;
    for (const layer_cost& layer : problem_.chain) kinds.push_back(layer.kind);
    std::vector<std::size_t> cuts = partition_vision_first(kinds, schedule().total_stages());
    if (cuts.empty())
      return {.fits = false, .why = {.reason = infeasibility::cause::fewer_layers_than_stages}};
    return without_balance(std::move(cuts));
  }

  [[nodiscard]] run_strategy unbalanced() const {
    return without_balance(even_cuts_by_parameters());
  }

  /// Throws invalid_input if it is none for these layers and stages.
  [[nodiscard]] run_strategy current(const current_layout& layout) const {
    run_strategy strategy{.status = search_status::feasible, .plan = layout.plan};
    strategy.schedule = {.kind = layout.schedule,
                         .stages = problem_.stages,
                         .virtual_stages = layout.virtual_stages};
    omnibal::validate(strategy.schedule);
    const batch_options options = batches(strategy.schedule);
    if (layout.data) {
      strategy.capacity = layout.data->capacity;
      strategy.data =
          earlier_batches(problem_.samples, layout.data->packs, layout.data->dispatch, options);
      strategy.data.microbatches_per_rank = strategy.data.load.most_microbatches();
    } else {
      strategy.data = unbalanced_batches(problem_.samples, options);
    }
    strategy.schedule = shape_for(strategy.schedule, strategy.data);
    const workload mean = strategy.data.load.mean_microbatch();
    omnibal::validate(problem_of(chain_under(layout.schedule, problem_.chain), strategy.schedule,
                                 mean, mean, problem_.memory),
                      strategy.plan);
    return simulated(std::move(strategy));
  }

  // ---- paper baseline ---------------------------------------------------------------------------

  [[nodiscard]] run_strategy published() const {
    const loads<2> capacity = paper_capacity(problem_);
    run_strategy strategy{
        .capacity = capacity,
        .data = paper_batches(problem_.samples, capacity, batches(paper_schedule()))};
    strategy.schedule = shape_for(paper_schedule(), strategy.data);
    const pipeline_problem numbers = problem_for(strategy);
    if (cuts_and_modes plan = plan_by_paper(numbers)) {
      strategy.status = search_status::feasible;
      strategy.plan = std::move(*plan);
      return simulated(std::move(strategy));
    }
    strategy.fits = false;
    strategy.why = paper_plan_shortfall(numbers);
    return strategy;
  }

  // ---- planned ----------------------------------------------------------------------------------

  [[nodiscard]] static workload at_capacity(const loads<2>& capacity) {
    return {.tiles = capacity[0], .tokens = capacity[1]};
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

  /// The most that a pack can hold: its capacity, or less where it may have few samples only.
  [[nodiscard]] loads<2> largest_pack(const run_strategy& strategy) const {
    loads<2> capacity = *strategy.capacity;
    const std::size_t most_samples = strategy.data.most_samples_per_pack;
    if (most_samples == 0) return capacity;
    loads<2> largest = {1, 1};
    for (const vision_language_sample& sample : problem_.samples)
      for (std::size_t r = 0; r < 2; ++r) largest[r] = std::max(largest[r], sample[r]);
    for (std::size_t r = 0; r < 2; ++r) {
      const wide_integer all = static_cast<wide_integer>(largest[r]) * most_samples;
      capacity[r] = static_cast<std::int64_t>(std::min<wide_integer>(capacity[r], all));
    }
    return capacity;
  }

  /// Also considers the plans of least makespan for the mean micro-batch and on average over the
  /// actual micro-batches of some ranks and steps.
  [[nodiscard]] run_strategy improved(run_strategy best,
                                      std::uint64_t operation_limit = search_limit) const {
    if (best.status == search_status::infeasible || control_.stop_requested()) return best;
    const run_strategy assigned = balanced(*best.capacity, best.data.oversize_gathered);
    const auto consider_found = [&](const auto& search) {
      const cuts_and_modes plan = with_room(assigned, [&](const pipeline_problem& numbers) {
        const joint_plan found = search(numbers);
        return found.plan.cuts.empty() ? cuts_and_modes() : cuts_and_modes(found.plan);
      });
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
    const pipeline_problem numbers = problem_for(best);
    const partition_constraints rules(numbers);
    std::int64_t left = move_limit(best);
    const auto improves = [&](const std::vector<std::size_t>& cuts) {
      if (!rules.allow(cuts)) return false;
      const cuts_and_modes plan =
          with_room(best, [&](const pipeline_problem& some) { return assign_modes(some, cuts); });
      if (!plan) return false;
      run_strategy candidate = best;
      candidate.plan = *plan;
      candidate = simulated(std::move(candidate));
      --left;
      if (candidate.epoch.time - best.epoch.time > best.epoch.time / 50) return false;
      candidate = in_order(std::move(candidate));
      left -= order_search_cost;
      if (candidate.epoch.time >= best.epoch.time) return false;
      candidate.time_as_assigned = best.time_as_assigned;
      best = std::move(candidate);
      return true;
    };
    const auto step = [&] {
      for (std::size_t j = 1; j + 1 < best.plan.cuts.size(); ++j)
        for (const bool up : {true, false}) {
          if (left <= 0 || control_.stop_requested()) return false;
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

  /// Simulations of the epoch that one search for orders counts as.
  static constexpr std::int64_t order_search_cost = 10;

  /// Epochs that moves of cuts may simulate: about a second of one core, and a few for any epoch.
  [[nodiscard]] static std::int64_t move_limit(const run_strategy& strategy) {
    constexpr std::int64_t operations = 150'000'000;
    constexpr std::int64_t most = 1000;
    const auto neighbours = static_cast<std::int64_t>(2 * strategy.schedule.total_stages());
    return std::max(neighbours, std::min(most, operations / epoch_operations(strategy)));
  }

  /// Operations of one simulated epoch.
  [[nodiscard]] static std::int64_t epoch_operations(const run_strategy& strategy) {
    const std::size_t count =
        strategy.data.load.microbatches.size() * 3 * strategy.schedule.total_stages();
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(count));
  }

  /// Replaces a plan by another strategy's micro-batches, without padding, and layers, where these
  /// meet the same wishes (schedule, capacity, global batch, memory for any order of micro-batches)
  /// and are faster: the best that was seen is always offered.
  void offer(run_strategy& best, const run_strategy& other) const {
    const batch_options wished = batches(schedule());
    if (other.status == search_status::infeasible ||
        !meets_batch(wished, other.data.mean_samples_per_step) ||
        other.schedule.kind != problem_.schedule || other.schedule.stages != problem_.stages ||
        other.schedule.virtual_stages != problem_.virtual_stages)
      return;
    run_strategy candidate = other;
    candidate.data =
        earlier_batches(problem_.samples, other.data.packing.packs, other.data.dispatch, wished);
    candidate.data.packing.bound = other.data.packing.bound;
    candidate.data.microbatches_per_rank = other.data.microbatches_per_rank;
    const workload largest = candidate.data.load.largest();
    if (problem_.capacity &&
        (largest.tiles > (*problem_.capacity)[0] || largest.tokens > (*problem_.capacity)[1]))
      return;
    if (!candidate.capacity)
      candidate.capacity = loads<2>{std::max<std::int64_t>(1, largest.tiles),
                                    std::max<std::int64_t>(1, largest.tokens)};
    if (!candidate.keeps_constraints || !fits_when_full(candidate)) return;
    candidate = in_order(simulated(std::move(candidate)));
    if (best.status == search_status::infeasible || candidate.epoch.time < best.epoch.time)
      best = std::move(candidate);
  }

  [[nodiscard]] bool fits_when_full(const run_strategy& strategy) const {
    return omnibal::evaluate(problem_for(strategy), strategy.plan).fits();
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
    for (const layer_cost& layer : chain_of(strategy)) {
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

  /// The limit of one search for a plan; a run needs several per capacity.
  static constexpr std::uint64_t search_limit = 30'000'000;

  [[nodiscard]] joint_options plan_options(std::uint64_t operation_limit = search_limit) const {
    return {.operation_limit = operation_limit, .control = control_};
  }

  void consider(run_strategy& best, const run_strategy& assigned, const pipeline_plan& plan) const {
    if (best.status != search_status::infeasible && plan == best.plan) return;
    run_strategy candidate = assigned;
    candidate.status = search_status::feasible;
    candidate.plan = plan;
    candidate = in_order(simulated(std::move(candidate)));
    if (best.status == search_status::infeasible || candidate.epoch.time < best.epoch.time)
      best = std::move(candidate);
  }

  /// The same problem with every layer recomputed fully.
  [[nodiscard]] static pipeline_problem fully_recomputed(pipeline_problem numbers) {
    for (pipeline_layer& one : numbers.layers) one.modes = {one.modes[full_mode(one)]};
    return numbers;
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

  // ---- comparison -------------------------------------------------------------------------------

  [[nodiscard]] std::vector<ablation_row> ablation(const run_strategy& unbalanced,
                                                   const run_strategy& planned) const {
    std::vector<ablation_row> rows = {row("unbalanced", unbalanced)};
    if (planned.status == search_status::infeasible) return rows;
    const run_strategy assigned = balanced(*planned.capacity, planned.data.oversize_gathered);
    const auto add = [&](const char* name, const cuts_and_modes& plan) {
      if (!plan) return;
      run_strategy strategy = assigned;
      strategy.plan = *plan;
      rows.push_back(row(name, in_order(simulated(std::move(strategy)))));
    };
    add("+ data", with_full_modes(even_cuts_by_parameters(), assigned.data.load.mean_microbatch()));
    add("+ partition", with_room(assigned, [this](const pipeline_problem& numbers) {
          return balanced_and_full(numbers);
        }));
    add("+ recomputation", with_room(assigned, [this](const pipeline_problem& numbers) {
          return sequential(numbers);
        }));
    rows.push_back(row("joint", planned));
    return rows;
  }

  [[nodiscard]] static ablation_row row(const char* name, const run_strategy& strategy) {
    return {.name = name, .fits = strategy.fits, .epoch_time = strategy.epoch.time};
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

  /// In a full step, also where the table is too small for one.
  [[nodiscard]] static double expected_samples_per_step(const batch_plan& data) {
    const grouping<std::uint32_t>& packs = data.packing.packs;
    if (packs.empty()) return 0;
    return static_cast<double>(packs.indices().size()) / static_cast<double>(packs.size()) *
           static_cast<double>(data.load.ranks * data.microbatches_per_rank);
  }

  /// One plan, in a quickly found order. `assigned` has balanced data.
  [[nodiscard]] run_strategy planned_quickly(run_strategy assigned) const {
    constexpr std::size_t simulations_per_rank = 6;
    const cuts_and_modes plan = with_room(assigned, [](const pipeline_problem& numbers) {
      const joint_plan joint =
          plan_jointly(numbers, objectives::closed_form{}, {.operation_limit = 3'000'000});
      return joint.plan.cuts.empty() ? cuts_and_modes() : cuts_and_modes(joint.plan);
    });
    if (!plan) return assigned;
    assigned.plan = *plan;
    assigned.status = search_status::feasible;
    assigned.data.load.assignment = order_epoch(stages_of(assigned), assigned.schedule,
                                                assigned.data.load, {}, simulations_per_rank);
    return simulated(std::move(assigned));
  }

  /// As a run with this capacity ends, where its epochs take little to simulate; elsewhere before
  /// its improvement, whose gain is much alike for all capacities of many micro-batches.
  [[nodiscard]] run_strategy planned_thoroughly(const loads<2>& capacity) const {
    constexpr std::int64_t most_operations = 20'000;
    run_strategy strategy = planned(capacity);
    if (epoch_operations(strategy) > most_operations) return strategy;
    return with_moved_cuts(improved(std::move(strategy), search_limit / 10));
  }

  [[nodiscard]] static capacity_outcome outcome_of(const run_strategy& strategy,
                                                   std::size_t samples) {
    const auto count = static_cast<double>(std::max<std::size_t>(1, samples));
    const packing_result& packing = strategy.data.packing;
    return {.fits = strategy.status != search_status::infeasible,
            .time_per_sample = strategy.epoch_seconds() / count,
            .samples_per_step = expected_samples_per_step(strategy.data),
            .packs_over_bound = packing.bound == 0 ? 1.0
                                                   : static_cast<double>(packing.objective) /
                                                         static_cast<double>(packing.bound),
            .packs = packing.packs.size()};
  }

  /// The samples but for the longest, one in `part`, by the resource in which each is furthest
  /// above the mean.
  [[nodiscard]] std::vector<vision_language_sample> without_longest(std::size_t part) const {
    std::array<double, 2> total = {};
    for (const vision_language_sample& sample : problem_.samples)
      for (std::size_t r = 0; r < 2; ++r) total[r] += static_cast<double>(sample[r]);
    for (double& one : total) one = std::max(one, 1.0);
    std::vector<vision_language_sample> kept(problem_.samples.begin(), problem_.samples.end());
    const auto share = [&](const vision_language_sample& sample) {
      return std::max(static_cast<double>(sample[0]) / total[0],
                      static_cast<double>(sample[1]) / total[1]);
    };
    std::ranges::stable_sort(kept, {}, share);
    kept.resize(kept.size() - std::min(kept.size() - 1, (kept.size() + part - 1) / part));
    return kept;
  }

  /// The capacities that hold every sample, or those that hold all but the longest where they are
  /// faster; the latter are searched for quickly where they may be much smaller, then thoroughly.
  [[nodiscard]] capacity_search searched_capacities() const {
    capacity_search best = search_capacity(capacity_question(problem_.samples), control_);
    if (problem_.oversize != oversize_policy::own_pack) return best;
    loads<2> smallest = capacity_candidates(problem_.samples).smallest();
    std::vector<vision_language_sample> fastest;
    for (const std::size_t part : parts_of_longest) {
      if (control_.stop_requested()) break;
      const std::vector<vision_language_sample> kept = without_longest(part);
      const loads<2> without = capacity_candidates(kept).smallest();
      if (4 * without[0] > 3 * smallest[0] && 4 * without[1] > 3 * smallest[1]) continue;
      smallest = without;
      capacity_problem quickly = capacity_question(kept);
      quickly.most_tried = 20;
      quickly.most_planned = 2;
      if (const capacity_outcome& known = outcome_of_best(best); known.fits)
        quickly.time_to_beat = known.time_per_sample;
      capacity_search other = search_capacity(quickly, control_);
      if (!is_faster(other, best)) continue;
      best = std::move(other);
      fastest = kept;
    }
    if (fastest.empty() || control_.stop_requested()) return best;
    capacity_search thorough = search_capacity(capacity_question(fastest), control_);
    return is_faster(best, thorough) ? best : thorough;
  }

  [[nodiscard]] static const capacity_outcome& outcome_of_best(const capacity_search& search) {
    return std::ranges::find(search.candidates, search.best, &capacity_candidate::capacity)
        ->outcome;
  }

  [[nodiscard]] bool is_faster(const capacity_search& one, const capacity_search& other) const {
    const auto rank = [&](const capacity_search& search) {
      const capacity_outcome& best = outcome_of_best(search);
      const bool meets = meets_batch(batches(schedule()), best.samples_per_step);
      return std::tuple(!best.fits, !meets, best.time_per_sample);
    };
    return rank(one) < rank(other);
  }

  [[nodiscard]] capacity_problem capacity_question(
      std::span<const vision_language_sample> held) const {
    const auto evaluate = [this](const loads<2>& capacity,
                                 std::span<const vision_language_sample> samples,
                                 capacity_effort effort) {
      run_problem part = problem_;
      part.samples = samples;
      const run_planner planner(part, {});
      return outcome_of(effort == capacity_effort::all_plans
                            ? planner.planned_thoroughly(capacity)
                            : planner.planned_quickly(planner.balanced(capacity)),
                        samples.size());
    };
    return {.samples = problem_.samples,
            .held = held,
            .evaluate = evaluate,
            .global_batch = problem_.global_batch,
            .batch_tolerance = problem_.batch_tolerance,
            .seed = problem_.seed};
  }

  run_problem problem_;
  search_control control_;
  linear_cost necessary_;
};

}  // namespace omnibal::inline v0::detail
