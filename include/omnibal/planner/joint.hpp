// SPDX-License-Identifier: Apache-2.0
/// @file
/// Cuts and recomputation planned together: the layer partition that is best when every stage
/// recomputes just what its own memory makes it.
///
/// With T(s, i, j) the time of layers i … j − 1 as stage s, cheapest recomputation included
/// (stage_table.hpp):
/// - bottleneck: f(s, j) = min over i of max(f(s − 1, i), T(s, i, j));
/// - closed form, Σ (T + C) + (m − 1) · max T: for a cap τ on every T, the least Σ (T + C) by the
///   same recurrence with sums. Lowering τ from the largest value that could still win to the
///   least bottleneck visits every pair (max, Σ) that no other beats.
/// The partition alone is in partition/, the recomputation alone in recompute/; doing one after
/// the other loses what only both together can see, and gains nothing when memory is ample.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/search.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/stage_table.hpp>
#include <string_view>
#include <vector>

namespace omnibal::inline v0 {

enum class plan_objective {
  bottleneck,   ///< Largest T; among equals the least Σ (T + C).
  closed_form,  ///< Σ (T + C) + (m − 1) · max T.
};

/// Why no plan exists, so that a person can act on it.
struct infeasibility {
  enum class cause { none, fewer_layers_than_stages, memory };

  cause reason = cause::none;
  std::size_t binding_stage = 0;  ///< For memory: the stage that lacks most in the best partition.
  std::int64_t bytes_short = 0;   ///< For memory: what every device would need more, at least.
};

[[nodiscard]] constexpr std::string_view to_string(infeasibility::cause reason) noexcept {
  switch (reason) {
    case infeasibility::cause::none: return "none";
    case infeasibility::cause::fewer_layers_than_stages: return "fewer_layers_than_stages";
    case infeasibility::cause::memory: return "memory";
  }
  return "unknown";
}

struct joint_plan {
  search_status status = search_status::infeasible;
  std::int64_t objective = 0;
  std::int64_t bound = 0;
  pipeline_plan plan = {};
  infeasibility why = {};  ///< If infeasible.
};

namespace detail {

/// Dynamic programs over the stages of a stage_table.
class joint_search {
 public:
  explicit joint_search(const pipeline_problem& problem) : table_(problem) {}

  /// Least bottleneck, or stage_table::infeasible. Intervals longer than a guess are never priced;
  /// the guess grows until a plan fits under it.
  [[nodiscard]] std::int64_t least_bottleneck() {
    const std::int64_t least = least_conceivable_bottleneck();
    const std::int64_t most = table_.least_time(0, table_.layers());
    for (std::int64_t step = 0;;
         step = step == 0 ? std::max<std::int64_t>(1, least / 64) : 2 * step) {
      const bool everything = step > infeasible / 4;
      const std::int64_t found = bottleneck_within(everything ? infeasible - 1 : least + step);
      if (found != infeasible || everything) return found;
      // Beyond the sum of all layers only recomputation can add time, so look at all at once.
      if (least + step > most) step = infeasible / 4;
    }
  }

  /// The plan of least Σ (T + C) among those with every T ≤ cap; nothing chosen if there is none.
  /// Returns the sum.
  [[nodiscard]] std::int64_t least_sum_within(std::int64_t cap, std::vector<std::size_t>& cuts) {
    const std::size_t stages = table_.stages();
    const std::size_t layers = table_.layers();
    std::vector<std::int64_t> before(layers + 1, infeasible);
    before[0] = 0;
    std::vector<std::vector<std::size_t>> from(stages, std::vector<std::size_t>(layers + 1, 0));
    for (std::size_t stage = 0; stage < stages; ++stage) {
      std::vector<std::int64_t> sums(layers + 1, infeasible);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for (std::size_t begin = end; begin-- > stage;) {
          if (table_.least_time(begin, end) > cap) break;
          if (before[begin] == infeasible || before[begin] >= sums[end]) continue;
          const std::int64_t time = table_.time(stage, begin, end);
          if (time > cap) continue;
          const std::int64_t sum = before[begin] + time + table_.latency(end);
          if (sum < sums[end]) {
            sums[end] = sum;
            from[stage][end] = begin;
          }
        }
      before = sums;
    }
    if (before[layers] == infeasible) return infeasible;
    cuts.assign(stages + 1, layers);
    for (std::size_t stage = stages; stage-- > 0;) cuts[stage] = from[stage][cuts[stage + 1]];
    return before[layers];
  }

  [[nodiscard]] std::int64_t largest_time(const std::vector<std::size_t>& cuts) {
    std::int64_t largest = 0;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      largest = std::max(largest, table_.time(stage, cuts[stage], cuts[stage + 1]));
    return largest;
  }

  [[nodiscard]] pipeline_plan plan_of(const std::vector<std::size_t>& cuts) {
    pipeline_plan plan{.cuts = cuts};
    for (std::size_t stage = 0; stage < table_.stages(); ++stage)
      for (const std::size_t mode : table_.modes(stage, cuts[stage], cuts[stage + 1]))
        plan.modes.push_back(mode);
    return plan;
  }

  /// The least largest overrun of any partition in its leanest modes, and the stage that has it.
  [[nodiscard]] infeasibility explain() {
    if (table_.layers() < table_.stages())
      return {.reason = infeasibility::cause::fewer_layers_than_stages};
    const std::size_t layers = table_.layers();
    struct need {
      std::int64_t bytes = infeasible;
      std::size_t stage = 0;
    };
    std::vector<need> before(layers + 1);
    before[0].bytes = std::numeric_limits<std::int64_t>::min();
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<need> now(layers + 1);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for (std::size_t begin = end; begin-- > stage;) {
          if (before[begin].bytes >= now[end].bytes) continue;
          const std::int64_t overrun = table_.overrun(stage, begin, end);
          if (overrun >= now[end].bytes) break;
          now[end] = overrun > before[begin].bytes ? need{overrun, stage} : before[begin];
        }
      before = now;
    }
    return {.reason = infeasibility::cause::memory,
            .binding_stage = before[layers].stage,
            .bytes_short = before[layers].bytes};
  }

  /// Least Σ (T + C) conceivable: no recomputation, the cheapest edges.
  [[nodiscard]] std::int64_t least_conceivable_sum() const {
    std::vector<std::int64_t> latencies;
    for (std::size_t end = 1; end < table_.layers(); ++end)
      latencies.push_back(table_.latency(end));
    std::ranges::sort(latencies);
    std::int64_t sum = table_.least_time(0, table_.layers());
    for (std::size_t edge = 0; edge + 1 < table_.stages(); ++edge) sum += latencies[edge];
    return sum;
  }

 private:
  static constexpr std::int64_t infeasible = stage_table::infeasible;

  /// Stage s ends no earlier than after s + 1 layers, the last one only behind the last layer.
  [[nodiscard]] std::size_t first_end(std::size_t stage) const {
    return stage + 1 == table_.stages() ? table_.layers() : stage + 1;
  }
  /// Every later stage needs a layer.
  [[nodiscard]] std::size_t last_end(std::size_t stage) const {
    return table_.layers() - (table_.stages() - 1 - stage);
  }

  [[nodiscard]] std::int64_t least_conceivable_bottleneck() const {
    std::int64_t least = 0;
    for (std::size_t l = 0; l < table_.layers(); ++l)
      least = std::max(least, table_.least_time(l, l + 1));
    const auto stages = static_cast<std::int64_t>(table_.stages());
    return std::max(least, divide_rounding_up(table_.least_time(0, table_.layers()), stages));
  }

  [[nodiscard]] std::int64_t bottleneck_within(std::int64_t cap) {
    const std::size_t layers = table_.layers();
    std::vector<std::int64_t> before(layers + 1, infeasible);
    before[0] = 0;
    for (std::size_t stage = 0; stage < table_.stages(); ++stage) {
      std::vector<std::int64_t> now(layers + 1, infeasible);
      for (std::size_t end = first_end(stage); end <= last_end(stage); ++end)
        for (std::size_t begin = end; begin-- > stage;) {
          const std::int64_t least = table_.least_time(begin, end);
          if (least > cap || least >= now[end]) break;
          if (before[begin] >= now[end]) continue;
          const std::int64_t time = table_.time(stage, begin, end);
          if (time > cap || time >= now[end]) break;
          now[end] = std::max(before[begin], time);
        }
      before = now;
    }
    return before[layers];
  }

  stage_table table_;
};

}  // namespace detail

/// Plans cuts and modes for the least objective. Optimal or infeasible; for GPipe and 1F1B.
/// Throws invalid_input for problems out of range or other schedules.
/// O(p · w · n) interval prices, each one knapsack (recompute/exact.hpp), with w the most layers
/// whose fastest times fit under the answer; the closed form adds O(p · w · n) for each cap.
[[nodiscard]] inline joint_plan plan_jointly(const pipeline_problem& problem,
                                             plan_objective objective) {
  validate(problem);
  detail::joint_search search(problem);
  if (problem.layers.size() < problem.schedule.stages) return {.why = search.explain()};
  const std::int64_t bottleneck = search.least_bottleneck();
  if (bottleneck == stage_table::infeasible) return {.why = search.explain()};

  std::vector<std::size_t> best_cuts;
  const std::int64_t sum = search.least_sum_within(bottleneck, best_cuts);
  std::int64_t best = bottleneck;
  if (objective == plan_objective::closed_form) {
    const auto repeats = static_cast<std::int64_t>(problem.schedule.microbatches - 1);
    best = sum + repeats * bottleneck;
    const std::int64_t least_sum = search.least_conceivable_sum();
    std::int64_t cap =
        repeats == 0 ? stage_table::infeasible - 1 : (best - 1 - least_sum) / repeats;
    std::vector<std::size_t> cuts;
    while (cap > bottleneck) {
      const std::int64_t capped = search.least_sum_within(cap, cuts);
      // Sums only grow as the cap falls: once even the least bottleneck cannot save one, stop.
      if (capped + repeats * bottleneck >= best) break;
      const std::int64_t largest = search.largest_time(cuts);
      if (capped + repeats * largest < best) {
        best = capped + repeats * largest;
        best_cuts = cuts;
      }
      cap = largest - 1;
    }
  }
  return {.status = search_status::optimal,
          .objective = best,
          .bound = best,
          .plan = search.plan_of(best_cuts)};
}

}  // namespace omnibal::inline v0
