// SPDX-License-Identifier: Apache-2.0
/// @file
/// Planning for schedules with several virtual stages per device: they share its memory, and one
/// may recompute so that another need not.
///
/// Cuts are searched with the recomputation that each virtual stage would need if it had the device
/// to itself, a lower bound. Modes are then assigned to whole partitions: every device has a Pareto
/// frontier of choices (device_recompute_frontier.hpp), and branch and bound picks one per device.
/// Both steps only need objectives that do not decrease when a stage's time grows; that holds for
/// all but the variance, which does not depend on modes. Exact for small chains, where partitions
/// and choices can be enumerated; a plan with a proven bound for larger ones.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/planner/detail/branch_and_bound.hpp>
#include <omnibal/planner/detail/device_recompute_frontier.hpp>
#include <omnibal/planner/detail/even_cuts.hpp>
#include <omnibal/planner/detail/interval_costs.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
#include <omnibal/planner/detail/suffix_simulation.hpp>
#include <omnibal/planner/detail/tie_search.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0::detail {

/// The recomputation of layers as virtual stages, for searches over cuts (models
/// stage_recomputation). Keeps a reference: the problem must outlive it.
class interleaved_stages {
 public:
  static constexpr bool assigns_modes = true;
  static constexpr std::int64_t infeasible = std::numeric_limits<std::int64_t>::max();

  template <typename Value>
  struct mode_assignment {
    Value value;
    std::vector<std::int64_t> extra = {};
    bool proven = true;
    std::uint64_t evaluations = 0;  ///< Of partial choices.
  };

  /// Throws invalid_input where a table of all intervals of layers would be too large. After a stop
  /// request, modes are the conservative ones.
  explicit interleaved_stages(const pipeline_problem& problem, const search_control& control = {})
      : problem_(problem),
        rules_(problem),
        modes_(problem, control),
        placed_(stages_of_devices(problem.schedule)),
        chooser_(problem.layers, {.control = control}),
        control_(control) {
    require_table(problem.schedule.total_stages(), problem.layers.size());
    extra_.assign(problem.schedule.total_stages() * problem.layers.size() * problem.layers.size(),
                  unknown);
    for (const pipeline_layer& one : problem.layers) {
      std::int64_t extra = infeasible;
      std::int64_t kept = infeasible;
      for (const recompute_mode& mode : one.modes) {
        extra = std::min(extra, mode.extra_time);
        kept = std::min(kept, mode.saved_for_weight_gradient);
      }
      minimum_time_before_.push_back(minimum_time_before_.back() + extra);
      least_kept_before_.push_back(least_kept_before_.back() + kept);
    }
  }

  [[nodiscard]] const partition_constraints& rules() const noexcept { return rules_; }

  [[nodiscard]] std::int64_t minimum_time_extra(std::size_t begin, std::size_t end) const {
    return minimum_time_before_[end] - minimum_time_before_[begin];
  }

  /// The least recomputation if the device had no other stage; or `infeasible`.
  [[nodiscard]] std::int64_t least_extra(std::size_t j, std::size_t begin, std::size_t end) {
    if (problem_.memory_limit.empty()) return minimum_time_extra(begin, end);
    const std::size_t layers = problem_.layers.size();
    std::int64_t& extra = extra_[(j * layers + begin) * layers + end - 1];
    if (extra != unknown) return extra;
    const std::size_t device = problem_.schedule.device(j);
    const std::vector<std::size_t>& own = placed_[device];
    const auto chunk = static_cast<std::size_t>(std::ranges::lower_bound(own, j) - own.begin());
    const std::int64_t budget = problem_.budget(device) - modes_.fixed().bytes({begin, end});
    const std::int64_t kept = least_kept_before_[end] - least_kept_before_[begin];
    std::vector<activation_limit> limits;
    for (const peak_event& event : modes_.events(device))
      limits.push_back({.in_flight = static_cast<std::int64_t>(event.whole[chunk]),
                        .budget = budget - static_cast<std::int64_t>(event.waiting[chunk]) * kept,
                        .with_transient = event.running == chunk});
    const recompute_result choice = chooser_.least_extra(begin, end, limits);
    return extra = choice.has_modes() ? choice.bound : infeasible;
  }

  /// The recomputation of a partition with the least evaluate(extra), if that is below the limit.
  /// Precondition: evaluate() does not decrease when an entry grows. A choice that fits in any case
  /// lowers the limit first; extras that reach the limit even with all others at their least are
  /// left out; then branch and bound goes through the devices, with the least extra per chunk for
  /// those not chosen yet, and ends unproven after a count of evaluations.
  template <typename Evaluate, typename Value>
  [[nodiscard]] mode_assignment<Value> assign(const std::vector<std::size_t>& cuts,
                                              const Evaluate& evaluate, const Value& limit) {
    mode_assignment<Value> best{.value = limit};
    std::vector<std::int64_t> extra(problem_.schedule.total_stages());
    for (std::size_t j = 0; j < extra.size(); ++j) {
      extra[j] = least_extra(j, cuts[j], cuts[j + 1]);
      if (extra[j] == infeasible) return best;
    }
    if (!(evaluate(extra) < limit)) return best;
    assign_conservatively(cuts, evaluate, best);
    const std::vector<std::int64_t> caps = useful_extras(cuts, extra, evaluate, best.value);
    std::vector<device_choices> devices;
    for (std::size_t d = 0; d < problem_.schedule.stages; ++d) {
      const std::vector<layer_range> chunks = chunks_of(cuts, d);
      devices.push_back(modes_.choices(d, chunks, of_device(caps, d)));
      best.proven = best.proven && devices.back().proven;
      if (devices.back().pareto.empty()) return best;
      for (std::size_t c = 0; c < chunks.size() && devices.back().proven; ++c) {
        std::int64_t least = infeasible;
        for (const device_choice& one : devices.back().pareto)
          least = std::min(least, one.extra[c]);
        extra[stage(d, c)] = least;
      }
    }
    std::vector<const device_choice*> picked;
    choose(devices, picked, cuts, extra, evaluate, best);
    return best;
  }

  /// The plan whose virtual stages have at most the extra times that assign() found.
  [[nodiscard]] pipeline_plan plan_of(const std::vector<std::size_t>& cuts,
                                      const std::vector<std::int64_t>& extra) {
    if (control_.stop_requested() && assigned_.plan.cuts == cuts && assigned_.extra == extra)
      return assigned_.plan;
    pipeline_plan plan{.cuts = cuts, .modes = std::vector<std::size_t>(problem_.layers.size(), 0)};
    for (std::size_t d = 0; d < problem_.schedule.stages; ++d) {
      const std::vector<layer_range> chunks = chunks_of(cuts, d);
      const std::vector<std::int64_t> caps = of_device(extra, d);
      device_choices found = modes_.choices(d, chunks, caps);
      std::erase_if(found.pareto, [&](const device_choice& one) {
        return !std::ranges::equal(one.extra, caps, std::ranges::less_equal{});
      });
      const device_choice one =
          found.pareto.empty() ? modes_.conservative(d, chunks) : found.pareto.front();
      put_modes(cuts, d, one, plan);
    }
    return plan;
  }

  /// A partition and its largest overrun.
  struct measured_cuts {
    std::vector<std::size_t> cuts = {};
    infeasibility why = {.reason = infeasibility::cause::memory,
                         .bytes_short = std::numeric_limits<std::int64_t>::max()};

    [[nodiscard]] bool fits() const noexcept { return why.bytes_short <= 0; }
  };

  /// A partition that fits, found by local search for the least overrun from these; empty if it
  /// ends without one, at least_overrun().
  [[nodiscard]] std::vector<std::size_t> fitting_cuts(
      const std::vector<std::vector<std::size_t>>& starts) {
    constexpr int most_tried = 2000;
    int tried = 0;
    const auto consider = [&](const std::vector<std::size_t>& cuts) {
      if (least_overrun_.fits() || tried > most_tried || !is_partition(cuts)) return false;
      ++tried;
      return keep_less_overrun(cuts);
    };
    for (const std::vector<std::size_t>& cuts : starts) (void)consider(cuts);
    if (!least_overrun_.cuts.empty())
      improve_cuts([&] { return least_overrun_.cuts; }, consider,
                   [&] { return control_.stop_requested(); });
    return least_overrun_.fits() ? least_overrun_.cuts : std::vector<std::size_t>{};
  }

  /// Of all partitions that were measured, the one of least overrun.
  [[nodiscard]] const measured_cuts& least_overrun() const noexcept { return least_overrun_; }

  /// Measures a partition; whether its overrun is the least.
  bool keep_less_overrun(const std::vector<std::size_t>& cuts) {
    const infeasibility why = overrun(cuts);
    if (why.bytes_short >= least_overrun_.why.bytes_short) return false;
    least_overrun_ = {cuts, why};
    return true;
  }

  [[nodiscard]] bool is_partition(const std::vector<std::size_t>& cuts) const {
    return cuts.size() == problem_.schedule.total_stages() + 1 && rules_.allow(cuts);
  }

  /// The largest memory overrun of a device in a partition, and that device.
  [[nodiscard]] infeasibility overrun(const std::vector<std::size_t>& cuts) {
    infeasibility worst{.reason = infeasibility::cause::memory,
                        .bytes_short = std::numeric_limits<std::int64_t>::min()};
    for (std::size_t d = 0; d < problem_.schedule.stages; ++d)
      if (const std::int64_t over = modes_.overrun(d, chunks_of(cuts, d));
          over > worst.bytes_short) {
        worst.binding_stage = d;
        worst.bytes_short = over;
      }
    return worst;
  }

 private:
  static constexpr std::int64_t unknown = -1;

  [[nodiscard]] std::size_t stage(std::size_t device, std::size_t chunk) const {
    return placed_[device][chunk];
  }

  [[nodiscard]] std::vector<layer_range> chunks_of(const std::vector<std::size_t>& cuts,
                                                   std::size_t device) const {
    std::vector<layer_range> chunks;
    for (const std::size_t j : placed_[device]) chunks.push_back({cuts[j], cuts[j + 1]});
    return chunks;
  }

  [[nodiscard]] std::vector<std::int64_t> of_device(const std::vector<std::int64_t>& values,
                                                    std::size_t device) const {
    std::vector<std::int64_t> own;
    for (const std::size_t j : placed_[device]) own.push_back(values[j]);
    return own;
  }

  /// Takes for every device the choice that fits even if all chunks are at their peak at once.
  template <typename Evaluate, typename Value>
  void assign_conservatively(const std::vector<std::size_t>& cuts, const Evaluate& evaluate,
                             mode_assignment<Value>& best) {
    std::vector<std::int64_t> extra(problem_.schedule.total_stages());
    pipeline_plan plan{.cuts = cuts, .modes = std::vector<std::size_t>(problem_.layers.size(), 0)};
    for (std::size_t d = 0; d < problem_.schedule.stages; ++d) {
      const device_choice one = modes_.conservative(d, chunks_of(cuts, d));
      if (one.extra.empty()) return;
      for (std::size_t c = 0; c < one.extra.size(); ++c) extra[stage(d, c)] = one.extra[c];
      put_modes(cuts, d, one, plan);
    }
    const Value value = evaluate(extra);
    if (!(value < best.value)) return;
    best.value = value;
    best.extra = extra;
    assigned_ = {std::move(plan), std::move(extra)};
  }

  void put_modes(const std::vector<std::size_t>& cuts, std::size_t device, const device_choice& one,
                 pipeline_plan& plan) const {
    std::size_t at = 0;
    for (const layer_range& range : chunks_of(cuts, device))
      for (std::size_t l = range.begin; l < range.end; ++l) plan.modes[l] = one.modes[at++];
  }

  /// Per virtual stage the largest extra whose value is below the limit with all others at their
  /// least. O(stages · log points) evaluations.
  template <typename Evaluate, typename Value>
  [[nodiscard]] std::vector<std::int64_t> useful_extras(const std::vector<std::size_t>& cuts,
                                                        const std::vector<std::int64_t>& least,
                                                        const Evaluate& evaluate,
                                                        const Value& limit) {
    std::vector<std::int64_t> caps(least.size(), infeasible);
    for (std::size_t j = 0; j < least.size(); ++j) {
      std::vector<std::int64_t> extra = least;
      const std::vector<std::int64_t> known = modes_.extras({cuts[j], cuts[j + 1]});
      if (known.empty()) continue;
      const auto useful = std::ranges::partition_point(known, [&](std::int64_t one) {
        extra[j] = std::max(one, least[j]);
        return evaluate(extra) < limit;
      });
      caps[j] = useful == known.begin() ? least[j] : *std::prev(useful);
    }
    return caps;
  }

  /// `picked` are the choices for the first devices.
  template <typename Evaluate, typename Value>
  void choose(const std::vector<device_choices>& devices, std::vector<const device_choice*>& picked,
              const std::vector<std::size_t>& cuts, const std::vector<std::int64_t>& extra,
              const Evaluate& evaluate, mode_assignment<Value>& best) {
    constexpr std::uint64_t evaluation_limit = 20'000;
    if (best.evaluations >= evaluation_limit || control_.stop_requested()) {
      best.proven = false;
      return;
    }
    ++best.evaluations;
    const std::size_t device = picked.size();
    const Value bound = evaluate(extra);
    if (!(bound < best.value)) return;
    if (device == devices.size()) {
      best.value = bound;
      best.extra = extra;
      assigned_ = {{.cuts = cuts, .modes = std::vector<std::size_t>(problem_.layers.size(), 0)},
                   extra};
      for (std::size_t d = 0; d < device; ++d) put_modes(cuts, d, *picked[d], assigned_.plan);
      return;
    }
    std::vector<std::int64_t> chosen = extra;
    for (const device_choice& one : devices[device].pareto) {
      for (std::size_t c = 0; c < one.extra.size(); ++c) chosen[stage(device, c)] = one.extra[c];
      picked.push_back(&one);
      choose(devices, picked, cuts, chosen, evaluate, best);
      picked.pop_back();
    }
  }

  /// A partition with its modes.
  struct assigned_plan {
    pipeline_plan plan = {};
    std::vector<std::int64_t> extra = {};
  };

  const pipeline_problem& problem_;
  partition_constraints rules_;
  device_mode_chooser modes_;
  std::vector<std::vector<std::size_t>> placed_;  ///< Virtual stages per device.
  recompute_chooser chooser_;
  search_control control_;
  std::vector<std::int64_t> minimum_time_before_ = {0};
  std::vector<std::int64_t> least_kept_before_ = {0};  ///< For W.
  std::vector<std::int64_t> extra_;
  assigned_plan assigned_;  ///< The last that assign() found: the best of a search.
  measured_cuts least_overrun_;
};

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
    const auto evaluate = [&](const std::vector<std::int64_t>& extra) {
      for (std::size_t j = 0; j < total_; ++j) costs_[j] = cost(j, cuts[j], cuts[j + 1], extra[j]);
      return value();
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

/// The least largest overrun, over all partitions if they are few, otherwise over those that a
/// search for one that fits has measured and as many others as a count of operations allows.
class least_overrun_search {
 public:
  least_overrun_search(const pipeline_problem& problem, interleaved_stages& stages,
                       const search_control& control)
      : problem_(problem),
        stages_(stages),
        control_(control),
        total_(problem.schedule.total_stages()) {}

  [[nodiscard]] const interleaved_stages::measured_cuts& solve() {
    // Below none as well: the more is left, the easier it is to assign modes.
    if (stages_.least_overrun().fits())
      improve_cuts([&] { return stages_.least_overrun().cuts; },
                   [&](const auto& cuts) { return consider(cuts); }, [&] { return stopped(); });
    cuts_ = {0};
    extend();
    return stages_.least_overrun();
  }

 private:
  [[nodiscard]] bool stopped() const {
    constexpr std::size_t operation_limit = 50'000;
    return operations_ > operation_limit || control_.stop_requested();
  }

  bool consider(const std::vector<std::size_t>& cuts) {
    const bool enough = stopped() && !stages_.least_overrun().cuts.empty();
    if (enough || !stages_.is_partition(cuts)) return false;
    operations_ += total_;
    return stages_.keep_less_overrun(cuts);
  }

  /// Adds stages to the first ones in cuts_.
  void extend() {
    const std::size_t stage = cuts_.size() - 1;
    const std::size_t left = total_ - stage;
    if (left == 1) {
      cuts_.push_back(problem_.layers.size());
      (void)consider(cuts_);
      cuts_.pop_back();
      return;
    }
    for (std::size_t cut = cuts_.back() + 1; cut + left <= problem_.layers.size() + 1; ++cut) {
      ++operations_;
      if (stopped()) return;
      if (!stages_.rules().allows(stage, cuts_.back(), cut)) continue;
      cuts_.push_back(cut);
      extend();
      cuts_.pop_back();
    }
  }

  const pipeline_problem& problem_;
  interleaved_stages& stages_;
  const search_control& control_;
  std::size_t total_;
  std::size_t operations_ = 0;
  std::vector<std::size_t> cuts_;
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
/// overrun if it fits; otherwise why nothing fits, unless a stop was asked for.
template <typename Search>
[[nodiscard]] auto search_or_explain(const pipeline_problem& problem, interleaved_stages& stages,
                                     const search_control& control, const Search& search) {
  const std::vector<std::vector<std::size_t>> starts = even_cuts(problem);
  found_or_why<decltype(search(starts))> result{.found = search(starts)};
  if (has_cuts(result.found) || control.stop_requested()) return result;
  const auto& [cuts, why] = least_overrun_search(problem, stages, control).solve();
  if (why.bytes_short > 0)
    result.why = why;
  else
    result.found = search(std::vector<std::vector<std::size_t>>{cuts});
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
    const auto evaluate = [&](const std::vector<std::int64_t>& extra) {
      std::vector<stage_cost> costs;
      for (std::size_t j = 0; j < extra.size(); ++j)
        costs.push_back(costs_of_.of(j, cuts[j], cuts[j + 1], extra[j]));
      return objective_.value(costs, problem_.schedule);
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
