// SPDX-License-Identifier: Apache-2.0
/// @file
/// Planning for schedules with several virtual stages per device: they share its memory, and one
/// may recompute so that another need not.
///
/// Cuts are searched with the recomputation that each virtual stage would need if it had the device
/// to itself, a lower bound; modes are then assigned to whole partitions (interleaved_stages.hpp).
/// Both steps only need objectives that do not decrease when a stage's time grows; that holds for
/// all but the variance, which does not depend on modes. Exact for small chains, where partitions
/// and choices can be enumerated; a plan with a proven bound for larger ones. Where nothing is
/// found to fit, the least lack of memory says why, and a relaxation whether that is proven.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/detail/branch_and_bound.hpp>
#include <omnibal/planner/detail/even_cuts.hpp>
#include <omnibal/planner/detail/interleaved_stages.hpp>
#include <omnibal/planner/detail/interval_costs.hpp>
#include <omnibal/planner/detail/least_overrun_search.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>
#include <omnibal/planner/detail/shared_memory_bound.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/detail/tie_search.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>

namespace omnibal::inline v0::detail {

/// Branch and bound over the cuts of an interleaved schedule for objectives that are functions of
/// stage costs, from the last virtual stage to the first. Stages not chosen yet count 0, which
/// gives a lower bound on every objective that does not decrease when costs grow.
class virtual_stage_search {
 public:
  virtual_stage_search(const pipeline_problem& problem, const any_objective& objective,
                       interleaved_stages& stages, const joint_options& options)
      : problem_(problem),
        objective_(objective),
        stages_(stages),
        options_(options),
        total_(problem.schedule.total_stages()),
        layers_(problem.layers.size()),
        costs_(total_),
        extra_(total_, 0),
        cuts_(total_ + 1, problem.layers.size()),
        costs_of_(problem) {}

  /// Searches, starting with the best of the given partitions or, where none fits, with one that
  /// does; `stopped` at the limit.
  [[nodiscard]] joint_result solve(std::vector<std::vector<std::size_t>> starts) {
    for (const std::vector<std::size_t>& cuts : starts) (void)consider(cuts);
    if (!found_) {
      starts.push_back(stages_.fitting_cuts(starts));
      (void)consider(starts.back());
    }
    walk_partitions(
        starts, no_value, [&](const auto& cuts) { return least_value(cuts); },
        [&] { return stopped() || operations_ > options_.operation_limit / 64; });
    if (found_)
      improve_cuts([&] { return best_cuts_; }, [&](const auto& cuts) { return consider(cuts); },
                   [&] { return stopped(); });
    const rational least = objective_.bound(problem_);
    explore(total_);
    if (!found_)
      return {.status = exhausted_ || open_ ? search_status::stopped : search_status::infeasible};
    const bool proven = (!exhausted_ && !open_) || !(least < best_);
    return {.status = proven ? search_status::optimal : search_status::stopped,
            .objective = best_,
            .bound = proven ? best_ : least,
            .plan = stages_.plan_of(best_cuts_, best_extra_)};
  }

 private:
  [[nodiscard]] rational value() const { return objective_.value(costs_, problem_.schedule); }

  [[nodiscard]] stage_cost cost(std::size_t j, std::size_t begin, std::size_t end,
                                std::int64_t extra) const {
    return costs_of_.of(j, begin, end, extra);
  }

  /// Sets the costs of virtual stage j to their least, and the latency before it.
  [[nodiscard]] bool place(std::size_t j, std::size_t begin, std::size_t end) {
    const std::int64_t extra = stages_.least_extra(j, begin, end);
    if (extra == interleaved_stages::infeasible) return false;
    costs_[j] = cost(j, begin, end, extra);
    if (j == 0) return true;
    costs_[j - 1] = costs_of_.edge_after(begin);
    return true;
  }

  /// Sets the costs of all stages to their least; false if the partition cannot fit.
  [[nodiscard]] bool place_all(const std::vector<std::size_t>& cuts) {
    if (cuts.size() != total_ + 1) return false;
    for (std::size_t j = 0; j < total_; ++j) {
      if (cuts[j] >= cuts[j + 1] || !stages_.rules().allows(j, cuts[j], cuts[j + 1])) return false;
      extra_[j] = stages_.least_extra(j, cuts[j], cuts[j + 1]);
      if (extra_[j] == interleaved_stages::infeasible) return false;
      costs_[j] = cost(j, cuts[j], cuts[j + 1], extra_[j]);
    }
    return true;
  }

  bool consider(const std::vector<std::size_t>& cuts) {
    return place_all(cuts) && improves(cuts, value());
  }

  /// The value with the least recomputation of every stage; the partition is stored if it is better
  /// than the best. `no_value` if it cannot fit.
  [[nodiscard]] rational least_value(const std::vector<std::size_t>& cuts) {
    operations_ += total_;
    if (!place_all(cuts)) return no_value;
    const rational least = value();
    (void)improves(cuts, least);
    return least;
  }

  /// Assigns modes to a partition of this least value and stores it if it is better than the best.
  bool improves(const std::vector<std::size_t>& cuts, const rational& least) {
    if (found_ && !(least < best_)) return false;
    partition_costs costs(costs_of_, cuts);
    const auto evaluate = [&](const std::vector<std::int64_t>& extra) {
      return objective_.value(costs.with(extra), problem_.schedule);
    };
    auto assigned = stages_.assign(cuts, evaluate, found_ ? best_ : no_value);
    operations_ += std::max(assignment_operations, assigned.evaluations) * total_;
    open_ = open_ || !assigned.proven;
    if (assigned.extra.empty()) return false;
    found_ = true;
    best_ = assigned.value;
    best_cuts_ = cuts;
    best_extra_ = std::move(assigned.extra);
    return true;
  }

  [[nodiscard]] bool stopped() {
    exhausted_ = exhausted_ || operations_ > options_.operation_limit / 16 ||
                 options_.control.stop_requested();
    return exhausted_;
  }

  /// Branches on virtual stage j − 1, given all after it.
  void explore(std::size_t j) {
    const std::size_t end = cuts_[j];
    if (j == 0) {
      (void)consider(cuts_);
      return;
    }
    const std::size_t lowest = std::max(j - 1, stages_.rules().first_begin(end));
    for (std::size_t begin = end; begin-- > lowest;) {
      if (j == 1 && begin > 0) continue;
      if (!stages_.rules().allows(j - 1, begin, end)) continue;
      if (stopped()) return;
      operations_ += total_ * total_;
      clear_before(j);
      if (!place(j - 1, begin, end)) return;
      if (found_ && objective_.monotone() && !(value() < best_)) continue;
      const std::vector<stage_cost> before = costs_;
      cuts_[j - 1] = begin;
      explore(j - 1);
      costs_ = before;
    }
  }

  /// Stages before j count 0, except for the latency before stage j, which place() set.
  void clear_before(std::size_t j) {
    for (std::size_t i = 0; i + 1 < j; ++i) costs_[i] = {};
  }

  static constexpr rational no_value = {std::numeric_limits<std::int64_t>::max()};
  /// Operations per virtual stage that assigning modes to a partition counts as.
  static constexpr std::uint64_t assignment_operations = 1000;

  const pipeline_problem& problem_;
  any_objective objective_;
  interleaved_stages& stages_;
  const joint_options& options_;
  std::size_t total_;
  std::size_t layers_;
  std::vector<stage_cost> costs_;
  std::vector<std::int64_t> extra_;
  std::vector<std::size_t> cuts_;
  interval_costs costs_of_;
  bool found_ = false;
  rational best_;
  std::vector<std::size_t> best_cuts_;
  std::vector<std::int64_t> best_extra_;
  std::uint64_t operations_ = 0;
  bool exhausted_ = false;
  bool open_ = false;  ///< Whether the modes of some partition are unproven.
};

[[nodiscard]] inline bool has_cuts(const joint_result& found) { return !found.plan.cuts.empty(); }
[[nodiscard]] inline bool has_cuts(const cut_plan& found) { return !found.cuts.empty(); }

/// What a search finds, and why nothing fits where that is known.
template <typename Found>
struct found_or_why {
  Found found;
  infeasibility why = {};
};

/// What search(starts) finds from even cuts or, where that is nothing, from the partition of least
/// overrun if it fits; otherwise why nothing fits, unless a stop was asked for before that was
/// proven. Where the memory cannot suffice by shared_memory_bound, nothing is searched for.
template <typename Search>
[[nodiscard]] auto search_or_explain(const pipeline_problem& problem, interleaved_stages& stages,
                                     const search_control& control, const Search& search) {
  const std::vector<std::vector<std::size_t>> starts = even_cuts(problem);
  found_or_why<decltype(search(starts))> result;
  if (shared_memory_bound(problem, stages.rules(), stages.modes()).excludes_all())
    (void)stages.fitting_cuts(starts);
  else
    result.found = search(starts);
  const bool proven = result.found.status == search_status::infeasible;
  if (has_cuts(result.found) || (control.stop_requested() && !proven)) return result;
  const auto& [cuts, why] = least_overrun_search(problem, stages, control).solve();
  if (why.bytes_short > 0) {
    result.why = why;
    result.why.proven = proven;
  } else {
    result.found = search(std::vector<std::vector<std::size_t>>{cuts});
  }
  return result;
}

/// The recomputation of partitions whose stages share devices, for plans of at most this value;
/// models partition_recomputation.
class shared_recomputation {
 public:
  shared_recomputation(const pipeline_problem& problem, const any_objective& objective,
                       const rational& value, interleaved_stages& stages)
      : problem_(problem),
        objective_(objective),
        above_{value.numerator + 1, value.denominator},
        stages_(stages),
        costs_of_(problem) {}

  [[nodiscard]] std::int64_t least(std::size_t j, std::size_t begin, std::size_t end) {
    return stages_.least_extra(j, begin, end);
  }
  [[nodiscard]] std::optional<std::vector<std::int64_t>> of(const std::vector<std::size_t>& cuts) {
    partition_costs costs(costs_of_, cuts);
    const auto evaluate = [&](const std::vector<std::int64_t>& extra) {
      return objective_.value(costs.with(extra), problem_.schedule);
    };
    auto assigned = stages_.assign(cuts, evaluate, above_);
    proven_ = proven_ && assigned.proven;
    if (assigned.extra.empty()) return std::nullopt;
    return std::move(assigned.extra);
  }
  /// Assigning modes to a stage counts as a thousand operations.
  [[nodiscard]] std::uint64_t cost() const { return 1000 * problem_.schedule.total_stages(); }
  /// Whether every partition that has a plan of at most the value was given one.
  [[nodiscard]] bool proven() const noexcept { return proven_; }

 private:
  const pipeline_problem& problem_;
  any_objective objective_;
  rational above_;
  interleaved_stages& stages_;
  interval_costs costs_of_;
  bool proven_ = true;
};

/// search_partitions() with a rule for plans of equal value.
[[nodiscard]] inline joint_result search_tied_partitions(const pipeline_problem& problem,
                                                         const any_objective& objective,
                                                         tie_rule rule,
                                                         const joint_options& options) {
  interleaved_stages stages(problem, options.control);
  auto [found, why] = search_or_explain(problem, stages, options.control, [&](const auto& starts) {
    return virtual_stage_search(problem, objective, stages, options).solve(starts);
  });
  found.why = why;
  if (found.plan.cuts.empty() || rule == tie_rule::none) return found;
  shared_recomputation recomputation(problem, objective, found.objective, stages);
  std::vector<std::vector<std::size_t>> starts = even_cuts(problem);
  starts.insert(starts.begin(), found.plan.cuts);
  const tied_plan first =
      tie_search(problem, objective, rule, recomputation, options).settle(found.objective, starts);
  found.tie_settled = false;
  if (first.cuts.empty()) return found;
  found.plan = stages.plan_of(first.cuts, first.extra);
  found.tie_settled =
      first.settled && recomputation.proven() && found.status == search_status::optimal;
  return found;
}

/// The plan of least makespan of an interleaved schedule, for one step or over scenarios.
[[nodiscard]] inline joint_result plan_interleaved_makespan(const pipeline_problem& problem,
                                                            const interval_times& times,
                                                            const makespan_measure& measure,
                                                            const joint_options& options) {
  interleaved_stages stages(problem, options.control);
  const auto [found, why] =
      search_or_explain(problem, stages, options.control, [&](const auto& starts) {
        return cut_search(problem, times, measure, stages, options).solve(starts);
      });
  if (why.reason != infeasibility::cause::none) return {.status = found.status, .why = why};
  if (found.cuts.empty()) return {.status = search_status::stopped};
  const wide_integer denominator = measure.denominator(times.scenarios());
  return {.status = found.status,
          .objective = reduced(found.value, denominator, "makespan"),
          .bound = reduced(found.bound, denominator, "makespan"),
          .plan = stages.plan_of(found.cuts, found.extra)};
}

}  // namespace omnibal::inline v0::detail
