// SPDX-License-Identifier: Apache-2.0
/// @file
/// The rule of ties: of plans equal in an objective that is not the makespan (and in Σ (T + C),
/// where the objective asks for the least of equals), the one of least makespan, then of least sum
/// of squares of the stages' T, then the first in the lexical order of cuts.
///
/// A local search over the partitions of equal value finds it; then all of them are enumerated but
/// for those with a longer path through their operations than the best makespan. If that ends
/// within the limit of operations, the tie is settled: the plan is the first by the rule, with the
/// recomputation that the objective's search takes for given cuts.
#pragma once

#include <algorithm>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/planner/detail/interval_costs.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>
#include <omnibal/planner/objective.hpp>

namespace omnibal::inline v0::detail {

/// What decides between plans of equal objective.
enum class tie_rule {
  none,               ///< Whatever the search finds first.
  makespan,           ///< The rule above.
  sum_then_makespan,  ///< Least Σ (T + C), then the rule above.
};

/// Operations of the search for one tie, about 4 ns each: a share of those of the whole search, and
/// never more than so many, so that it ends by itself.
[[nodiscard]] inline std::uint64_t tie_limit(const joint_options& options) {
  constexpr std::uint64_t most = 40'000'000;
  return std::min(most, options.operation_limit / 32);
}

/// The recomputation of partitions: least(j, begin, end) is at most that of stage j in any plan,
/// the largest integer if the layers cannot fit; of(cuts) is that of every stage in a plan of at
/// most the tied value, if there is one, in about cost() operations.
template <typename Recomputation>
concept partition_recomputation = requires(Recomputation& recomputation, std::size_t j,
                                           const std::vector<std::size_t>& cuts) {
  { recomputation.least(j, j, j) } -> std::same_as<std::int64_t>;
  { recomputation.of(cuts) } -> std::same_as<std::optional<std::vector<std::int64_t>>>;
  { recomputation.cost() } -> std::convertible_to<std::uint64_t>;
};

/// The rank of a plan among those of equal objective; the first is least.
struct tie_rank {
  std::int64_t sum = 0;  ///< Σ (T + C) where the rule asks for it, otherwise 0.
  std::int64_t makespan = 0;
  wide_integer squares = 0;  ///< Of the stages' T.
  std::vector<std::size_t> cuts = {};

  friend auto operator<=>(const tie_rank&, const tie_rank&) = default;
};

struct tied_plan {
  std::vector<std::size_t> cuts = {};
  std::vector<std::int64_t> extra = {};  ///< Recomputation per stage.
  bool settled = false;                  ///< Whether all plans of the value were seen.
};

/// Keeps references to its arguments.
template <partition_recomputation Recomputation>
class tie_search {
 public:
  tie_search(const pipeline_problem& problem, const any_objective& objective, tie_rule rule,
             Recomputation& recomputation, const joint_options& options)
      : problem_(problem),
        objective_(objective),
        rule_(rule),
        recomputation_(recomputation),
        options_(options),
        limit_(tie_limit(options)),
        total_(problem.schedule.total_stages()),
        layers_(problem.layers.size()),
        rules_(problem),
        costs_of_(problem),
        graph_(problem.schedule),
        costs_(total_),
        cuts_(total_ + 1, layers_) {}

  /// The first plan by the rule among those of this value that the search sees. Precondition: the
  /// first of the starts is one, of least Σ (T + C) if the rule asks for that and stages do not
  /// share devices.
  [[nodiscard]] tied_plan settle(const rational& value,
                                 const std::vector<std::vector<std::size_t>>& starts) {
    value_ = value;
    for (const std::vector<std::size_t>& cuts : starts) (void)consider(cuts);
    improve_cuts([&] { return best_.cuts; }, [&](const auto& cuts) { return consider(cuts); },
                 [&] { return operations_ > limit_ / 4 || options_.control.stop_requested(); });
    best_.settled = bound_prefixes() && explore(total_);
    return std::move(best_);
  }

 private:
  static constexpr std::int64_t infeasible = std::numeric_limits<std::int64_t>::max();

  [[nodiscard]] bool exhausted() const {
    return operations_ > limit_ || options_.control.stop_requested();
  }

  /// Makes the partition the best if it comes before it; whether it does.
  bool consider(const std::vector<std::size_t>& cuts) {
    if (exhausted() && !best_.cuts.empty()) return false;
    if (!is_partition(cuts)) return false;
    operations_ += recomputation_.cost();
    auto extra = recomputation_.of(cuts);
    if (!extra) return false;
    std::optional<tie_rank> rank = rank_of(cuts, *extra);
    if (!rank || (!best_.cuts.empty() && !(*rank < rank_))) return false;
    rank_ = std::move(*rank);
    best_.cuts = cuts;
    best_.extra = std::move(*extra);
    return true;
  }

  [[nodiscard]] bool is_partition(const std::vector<std::size_t>& cuts) const {
    return cuts.size() == total_ + 1 && rules_.allow(cuts);
  }

  /// Nothing where the value is not the tied one.
  [[nodiscard]] std::optional<tie_rank> rank_of(const std::vector<std::size_t>& cuts,
                                                const std::vector<std::int64_t>& extra) {
    std::vector<stage_cost> costs;
    for (std::size_t j = 0; j < total_; ++j)
      costs.push_back(costs_of_.of(j, cuts[j], cuts[j + 1], extra[j]));
    operations_ += total_;
    const rational value = objective_.value(costs, problem_.schedule);
    if (value_ < value || value < value_) return std::nullopt;
    tie_rank rank{.cuts = cuts};
    for (const stage_cost& one : costs) {
      if (rule_ == tie_rule::sum_then_makespan) rank.sum += one.time() + one.latency();
      rank.squares += static_cast<wide_integer>(one.time()) * one.time();
    }
    if (!best_.cuts.empty() && rank_.sum < rank.sum) return std::nullopt;
    operations_ += 2 * graph_.nodes().size();
    rank.makespan = after_steps(simulate(graph_, simulation_times(costs, problem_.schedule)),
                                device_step_times(problem_.schedule, costs))
                        .makespan;
    return rank;
  }

  // ---- enumeration ------------------------------------------------------------------------------

  /// The least largest T of the first j stages on the first layers; false where the table alone
  /// takes too long.
  [[nodiscard]] bool bound_prefixes() {
    operations_ += total_ * layers_ * layers_;
    if (exhausted()) return false;
    prefixes_.assign(total_, std::vector<std::int64_t>(layers_ + 1, infeasible));
    prefixes_[0][0] = 0;
    for (std::size_t j = 1; j < total_; ++j)
      for (std::size_t end = j; end <= layers_; ++end) {
        std::int64_t& least = prefixes_[j][end];
        for (std::size_t begin = end; begin-- > j - 1;) {
          const std::int64_t time = costs_of_.of(j - 1, begin, end, 0).time();
          if (time >= least) break;
          least = std::min(least, std::max(time, prefixes_[j - 1][begin]));
        }
      }
    return true;
  }

  /// Considers every partition of the tied value with these stages from j on; false at the limit.
  [[nodiscard]] bool explore(std::size_t j) {
    if (j == 0) {
      (void)consider(cuts_);
      return !exhausted();
    }
    const std::size_t end = cuts_[j];
    const std::size_t lowest = std::max(j - 1, rules_.first_begin(end));
    for (std::size_t begin = j == 1 ? 1 : end; begin-- > lowest;) {
      if (!rules_.allows(j - 1, begin, end)) continue;
      if (exhausted()) return false;
      operations_ += 4 * total_;
      const std::int64_t extra = recomputation_.least(j - 1, begin, end);
      if (extra == infeasible) break;
      std::fill(costs_.begin(), costs_.begin() + static_cast<std::ptrdiff_t>(j - 1), stage_cost{});
      costs_[j - 1] = costs_of_.of(j - 1, begin, end, extra);
      if (value_ < objective_.value(costs_, problem_.schedule)) break;
      if (comes_later(costs_[j - 1])) continue;
      if (!may_precede(j - 1, begin)) continue;
      cuts_[j - 1] = begin;
      if (!explore(j - 1)) return false;
    }
    return true;
  }

  /// Whether every plan with this stage comes after the best by its makespan. A path through the
  /// operations: the first forward down to the stage, all its forwards and backwards, and the last
  /// backward up from it.
  [[nodiscard]] bool comes_later(const stage_cost& stage) const {
    if (rule_ == tie_rule::sum_then_makespan && problem_.schedule.shares_devices()) return false;
    const std::int64_t apart = problem_.schedule.splits_backward() ? stage.weight_gradient_time : 0;
    std::int64_t path =
        static_cast<std::int64_t>(problem_.schedule.microbatches) * (stage.time() - apart);
    if (problem_.time_factor.empty() && stage.layers.begin > 0) {
      const stage_cost before = costs_of_.of(0, 0, stage.layers.begin, 0);
      path += before.forward_time + before.backward_time + before.latency();
      if (problem_.schedule.splits_backward()) path -= before.weight_gradient_time;
    }
    return rank_.makespan < path;
  }

  /// Whether the first layers may be cut into j stages without raising the value beyond the tied
  /// one: some stage is as long as the shortest that the longest of them can be. Not known where
  /// devices have several stages.
  [[nodiscard]] bool may_precede(std::size_t j, std::size_t begin) {
    if (j == 0 || problem_.schedule.shares_devices()) return true;
    if (prefixes_[j][begin] == infeasible) return false;
    costs_[j - 1] = costs_of_.edge_after(begin);
    costs_[0].forward_time = prefixes_[j][begin];
    return !(value_ < objective_.value(costs_, problem_.schedule));
  }

  const pipeline_problem& problem_;
  any_objective objective_;
  tie_rule rule_;
  Recomputation& recomputation_;
  const joint_options& options_;
  std::uint64_t limit_;
  std::size_t total_;
  std::size_t layers_;
  partition_constraints rules_;
  interval_costs costs_of_;
  operation_graph graph_;
  std::vector<stage_cost> costs_;
  std::vector<std::size_t> cuts_;
  std::vector<std::vector<std::int64_t>> prefixes_;
  rational value_;
  tie_rank rank_;
  tied_plan best_;
  std::uint64_t operations_ = 0;
};

}  // namespace omnibal::inline v0::detail
