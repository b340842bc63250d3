// SPDX-License-Identifier: Apache-2.0
/// @file
/// Dynamic programs over stages for objectives that are sums and maxima of stage times, for
/// schedules with one stage per device.
///
/// With T(s, i, j) the time of layers i … j − 1 as stage s with the least recomputation that fits
/// (stage_cost_table.hpp), and C(j) the latency of an edge after j layers:
/// - bottleneck: f(s, j) = min over i of max(f(s − 1, i), T(s, i, j)); blocking bottleneck: the
///   same with T + C(i) + C(j);
/// - closed form, Σ (T + C) + (m − 1) · max T: for a cap τ on every T, the least Σ (T + C) by the
///   same recurrence with sums. Lowering τ from the largest value that could still be optimal to
///   the least bottleneck visits every Pareto-optimal pair (max, Σ);
/// - period: a plan has a period below λ if the least g(s, j) = max(0, g(s − 1, i) + C(i)) + T − λ
///   stays negative. The period of such a plan is the next λ, until there is none.
/// T does not decrease when an interval grows, so loops over i stop at the first too long interval.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/partition/chain.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0::detail {

/// The weight of a stage of layers begin … end − 1 in the bottlenecks.
enum class stage_weight {
  time,           ///< T.
  blocking_time,  ///< T plus the latencies of both edges.
};

/// Dynamic programs over the stages of a problem without virtual stages. Keeps a reference: the
/// problem must outlive it. Preconditions: it is valid and has a layer for each stage. Once the
/// caller asks to stop, nothing more is found: as if nothing fitted.
class stage_search {
 public:
  static constexpr std::int64_t infeasible = stage_table::infeasible;

  explicit stage_search(const pipeline_problem& problem, const recompute_options& recompute = {},
                        knapsack_value value = knapsack_value::choice)
      : table_(problem, recompute, value) {}

  /// Least largest weight of a stage, or `infeasible`. Intervals above a guess are not evaluated;
  /// the guess grows until a plan fits under it.
  [[nodiscard]] std::int64_t least_bottleneck(stage_weight weight) {
    const std::int64_t least = least_conceivable_bottleneck();
    const std::int64_t largest_guess = 2 * least_whole_time();
    for (std::int64_t excess = 0; least + excess <= largest_guess;
         excess = excess == 0 ? std::max<std::int64_t>(1, least / 64) : 2 * excess) {
      const std::int64_t found = bottleneck_within(least + excess, weight);
      if (found != infeasible) return found;
    }
    return bottleneck_within(infeasible - 1, weight);
  }

  /// The plan of least Σ (T + C) among those with every stage within the cap: its sum, or
  /// `infeasible`, and its cuts.
  [[nodiscard]] std::int64_t least_sum_within(std::int64_t cap, stage_weight weight,
                                              std::vector<std::size_t>& cuts) {
    const std::size_t layers = table_.layers();
    start_cuts();
    std::vector<std::int64_t> before(layers + 1, infeasible);
    before[0] = 0;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<std::int64_t> sums(layers + 1, infeasible);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for_each_begin(stage, end, [&](std::size_t begin) {
          if (table_.least_time(stage, begin, end) > cap) return false;
          if (before[begin] >= sums[end]) return true;
          const std::int64_t time = table_.time_within(stage, begin, end, cap);
          if (time > cap) return false;
          if (time + edges(begin, end, weight) > cap) return true;
          const std::int64_t sum = before[begin] + time + table_.latency(end);
          if (sum >= sums[end]) return true;
          sums[end] = sum;
          from_[stage][end] = begin;
          return true;
        });
      before = sums;
    }
    if (before[layers] != infeasible) cuts = traced_cuts();
    return before[layers];
  }

  /// The cuts of a plan whose period is less than `limit`; empty if there is none.
  [[nodiscard]] std::vector<std::size_t> cuts_of_period_below(const rational& limit) {
    const std::size_t layers = table_.layers();
    start_cuts();
    constexpr wide_integer none = 0;  // A plan below the limit has negative values only.
    std::vector<wide_integer> before(layers + 1, none);
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<wide_integer> now(layers + 1, none);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for_each_begin(stage, end, [&](std::size_t begin) {
          const bool reached = stage == 0 ? begin == 0 : before[begin] < none;
          if (excess(table_.least_time(stage, begin, end), limit) >= now[end]) return false;
          if (!reached) return true;
          const std::int64_t time = table_.time(stage, begin, end);
          if (time == infeasible) return false;
          const wide_integer carried = std::max<wide_integer>(
              0,
              before[begin] + static_cast<wide_integer>(table_.latency(begin)) * limit.denominator);
          const wide_integer value = carried + excess(time, limit);
          if (value >= now[end]) return true;
          now[end] = value;
          from_[stage][end] = begin;
          return true;
        });
      before = now;
    }
    return before[layers] < none ? traced_cuts() : std::vector<std::size_t>{};
  }

  [[nodiscard]] std::int64_t largest_time(const std::vector<std::size_t>& cuts) {
    std::int64_t largest = 0;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      largest = std::max(largest, table_.time(stage, cuts[stage], cuts[stage + 1]));
    return largest;
  }

  [[nodiscard]] stage_table& table() noexcept { return table_; }

  /// Cuts of even minimum times or of even minimum bytes, whichever first fits; empty if neither
  /// does. Takes no search: for what is left when that was stopped.
  [[nodiscard]] std::vector<std::size_t> simple_cuts() {
    std::vector<std::int64_t> times;
    for (std::size_t l = 0; l < table_.layers(); ++l)
      times.push_back(table_.least_time(0, l, l + 1));
    for (const std::vector<std::int64_t>& weights : {times, least_bytes()}) {
      std::vector<std::size_t> cuts = partition_chain(weights, table_.stages()).cuts;
      if (fits(cuts)) return cuts;
    }
    return {};
  }

  /// The least largest overrun over all partitions with minimum-memory modes, and its stage. Once
  /// the search is asked to stop, that of cuts of even bytes: enough, but perhaps not the least.
  [[nodiscard]] infeasibility explain() {
    const std::size_t layers = table_.layers();
    std::vector<need> before(layers + 1);
    before[0].bytes = std::numeric_limits<std::int64_t>::min();
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<need> now(layers + 1);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for_each_begin(stage, end, [&](std::size_t begin) {
          if (before[begin].bytes >= now[end].bytes) return true;
          const std::int64_t overrun = table_.overrun(stage, begin, end);
          if (overrun >= now[end].bytes) return false;
          now[end] = overrun > before[begin].bytes ? need{overrun, stage} : before[begin];
          return true;
        });
      before = now;
    }
    if (table_.stopped()) before[layers] = overrun_of_even_bytes();
    return {.reason = infeasibility::cause::memory,
            .binding_stage = before[layers].stage,
            .bytes_short = before[layers].bytes};
  }

  /// A lower bound on Σ (T + C): minimum-time modes and the edges of least latency.
  [[nodiscard]] std::int64_t least_conceivable_sum() const {
    std::vector<std::int64_t> latencies;
    for (std::size_t cut = 1; cut < table_.layers(); ++cut)
      latencies.push_back(table_.latency(cut));
    std::ranges::sort(latencies);
    std::int64_t sum = least_whole_time();
    for (std::size_t edge = 0; edge + 1 < table_.stages(); ++edge) sum += latencies[edge];
    return sum;
  }

 private:
  struct need {
    std::int64_t bytes = infeasible;
    std::size_t stage = 0;
  };

  /// Static and least saved bytes of every layer.
  [[nodiscard]] std::vector<std::int64_t> least_bytes() const {
    std::vector<std::int64_t> bytes;
    for (const pipeline_layer& one : table_.problem().layers)
      bytes.push_back(
          one.static_bytes +
          std::ranges::min_element(one.modes, {}, &recompute_mode::saved_bytes)->saved_bytes);
    return bytes;
  }

  [[nodiscard]] need overrun_of_even_bytes() {
    const std::vector<std::size_t> cuts = partition_chain(least_bytes(), table_.stages()).cuts;
    need most{.bytes = std::numeric_limits<std::int64_t>::min()};
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      if (const std::int64_t bytes = table_.overrun(stage, cuts[stage], cuts[stage + 1]);
          bytes > most.bytes)
        most = {bytes, stage};
    return most;
  }

  [[nodiscard]] bool fits(const std::vector<std::size_t>& cuts) {
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      if (!table_.rules().allows(stage, cuts[stage], cuts[stage + 1]) ||
          table_.time(stage, cuts[stage], cuts[stage + 1]) == infeasible)
        return false;
    return true;
  }

  /// Stage s ends after at least s + 1 layers, and the last stage after all layers.
  [[nodiscard]] std::size_t first_end(std::size_t stage) const {
    return stage + 1 == table_.stages() ? table_.layers() : stage + 1;
  }
  /// Visits the allowed first layers of a stage that ends before layer `end`, from the shortest
  /// stage on, until `visit` returns false or the caller asks to stop.
  template <typename Visit>
  void for_each_begin(std::size_t stage, std::size_t end, const Visit& visit) const {
    const partition_constraints& rules = table_.rules();
    if (!rules.may_begin(stage + 1, end)) return;
    const std::size_t lowest = std::max(stage, rules.first_begin(end));
    for (std::size_t begin = end; begin-- > lowest;) {
      if (table_.stopped()) return;
      if (rules.may_begin(stage, begin) && !visit(begin)) return;
    }
  }

  /// Leaves a layer for every later stage.
  [[nodiscard]] std::size_t last_end(std::size_t stage) const {
    return table_.layers() - (table_.stages() - 1 - stage);
  }

  [[nodiscard]] std::int64_t edges(std::size_t begin, std::size_t end, stage_weight weight) const {
    return weight == stage_weight::time ? 0 : table_.latency(begin) + table_.latency(end);
  }

  [[nodiscard]] static wide_integer excess(std::int64_t time, const rational& limit) {
    return static_cast<wide_integer>(time) * limit.denominator - limit.numerator;
  }

  [[nodiscard]] std::int64_t least_conceivable_bottleneck() const {
    std::int64_t least = 0;
    for (std::size_t l = 0; l < table_.layers(); ++l)
      least = std::max(least, least_on_any(l, l + 1));
    const auto stages = static_cast<std::int64_t>(table_.stages());
    return std::max(least, divide_rounding_up(least_whole_time(), stages));
  }

  /// The least time of layers on any device.
  [[nodiscard]] std::int64_t least_on_any(std::size_t begin, std::size_t end) const {
    std::int64_t least = infeasible;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      least = std::min(least, table_.least_time(stage, begin, end));
    return least;
  }

  /// A lower bound on the sum of all stages' times: the whole chain on the fastest device, rounded
  /// up once instead of once per stage.
  [[nodiscard]] std::int64_t least_whole_time() const { return least_on_any(0, table_.layers()); }

  [[nodiscard]] std::int64_t bottleneck_within(std::int64_t cap, stage_weight weight) {
    const std::size_t layers = table_.layers();
    std::vector<std::int64_t> before(layers + 1, infeasible);
    before[0] = 0;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<std::int64_t> now(layers + 1, infeasible);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for_each_begin(stage, end, [&](std::size_t begin) {
          const std::int64_t least = table_.least_time(stage, begin, end);
          if (least > cap || least >= now[end]) return false;
          if (before[begin] >= now[end]) return true;
          const std::int64_t time =
              table_.time_within(stage, begin, end, std::min(cap, now[end] - 1));
          if (time > cap || time >= now[end]) return false;
          const std::int64_t weighed = time + edges(begin, end, weight);
          if (weighed <= cap) now[end] = std::min(now[end], std::max(before[begin], weighed));
          return true;
        });
      before = now;
    }
    return before[layers];
  }

  void start_cuts() {
    from_.assign(table_.stages(), std::vector<std::size_t>(table_.layers() + 1, 0));
  }

  [[nodiscard]] std::vector<std::size_t> traced_cuts() const {
    std::vector<std::size_t> cuts(table_.stages() + 1, table_.layers());
    for (std::size_t stage = table_.stages(); stage-- > 0;)
      cuts[stage] = from_[stage][cuts[stage + 1]];
    return cuts;
  }

  stage_table table_;
  std::vector<std::vector<std::size_t>> from_;  ///< Per stage and end: where the stage begins.
};

/// Without cuts where nothing fits, and where the search was stopped before it had any.
struct objective_and_cuts {
  rational objective = {};
  std::vector<std::size_t> cuts = {};
};

[[nodiscard]] inline objective_and_cuts plan_for_bottleneck(stage_search& search,
                                                            stage_weight weight) {
  const std::int64_t bottleneck = search.least_bottleneck(weight);
  if (bottleneck == stage_search::infeasible) return {};
  objective_and_cuts best{.objective = {bottleneck}};
  (void)search.least_sum_within(bottleneck, weight, best.cuts);
  return best;
}

[[nodiscard]] inline objective_and_cuts plan_for_closed_form(stage_search& search,
                                                             std::size_t microbatches) {
  const std::int64_t bottleneck = search.least_bottleneck(stage_weight::time);
  if (bottleneck == stage_search::infeasible) return {};
  const auto repeats = static_cast<std::int64_t>(microbatches - 1);
  std::vector<std::size_t> best_cuts;
  const std::int64_t least = search.least_sum_within(bottleneck, stage_weight::time, best_cuts);
  if (least == stage_search::infeasible) return {};  // Stopped.
  std::int64_t best = least + repeats * bottleneck;
  std::int64_t cap = repeats == 0 ? stage_search::infeasible - 1
                                  : (best - 1 - search.least_conceivable_sum()) / repeats;
  std::vector<std::size_t> cuts;
  while (cap > bottleneck) {
    const std::int64_t sum = search.least_sum_within(cap, stage_weight::time, cuts);
    if (sum == stage_search::infeasible) break;
    // Sums only grow as the cap falls: stop once one is too large even with the least bottleneck.
    if (sum + repeats * bottleneck >= best) break;
    const std::int64_t largest = search.largest_time(cuts);
    if (sum + repeats * largest < best) {
      best = sum + repeats * largest;
      best_cuts = cuts;
    }
    cap = largest - 1;
  }
  return {.objective = {best}, .cuts = best_cuts};
}

[[nodiscard]] inline objective_and_cuts plan_for_period(const pipeline_problem& problem,
                                                        stage_search& search) {
  objective_and_cuts best = plan_for_bottleneck(search, stage_weight::time);
  while (!best.cuts.empty()) {
    best.objective = steady_period(stage_costs(problem, search.table().plan_of(best.cuts)));
    std::vector<std::size_t> cuts = search.cuts_of_period_below(best.objective);
    if (cuts.empty()) break;
    best.cuts = std::move(cuts);
  }
  return best;
}

}  // namespace omnibal::inline v0::detail
