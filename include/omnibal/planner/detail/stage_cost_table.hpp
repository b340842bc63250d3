// SPDX-License-Identifier: Apache-2.0
/// @file
/// The cost of layers begin … end − 1 as stage s of a pipeline without virtual stages: their time
/// with the least recomputation that fits the stage's memory. Evaluated on demand and cached, since
/// searches use few of the p·n² intervals, but those many times.
///
/// A stage is one knapsack. Where no layer keeps more or less for W by its mode, every peak event
/// (pipeline/memory.hpp) is a limit on the saved bytes. Otherwise there is one event, of f whole
/// micro-batches and w waiting for their weight gradient, and a mode counts
/// f · saved + w · saved_for_weight_gradient bytes (schedule_demands.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/planner/detail/schedule_demands.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0::detail {

/// Throws invalid_input where a table of all intervals of layers per stage would be too large.
inline void require_table(std::size_t stages, std::size_t layers) {
  constexpr std::size_t most_intervals = std::size_t{1} << 25;  // Of 8 bytes each.
  const auto intervals = try_multiply(layers, layers);
  const auto all = intervals ? try_multiply(*intervals, stages) : std::nullopt;
  if (!all || *all > most_intervals)
    throw invalid_input("layers", layers,
                        "with " + std::to_string(stages) +
                            " stages are too many: stages times the square of layers may be at "
                            "most 2^25; plan blocks of several layers as one");
}

/// What the table holds of a knapsack that is not solved to optimality.
enum class knapsack_value {
  choice,  ///< The extra time of the modes found.
  bound,   ///< A lower bound on it.
};

class stage_table {
 public:
  static constexpr std::int64_t infeasible = std::numeric_limits<std::int64_t>::max();

  /// Keeps a reference: the problem must outlive the table. Throws invalid_input for schedules
  /// whose virtual stages share the memory of a device.
  explicit stage_table(const pipeline_problem& problem, const recompute_options& recompute = {},
                       knapsack_value value = knapsack_value::choice)
      : problem_(problem),
        value_(value),
        rules_(problem),
        fixed_(problem),
        bounded_(!problem.memory_limit.empty()),
        layers_(problem.layers.size()),
        control_(recompute.control) {
    if (weighs_devices(problem))
      throw invalid_input("schedule", problem.schedule.kind.name(),
                          "does not give every stage a device of its own, in order, with one peak");
    require_table(problem.schedule.stages, layers_);
    sum_prefixes();
    weigh_modes(recompute);
    extra_.assign(problem.schedule.stages * layers_ * layers_, unknown);
  }

  [[nodiscard]] const pipeline_problem& problem() const noexcept { return problem_; }
  [[nodiscard]] std::size_t stages() const noexcept { return problem_.schedule.stages; }
  [[nodiscard]] std::size_t layers() const noexcept { return layers_; }
  [[nodiscard]] const partition_constraints& rules() const noexcept { return rules_; }

  /// Forward plus backward with the least recomputation that fits, or `infeasible`.
  [[nodiscard]] std::int64_t time(std::size_t stage, std::size_t begin, std::size_t end) {
    const std::int64_t extra = least_extra(stage, begin, end);
    return extra == infeasible ? infeasible : cost_with(stage, begin, end, extra).time();
  }

  /// The same where it is at most `cap`; a time beyond it need not be the least, which spares most
  /// knapsacks their search.
  [[nodiscard]] std::int64_t time_within(std::size_t stage, std::size_t begin, std::size_t end,
                                         std::int64_t cap) {
    if (!problem_.time_factor.empty()) return time(stage, begin, end);
    const std::int64_t base = cost_with(stage, begin, end, 0).time();
    if (cap < base) return infeasible;
    std::int64_t& extra = extra_[(stage * layers_ + begin) * layers_ + end - 1];
    if (extra <= exceeds(cap - base)) return infeasible;
    if (extra < 0) extra = evaluate(stage, begin, end, cap - base);
    return extra < 0 ? infeasible : extra == infeasible ? infeasible : base + extra;
  }

  /// A lower bound on time(): every layer in its minimum-time mode. O(1).
  [[nodiscard]] std::int64_t least_time(std::size_t stage, std::size_t begin,
                                        std::size_t end) const {
    return cost_with(stage, begin, end, minimum_time_extra(begin, end)).time();
  }

  /// Σ extra of the layers' minimum-time modes. O(1).
  [[nodiscard]] std::int64_t minimum_time_extra(std::size_t begin, std::size_t end) const {
    return extra_before_[end] - extra_before_[begin];
  }

  /// The least Σ extra that fits, before the device's factor; or `infeasible`.
  [[nodiscard]] std::int64_t least_extra(std::size_t stage, std::size_t begin, std::size_t end) {
    std::int64_t& extra = extra_[(stage * layers_ + begin) * layers_ + end - 1];
    if (extra < 0) extra = evaluate(stage, begin, end, recompute_chooser::no_limit);
    return extra;
  }

  /// The times of the stage with this extra time, without latencies and bytes.
  [[nodiscard]] stage_cost cost_with(std::size_t stage, std::size_t begin, std::size_t end,
                                     std::int64_t extra) const {
    stage_cost cost{
        .layers = {begin, end},
        .forward_time = forward_before_[end] - forward_before_[begin],
        .backward_time = backward_before_[end] - backward_before_[begin] + extra,
        .weight_gradient_time = weight_gradient_before_[end] - weight_gradient_before_[begin]};
    if (!problem_.time_factor.empty())
      scale_times(cost, problem_.factor(stage), problem_.schedule.splits_backward());
    return cost;
  }

  /// Latency of the edge after `cut` layers: forward, backward, and the sum of both; 0 at either
  /// end of the chain.
  [[nodiscard]] std::int64_t forward_latency(std::size_t cut) const {
    return cut == 0 || cut == layers_ ? 0 : problem_.layers[cut - 1].forward_latency;
  }
  [[nodiscard]] std::int64_t backward_latency(std::size_t cut) const {
    return cut == 0 || cut == layers_ ? 0 : problem_.layers[cut - 1].backward_latency;
  }
  [[nodiscard]] std::int64_t latency(std::size_t cut) const {
    return forward_latency(cut) + backward_latency(cut);
  }

  /// The modes with which time() is reached. Precondition: it is feasible.
  [[nodiscard]] std::vector<std::size_t> modes(std::size_t stage, std::size_t begin,
                                               std::size_t end) {
    return chooser(stage).choose(begin, end, limits(stage, begin, end)).modes;
  }

  /// The plan with the least recomputation in all stages. Precondition: the cuts are feasible.
  [[nodiscard]] pipeline_plan plan_of(const std::vector<std::size_t>& cuts) {
    pipeline_plan plan{.cuts = cuts};
    for (std::size_t stage = 0; stage < stages(); ++stage)
      for (const std::size_t mode : modes(stage, cuts[stage], cuts[stage + 1]))
        plan.modes.push_back(mode);
    return plan;
  }

  /// Bytes by which the minimum-memory modes overrun the stage's memory; negative if they fit.
  [[nodiscard]] std::int64_t overrun(std::size_t stage, std::size_t begin, std::size_t end) {
    return chooser(stage).least_overrun(begin, end, limits(stage, begin, end));
  }

  /// Whether all knapsacks so far were solved to optimality, none reaching its limit, and no search
  /// was ended by a stop request.
  [[nodiscard]] bool proven() const noexcept { return proven_ && !stopped(); }

  /// What the relaxation of a knapsack costs (recompute_chooser).
  [[nodiscard]] std::size_t relaxation_cost() const noexcept {
    return choosers_.front().relaxation_cost();
  }

  /// Whether the caller asked to stop: searches over the table then end with what they have.
  [[nodiscard]] bool stopped() const noexcept { return control_.stop_requested(); }

 private:
  static constexpr std::int64_t unknown = -1;

  /// What the table holds for an interval whose least extra time is known to exceed a limit.
  [[nodiscard]] static constexpr std::int64_t exceeds(std::int64_t limit) { return -2 - limit; }

  void sum_prefixes() {
    for (const pipeline_layer& one : problem_.layers) {
      std::int64_t extra = infeasible;
      for (const recompute_mode& mode : one.modes) extra = std::min(extra, mode.extra_time);
      forward_before_.push_back(forward_before_.back() + one.forward_time);
      backward_before_.push_back(backward_before_.back() + one.backward_time);
      weight_gradient_before_.push_back(weight_gradient_before_.back() + one.weight_gradient_time);
      extra_before_.push_back(extra_before_.back() + extra);
      kept_before_.push_back(kept_before_.back() + one.modes.front().saved_for_weight_gradient);
    }
  }

  /// Where the bytes of a mode depend on the stage, each stage gets a chooser of its own over its
  /// modes' total bytes.
  void weigh_modes(const recompute_options& recompute) {
    const bool split = problem_.schedule.splits_backward();
    weighed_ = bounded_ && split && !keeps_the_same_in_all_modes(problem_);
    const kept_bytes kept = weighed_ || !split ? kept_bytes::within_saved : kept_bytes::any;
    for (std::size_t stage = 0; stage < stages(); ++stage)
      events_.push_back(peak_events(problem_.schedule, stage, kept));
    if (!weighed_) {
      choosers_.emplace_back(problem_.layers, recompute);
      return;
    }
    for (std::size_t stage = 0; stage < stages(); ++stage) {
      const peak_event& peak = events_[stage].front();
      std::vector<pipeline_layer> weighed = problem_.layers;
      for (pipeline_layer& one : weighed)
        for (recompute_mode& mode : one.modes)
          mode.saved_bytes =
              static_cast<std::int64_t>(peak.whole.front()) * mode.saved_bytes +
              static_cast<std::int64_t>(peak.waiting.front()) * mode.saved_for_weight_gradient;
      recompute_options share = recompute;
      share.work_limit /= stages();
      choosers_.emplace_back(weighed, share);
    }
  }

  [[nodiscard]] recompute_chooser& chooser(std::size_t stage) {
    return choosers_[weighed_ ? stage : 0];
  }

  /// What the memory of a stage allows; valid until the next call.
  [[nodiscard]] std::span<const activation_limit> limits(std::size_t stage, std::size_t begin,
                                                         std::size_t end) {
    const std::int64_t budget = activation_budget(stage, begin, end);
    limits_.clear();
    if (weighed_) {
      limits_.push_back({.budget = budget});
      return limits_;
    }
    const std::int64_t kept = kept_before_[end] - kept_before_[begin];
    for (const peak_event& event : events_[stage])
      limits_.push_back({.in_flight = static_cast<std::int64_t>(event.whole.front()),
                         .budget = budget - static_cast<std::int64_t>(event.waiting.front()) * kept,
                         .with_transient = event.running.has_value()});
    return limits_;
  }

  [[nodiscard]] std::int64_t activation_budget(std::size_t stage, std::size_t begin,
                                               std::size_t end) const {
    if (!bounded_) return problem_.budget(stage);
    return problem_.budget(stage) - fixed_.bytes({begin, end});
  }

  /// The least extra time, `infeasible`, or that it exceeds the limit.
  [[nodiscard]] std::int64_t evaluate(std::size_t stage, std::size_t begin, std::size_t end,
                                      std::int64_t limit) {
    if (!bounded_) return minimum_time_extra(begin, end);
    const recompute_result choice =
        chooser(stage).least_extra(begin, end, limits(stage, begin, end), limit);
    if (choice.has_modes() && choice.bound > limit) return exceeds(limit);
    proven_ = proven_ && choice.status != search_status::stopped;
    if (!choice.has_modes()) return infeasible;
    return value_ == knapsack_value::bound ? choice.bound : choice.objective;
  }

  const pipeline_problem& problem_;
  knapsack_value value_;
  partition_constraints rules_;
  static_memory fixed_;
  bool bounded_;
  bool proven_ = true;
  std::size_t layers_;
  search_control control_;
  std::vector<recompute_chooser> choosers_;
  std::vector<std::vector<peak_event>> events_;  ///< Per stage.
  std::vector<activation_limit> limits_;
  bool weighed_ = false;  ///< Whether every stage has a chooser of its own.
  std::vector<std::int64_t> forward_before_ = {0};
  std::vector<std::int64_t> backward_before_ = {0};
  std::vector<std::int64_t> weight_gradient_before_ = {0};
  std::vector<std::int64_t> extra_before_ = {0};  ///< Of the minimum-time modes.
  std::vector<std::int64_t> kept_before_ = {0};   ///< For W, in the first modes.
  std::vector<std::int64_t> extra_;
};

}  // namespace omnibal::inline v0::detail
