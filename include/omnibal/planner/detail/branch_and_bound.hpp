// SPDX-License-Identifier: Apache-2.0
/// @file
/// Branch and bound over the cuts of a chain for measures of simulated makespans.
///
/// Cuts are chosen from the last stage to the first. The stages chosen so far are simulated as a
/// pipeline of their own; what comes before them is bounded by tables over (stages, layers) that
/// dynamic programs fill once. For the stages s … last on layers b … n, in each scenario, with
/// minima over all ways to cut b layers into s stages, and with every device's step time after its
/// last operation:
/// - head: Σ (F + its latency) of the first micro-batch; no operation of the suffix starts earlier;
/// - through: Σ (F of the first + B of the last micro-batch + latencies); the last backward of the
///   suffix's first stage must pass back through all of them;
/// - busy: the maximum over prefix stages t of head(t) + all its work and through(t) + its work up
///   to its last backward: a device runs strictly in order;
/// - filled: the maximum over prefix stages t of this path: the first micro-batch passes down to
/// the
///   last stage and back to t, which then still has all its backwards and the forwards that its
///   order puts after the first of them, and the last backward passes on;
/// - work: Σ of all operations; over p devices, some device has at least the mean.
/// Every one but the last is the length of a path in the graph of operations, and simulated
/// suffixes are longest paths of a part of that graph, so in every scenario
///     max(head + all, through + backward, busy, filled + the suffix's first round trip, ⌈work /
///     p⌉)
/// is a lower bound on every makespan below the node. Measures do not decrease when a makespan
/// grows, so the measure of the bounds is a bound on the measure. The only assumption on the
/// schedule is that F, B and W of a stage each run in the order of micro-batches; latencies and m
/// are arbitrary.
///
/// Passes: the first prunes all nodes that cannot improve on the best plan by 8 %, the next by 4 %,
/// … and 0. Each completed pass proves a bound, so that a stopped search still has one.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// The recomputation that layers begin … end − 1 need as virtual stage j: the least extra time, or
/// a lower bound on it, before the device's factor; the largest integer if they cannot fit. If it
/// is only a bound, the type has a member `assigns_modes`, and assign() evaluates whole partitions.
template <typename Stages>
concept stage_recomputation = requires(Stages& stages, std::size_t j) {
  { stages.least_extra(j, j, j) } -> std::same_as<std::int64_t>;
  { stages.minimum_time_extra(j, j) } -> std::same_as<std::int64_t>;
  { stages.rules() } -> std::convertible_to<const partition_constraints&>;
};

/// The result of a search over cuts. Values are measures times their denominator.
struct cut_plan {
  static constexpr wide_integer none =
      std::numeric_limits<std::int64_t>::max() *
      static_cast<wide_integer>(std::numeric_limits<std::int64_t>::max());

  search_status status = search_status::infeasible;
  wide_integer value = none;
  wide_integer bound = 0;
  std::vector<std::size_t> cuts = {};
  std::vector<std::int64_t> extra = {};  ///< Recomputation of every virtual stage.
};

/// O(p·n²) arcs of the tables, each O(scenarios · columns), and one simulation of a suffix per
/// node; exponentially many nodes in the worst case. Keeps references to its arguments.
template <stage_recomputation Stages>
class cut_search {
 public:
  cut_search(const pipeline_problem& problem, const interval_times& times,
             const makespan_measure& measure, Stages& stages, const joint_options& options)
      : problem_(problem),
        times_(times),
        measure_(measure),
        stages_(stages),
        options_(options),
        total_(problem.schedule.total_stages()),
        layers_(problem.layers.size()),
        scenarios_(times.scenarios()),
        suffix_(problem.schedule, times),
        spare_(times.width()),
        latest_(total_) {
    count_operations();
  }

  /// Searches, starting with the best of the given partitions. Infeasible only if none was given
  /// and none is found; if none was given, a stopped search may have no plan.
  [[nodiscard]] cut_plan solve(std::vector<std::vector<std::size_t>> starts) {
    for (const std::vector<std::size_t>& cuts : starts) consider(cuts);
    if constexpr (requires { stages_.fitting_cuts(starts); }) {
      if (best_.value == cut_plan::none) starts.push_back(stages_.fitting_cuts(starts));
      consider(starts.back());
    }
    if (problem_.schedule.shares_devices())
      walk_partitions(
          starts, cut_plan::none, [&](const auto& cuts) { return value_of(cuts); },
          [&] { return stopped() || operations_ > options_.operation_limit / 2; });
    if (best_.value != cut_plan::none)
      improve_cuts([&] { return best_.cuts; }, [&](const auto& cuts) { return consider(cuts); },
                   [&] { return stopped(); });
    reach_ends();
    fill_tables();
    best_.bound = std::min(best_.value, complete_ ? root_bound() : least_work());
    if (complete_) prove();
    best_.bound = std::min(best_.bound, unproven_);
    if (best_.value == cut_plan::none)
      best_.status = exhausted_ || unproven_ != cut_plan::none ? search_status::stopped
                                                               : search_status::infeasible;
    else
      best_.status = best_.bound >= best_.value ? search_status::optimal : search_status::stopped;
    return std::move(best_);
  }

 private:
  using per_scenario = std::vector<std::int64_t>;

  /// The position of a stage's first and last backward in the order of its operations.
  struct stage_order {
    std::size_t forwards_before_backward = 0;          ///< Of F, before the first B.
    std::size_t weight_gradients_before_backward = 0;  ///< Of W, before the last B.
  };

  /// Lengths of the paths through one stage in one scenario; latencies are those of the edge after
  /// it.
  struct arc {
    std::int64_t first_forward = 0;
    std::int64_t first_round = 0;  ///< F and B of the first micro-batch.
    std::int64_t last_round = 0;   ///< F of the first, B of the last.
    std::int64_t work = 0;         ///< All operations and the step time.
    std::int64_t span = 0;         ///< All up to the last backward.
    std::int64_t rest = 0;         ///< First F, then all from the first to the last backward.
    std::int64_t largest_forward = 0;
    std::int64_t largest_backward = 0;
    std::int64_t end = 0;  ///< What follows the last backward of the first stage; 0 for others.
  };

  /// Minima over the ways to cut the first layers into stages, as described at the top.
  struct prefix {
    std::int64_t head = unreached;
    std::int64_t through = unreached;
    std::int64_t busy = unreached;
    std::int64_t filled = unreached;
    std::int64_t work = unreached;
    std::int64_t forward_cap = unreached;   ///< Least largest F, for GPipe.
    std::int64_t backward_cap = unreached;  ///< Least largest B, for GPipe.
  };
  static constexpr std::int64_t unreached = std::numeric_limits<std::int64_t>::max();

  /// The stages chosen so far, in one scenario.
  struct chosen {
    suffix_ends ends = {};
    std::int64_t first_round = 0;
    std::int64_t work = 0;
    std::int64_t sum = 0;  ///< For GPipe: Σ (T + C), largest F and B.
    std::int64_t largest_forward = 0;
    std::int64_t largest_backward = 0;
  };

  struct child {
    wide_integer bound;
    std::size_t begin;
    std::vector<chosen> state;
  };

  // ---- plans ------------------------------------------------------------------------------------

  /// Simulates a partition and stores it if it is better than the best.
  bool consider(const std::vector<std::size_t>& cuts) {
    const wide_integer before = best_.value;
    (void)value_of(cuts);
    return best_.value < before;
  }

  /// The value of a partition, stored if it is better than the best; `none` if it cannot fit. Where
  /// modes are assigned to whole partitions, the value of the least recomputation of every stage.
  wide_integer value_of(const std::vector<std::size_t>& cuts) {
    if (cuts.size() != total_ + 1) return cut_plan::none;
    for (std::size_t j = 0; j < total_; ++j) {
      if (cuts[j] >= cuts[j + 1] || !stages_.rules().allows(j, cuts[j], cuts[j + 1]))
        return cut_plan::none;
      if (!place(j, cuts[j], cuts[j + 1])) return cut_plan::none;
    }
    const wide_integer value = measured();
    if (value < best_.value) (void)remember(cuts, value);
    return value;
  }

  /// Stores a partition whose stages are placed if it is still the best with its modes assigned.
  bool remember(const std::vector<std::size_t>& cuts, wide_integer value) {
    if constexpr (requires { Stages::assigns_modes; }) {
      const auto evaluate = [&](const std::vector<std::int64_t>& extra) {
        for (std::size_t j = 0; j < total_; ++j)
          times_.stage(problem_.schedule.device(j), cuts[j], cuts[j + 1], extra[j],
                       suffix_.durations(j));
        return measured();
      };
      auto assigned = stages_.assign(cuts, evaluate, best_.value);
      if (!assigned.proven) unproven_ = std::min(unproven_, value);
      if (assigned.value >= best_.value) return false;
      best_.value = assigned.value;
      best_.extra = std::move(assigned.extra);
    } else {
      best_.value = value;
      best_.extra = latest_;
    }
    best_.cuts = cuts;
    return true;
  }

  /// Sets the durations of stage j and the latency after it; false if it cannot fit.
  bool place(std::size_t j, std::size_t begin, std::size_t end) {
    latest_[j] = stages_.least_extra(j, begin, end);
    if (latest_[j] == unreached) return false;
    times_.stage(problem_.schedule.device(j), begin, end, latest_[j], suffix_.durations(j));
    suffix_.set_step(j, times_.step(begin, end));
    suffix_.set_latency(j, forward_latency(end), backward_latency(end));
    return true;
  }

  [[nodiscard]] std::int64_t forward_latency(std::size_t cut) const {
    return cut == layers_ ? 0 : problem_.layers[cut - 1].forward_latency;
  }
  [[nodiscard]] std::int64_t backward_latency(std::size_t cut) const {
    return cut == layers_ ? 0 : problem_.layers[cut - 1].backward_latency;
  }

  /// The measure with the current durations.
  [[nodiscard]] wide_integer measured() {
    per_scenario makespans(scenarios_);
    for (std::size_t k = 0; k < scenarios_; ++k) makespans[k] = simulate(0, k).all;
    return measure_.value(makespans);
  }

  [[nodiscard]] suffix_ends simulate(std::size_t first, std::size_t scenario) {
    operations_ += suffix_.operations(first);
    return suffix_.run(first, scenario);
  }

  [[nodiscard]] bool stopped() {
    exhausted_ =
        exhausted_ || operations_ > options_.operation_limit || options_.control.stop_requested();
    return exhausted_;
  }

  // ---- paths ------------------------------------------------------------------------------------

  void count_operations() {
    order_.resize(total_);
    for (std::size_t device = 0; device < problem_.schedule.stages; ++device) {
      std::vector<std::size_t> backwards(total_, 0);
      for (const pipeline_operation& work : device_order(problem_.schedule, device)) {
        stage_order& order = order_[work.stage];
        switch (work.kind) {
          case operation_kind::forward:
            order.forwards_before_backward += backwards[work.stage] == 0;
            break;
          case operation_kind::backward: ++backwards[work.stage]; break;
          case operation_kind::weight_gradient:
            order.weight_gradients_before_backward +=
                backwards[work.stage] < problem_.schedule.microbatches;
            break;
        }
      }
    }
    forwards_first_ = !problem_.schedule.shares_devices() && !problem_.schedule.splits_backward() &&
                      std::ranges::all_of(order_, [&](const stage_order& order) {
                        return order.forwards_before_backward == problem_.schedule.microbatches;
                      });
  }

  /// The paths through stage j of layers begin … end − 1 in one scenario, with the durations in
  /// spare_.
  [[nodiscard]] arc paths(std::size_t j, std::size_t begin, std::size_t end,
                          std::size_t scenario) const {
    arc path = paths(j, spare_.data() + scenario * times_.columns());
    const std::int64_t step = times_.step(begin, end);
    path.work += step;
    if (j == 0) path.end = step;
    return path;
  }

  [[nodiscard]] arc paths(std::size_t j, const operation_durations* durations) const {
    const std::size_t m = problem_.schedule.microbatches;
    const stage_order& order = order_[j];
    const operation_durations& first = durations[0];
    const operation_durations& last = durations[times_.column_of(m - 1)];
    arc path{.first_forward = first[0],
             .first_round = first[0] + first[1],
             .last_round = first[0] + last[1],
             .rest = first[0],
             .largest_forward = first[0],
             .largest_backward = first[1]};
    if (times_.columns() == 1) {
      const auto all = static_cast<std::int64_t>(m);
      const auto late = static_cast<std::int64_t>(m - order.forwards_before_backward);
      const auto early = static_cast<std::int64_t>(order.weight_gradients_before_backward);
      path.work = all * (first[0] + first[1] + first[2]);
      path.span = all * (first[0] + first[1]) + early * first[2];
      path.rest += late * first[0] + all * first[1] + early * first[2];
      return path;
    }
    for (std::size_t k = 0; k < m; ++k) {
      const auto& [forward, backward, weight_gradient] = durations[k];
      const bool early = k < order.weight_gradients_before_backward;
      path.work += forward + backward + weight_gradient;
      path.span += forward + backward + (early ? weight_gradient : 0);
      path.rest += backward + (early ? weight_gradient : 0) +
                   (k >= order.forwards_before_backward ? forward : 0);
    }
    return path;
  }

  // ---- tables -----------------------------------------------------------------------------------

  /// Calls visit(begin) for the intervals that end after `end` layers and whose work alone is below
  /// the best plan's value, from the shortest on, with the interval's durations in spare_. With
  /// `bare` they are those without recomputation, which needs no knapsack.
  template <typename Visit>
  void for_each_begin(std::size_t j, std::size_t end, bool bare, const Visit& visit) {
    const partition_constraints& rules = stages_.rules();
    if (!rules.may_begin(j + 1, end)) return;
    const std::size_t lowest = std::max(j, rules.first_begin(end));
    for (std::size_t begin = end; begin-- > lowest;) {
      if (options_.control.stop_requested()) {
        complete_ = false;
        exhausted_ = true;
        return;
      }
      if (!rules.may_begin(j, begin) || (j == 0 && begin > 0)) continue;
      if (!works_within(j, begin, end, stages_.minimum_time_extra(begin, end))) return;
      if (bare) {
        visit(begin);
        continue;
      }
      if (!reached(j, begin) || !reached(j + 1, end)) continue;
      const std::int64_t extra = stages_.least_extra(j, begin, end);
      if (extra == unreached || !works_within(j, begin, end, extra)) return;
      visit(begin);
    }
  }

  /// Whether the interval's work, which grows with it, is below the best plan's value. Leaves its
  /// durations in spare_.
  [[nodiscard]] bool works_within(std::size_t j, std::size_t begin, std::size_t end,
                                  std::int64_t extra) {
    times_.stage(problem_.schedule.device(j), begin, end, extra, spare_);
    per_scenario work(scenarios_);
    for (std::size_t k = 0; k < scenarios_; ++k)
      work[k] = paths(j, spare_.data() + k * times_.columns()).work + times_.fixed_step(begin, end);
    return measure_.value(work) < best_.value;
  }

  [[nodiscard]] bool reached(std::size_t j, std::size_t begin) const {
    return reached_[j * (layers_ + 1) + begin] != 0;
  }

  /// Marks every (stage, layer) from which the end of the chain can be reached.
  void reach_ends() {
    reached_.assign((total_ + 1) * (layers_ + 1), 0);
    reached_[total_ * (layers_ + 1) + layers_] = 1;
    for (std::size_t j = total_; j-- > 0;)
      for (std::size_t end = j + 1; end <= layers_; ++end) {
        if (!reached(j + 1, end)) continue;
        for_each_begin(j, end, true,
                       [&](std::size_t begin) { reached_[j * (layers_ + 1) + begin] = 1; });
      }
  }

  [[nodiscard]] prefix* prefixes(std::size_t j, std::size_t begin) {
    return prefixes_.data() + (j * (layers_ + 1) + begin) * scenarios_;
  }

  void fill_tables() {
    prefixes_.assign((total_ + 1) * (layers_ + 1) * scenarios_, prefix{});
    for (std::size_t k = 0; k < scenarios_; ++k) prefixes(0, 0)[k] = {0, 0, 0, 0, 0, 0, 0};
    for (std::size_t j = 0; j < total_; ++j)
      for (std::size_t end = j + 1; end <= layers_; ++end) {
        if (!reached(j + 1, end)) continue;
        for_each_begin(j, end, false, [&](std::size_t begin) {
          for (std::size_t k = 0; k < scenarios_; ++k)
            extend(prefixes(j, begin)[k], paths(j, begin, end, k), end, prefixes(j + 1, end)[k]);
        });
      }
  }

  void extend(const prefix& from, const arc& path, std::size_t end, prefix& to) const {
    if (from.head == unreached) return;
    const std::int64_t down = forward_latency(end);
    const std::int64_t both = down + backward_latency(end);
    to.head = std::min(to.head, from.head + path.first_forward + down);
    const std::int64_t through = from.through + path.end;
    to.through = std::min(to.through, through + path.last_round + both);
    to.busy = std::min(to.busy, std::max({from.busy, from.head + path.work, through + path.span}));
    to.filled = std::min(
        to.filled, std::max(from.filled + path.first_round + both, through + path.rest + both));
    to.work = std::min(to.work, from.work + path.work);
    to.forward_cap = std::min(to.forward_cap, std::max(from.forward_cap, path.largest_forward));
    to.backward_cap = std::min(to.backward_cap, std::max(from.backward_cap, path.largest_backward));
  }

  /// The work of all layers without recomputation, spread evenly over devices that are all like the
  /// fastest: a bound that needs no tables.
  [[nodiscard]] wide_integer least_work() {
    const auto devices = static_cast<std::int64_t>(problem_.schedule.stages);
    const std::int64_t extra = stages_.minimum_time_extra(0, layers_);
    per_scenario least(scenarios_, unreached);
    for (std::size_t j = 0; j < total_; ++j) {
      times_.stage(problem_.schedule.device(j), 0, layers_, extra, spare_);
      for (std::size_t k = 0; k < scenarios_; ++k)
        least[k] = std::min(
            least[k],
            divide_rounding_up(paths(j, spare_.data() + k * times_.columns()).work, devices));
    }
    return measure_.value(least);
  }

  [[nodiscard]] wide_integer root_bound() {
    return bound_of(total_, layers_, std::vector<chosen>(scenarios_));
  }

  // ---- nodes ------------------------------------------------------------------------------------

  /// The bound of stages j … last on layers begin … n; `none` if there is no prefix.
  [[nodiscard]] wide_integer bound_of(std::size_t j, std::size_t begin,
                                      const std::vector<chosen>& state) {
    per_scenario bounds(scenarios_);
    for (std::size_t k = 0; k < scenarios_; ++k) {
      const prefix& before = prefixes(j, begin)[k];
      if (before.head == unreached) return cut_plan::none;
      const chosen& after = state[k];
      const auto devices = static_cast<std::int64_t>(problem_.schedule.stages);
      bounds[k] = std::max({before.head + after.ends.all, before.through + after.ends.backward,
                            before.busy, before.filled + after.first_round,
                            divide_rounding_up(before.work + after.work, devices)});
      if (closed_form_is_exact()) {
        const auto repeats = static_cast<std::int64_t>(problem_.schedule.microbatches - 1);
        bounds[k] = std::max(bounds[k],
                             before.through + after.sum +
                                 repeats * (std::max(before.forward_cap, after.largest_forward) +
                                            std::max(before.backward_cap, after.largest_backward)));
      }
    }
    return measure_.value(bounds);
  }

  /// All forwards first (GPipe) with equal micro-batches is two flow shops of identical jobs, one
  /// after the other: Σ (T + C) + (m − 1) · (max F + max B).
  [[nodiscard]] bool closed_form_is_exact() const {
    return forwards_first_ && times_.columns() == 1;
  }

  /// Bounds, without a simulation, on the suffix extended by the stage in spare_.
  [[nodiscard]] std::vector<chosen> extended(std::size_t j, std::size_t begin, std::size_t end,
                                             const std::vector<chosen>& state) const {
    std::vector<chosen> next(scenarios_);
    const std::int64_t down = forward_latency(end);
    const std::int64_t both = down + backward_latency(end);
    for (std::size_t k = 0; k < scenarios_; ++k) {
      const arc path = paths(j, begin, end, k);
      next[k].ends.all = std::max(path.work, path.first_forward + down + state[k].ends.all);
      next[k].ends.backward = std::max(path.span, path.last_round + both + state[k].ends.backward);
      next[k].first_round = path.first_round + both + state[k].first_round;
      next[k].work = path.work + state[k].work;
      next[k].sum = path.last_round + both + state[k].sum;
      next[k].largest_forward = std::max(state[k].largest_forward, path.largest_forward);
      next[k].largest_backward = std::max(state[k].largest_backward, path.largest_backward);
    }
    return next;
  }

  void prove() {
    for (const std::int64_t thousandths : {80, 40, 20, 10, 5, 2, 1, 0}) {
      if (best_.bound >= best_.value && best_.value != cut_plan::none) return;
      if (best_.value == cut_plan::none && thousandths > 0) continue;
      target_ = best_.value == cut_plan::none
                    ? cut_plan::none
                    : (best_.value * 1000 + 999 + thousandths) / (1000 + thousandths);
      if (target_ <= best_.bound) continue;
      cuts_.assign(total_ + 1, layers_);
      explore(total_, std::vector<chosen>(scenarios_));
      if (exhausted_) return;
      best_.bound = std::min(best_.value, target_);
    }
  }

  [[nodiscard]] wide_integer limit() const { return std::min(target_, best_.value); }

  /// Branches on stage j − 1, given all stages after it.
  void explore(std::size_t j, const std::vector<chosen>& state) {
    const std::size_t end = cuts_[j];
    std::vector<child> children;
    for_each_begin(j - 1, end, false, [&](std::size_t begin) {
      if (stopped()) return;
      operations_ += total_ * times_.width();
      std::vector<chosen> next = extended(j - 1, begin, end, state);
      if (bound_of(j - 1, begin, next) >= limit()) return;
      if (!place(j - 1, begin, end)) return;
      for (std::size_t k = 0; k < scenarios_; ++k) next[k].ends = simulate(j - 1, k);
      const wide_integer bound = bound_of(j - 1, begin, next);
      if (bound < limit()) children.push_back({bound, begin, std::move(next)});
    });
    std::ranges::stable_sort(children, {}, &child::bound);
    for (child& one : children) {
      if (stopped()) return;
      if (one.bound >= limit()) return;
      if (!place(j - 1, one.begin, end)) continue;
      cuts_[j - 1] = one.begin;
      if (j == 1)
        (void)remember(cuts_, one.bound);
      else
        explore(j - 1, one.state);
    }
  }

  const pipeline_problem& problem_;
  const interval_times& times_;
  const makespan_measure& measure_;
  Stages& stages_;
  const joint_options& options_;
  std::size_t total_;
  std::size_t layers_;
  std::size_t scenarios_;
  suffix_simulator suffix_;
  std::vector<operation_durations> spare_;
  std::vector<std::int64_t> latest_;  ///< Recomputation of the placed stages.
  std::vector<stage_order> order_;
  bool forwards_first_ = false;  ///< On every device all forwards come before all backwards.
  std::vector<char> reached_;
  std::vector<prefix> prefixes_;
  std::vector<std::size_t> cuts_;
  cut_plan best_;
  wide_integer target_ = cut_plan::none;
  wide_integer unproven_ = cut_plan::none;  ///< Least bound of a partition without proof.
  std::uint64_t operations_ = 0;
  bool exhausted_ = false;
  bool complete_ = true;  ///< The tables, which a stop request leaves unfinished.
};

}  // namespace omnibal::inline v0::detail
