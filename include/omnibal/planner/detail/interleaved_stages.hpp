// SPDX-License-Identifier: Apache-2.0
/// @file
/// The virtual stages of devices that have several: what each costs at least, and the modes of
/// whole partitions, where one stage may recompute so that another need not.
///
/// A stage's least recomputation is that with the device to itself, a lower bound. For a partition
/// every device has a Pareto frontier of choices (device_recompute_frontier.hpp), and branch and
/// bound picks one per device.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/planner/detail/device_recompute_frontier.hpp>
#include <omnibal/planner/detail/partition_local_search.hpp>
#include <omnibal/planner/detail/stage_cost_table.hpp>
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
  [[nodiscard]] const device_mode_chooser& modes() const noexcept { return modes_; }

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

}  // namespace omnibal::inline v0::detail
