// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for the order of a rank's micro-batches within a step. Micro-batches differ, and a
/// long one opens bubbles on all other stages at an unfavourable position; simulation distinguishes
/// good positions from bad ones.
///
///     const auto found = omnibal::search_microbatch_order(graph, times, microbatches, step_times);
///     run_in(found.order);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/run/epoch_simulation.hpp>

namespace omnibal::inline v0 {

/// Limits and control of the search.
struct order_search_options {
  std::size_t simulations = 2000;
  /// The search ends at an order that takes no longer than this, for example the time of another
  /// rank.
  std::int64_t goal = 0;
  search_control control = {};
};

/// The order found.
struct microbatch_order_result {
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;
  std::vector<std::uint32_t> order = {};  ///< The k-th micro-batch to run is the order[k]-th given.
  std::int64_t objective = 0;             ///< End of the last stage, step time included.
  std::int64_t bound = 0;                 ///< Proven lower bound for every order.
  std::int64_t given = 0;                 ///< The objective of the given order.
};

/// Searches for the order of a rank's micro-batches that ends first, if device d needs
/// step_times[d] more after its last operation. `times` refers to the micro-batches as given; if
/// the graph has more of them, the additional ones come last in every order.
///
/// Up to five micro-batches all orders are tried, and the status is optimal. For more, the search
/// starts with the given order, rising and falling work, the longest in the middle, and the longest
/// at both ends; the best of these is improved by exchanges of two, and by moves of one if no
/// exchange helps, until neither does or a limit is reached. The bound holds for every order: a
/// device can start when some micro-batch has passed the stages before it, it runs all of them, and
/// after its forwards and backwards some micro-batch must pass back to the first stage.
///
/// O(simulations · operations); a round of exchanges takes microbatches² / 2 simulations, a round
/// of moves microbatches².
template <operation_times Times>
[[nodiscard]] microbatch_order_result search_microbatch_order(
    const operation_graph& graph, const Times& times, std::size_t microbatches,
    std::span<const std::int64_t> step_times, const order_search_options& options = {});

struct epoch_order_options {
  std::size_t simulations_per_rank = 200;  ///< Ten times as many gain a twentieth more.
  search_control control = {};             ///< A stop request leaves the remaining steps as given.
};

struct epoch_order_result {
  search_status status = search_status::feasible;
  search_limit limit = search_limit::none;
  std::int64_t objective = 0;  ///< Nanoseconds of all steps, one after the other.
  std::int64_t bound = 0;      ///< Proven lower bound for every order of every rank.
  grouping<std::uint32_t> assignment = {};
};

/// The assignment of an epoch with the micro-batches of every rank in the order found: in each step
/// the search runs for the slowest rank until another is slower, or until it finds no better order.
/// O(steps) searches, each for a few ranks, of at most that many simulations.
[[nodiscard]] epoch_order_result order_epoch(std::span<const stage_model> stages,
                                             const schedule_shape& schedule, const epoch_load& load,
                                             const epoch_order_options& options = {});

namespace detail {

/// Times of micro-batches in another order.
template <operation_times Times>
struct reordered_times {
  const Times& times;
  std::span<const std::uint32_t> order;

  [[nodiscard]] auto duration(const pipeline_operation& work) const noexcept {
    return times.duration(renamed(work));
  }
  [[nodiscard]] auto latency(const pipeline_operation& work) const noexcept {
    return times.latency(renamed(work));
  }
  [[nodiscard]] pipeline_operation renamed(const pipeline_operation& work) const noexcept {
    if (work.microbatch >= order.size()) return work;
    return {work.kind, work.stage, order[work.microbatch]};
  }
};

template <operation_times Times>
class order_searcher {
 public:
  order_searcher(const operation_graph& graph, const Times& times, std::size_t microbatches,
                 std::span<const std::int64_t> step_times, const order_search_options& options)
      : graph_(graph),
        times_(times),
        microbatches_(static_cast<std::uint32_t>(microbatches)),
        step_times_(step_times),
        options_(options) {}

  [[nodiscard]] microbatch_order_result search() {
    best_.order = as_given();
    best_.given = best_.objective = time_of(best_.order);
    best_.bound = std::min(bound(), best_.objective);
    if (microbatches_ <= tried_out) {
      try_all();
    } else {
      try_shapes();
      while (!ends() && (exchange() || move())) continue;
    }
    set_status();
    return std::move(best_);
  }

 private:
  static constexpr std::uint32_t tried_out = 5;

  [[nodiscard]] std::vector<std::uint32_t> as_given() const {
    std::vector<std::uint32_t> order(microbatches_);
    std::iota(order.begin(), order.end(), 0U);
    return order;
  }

  [[nodiscard]] std::int64_t time_of(std::span<const std::uint32_t> order) {
    ++simulations_;
    const auto run = simulate(graph_, reordered_times<Times>{times_, order}, ends_);
    std::int64_t end = 0;
    for (std::size_t s = 0; s < step_times_.size(); ++s)
      end = std::max(end, run.end[s] + step_times_[s]);
    return end;
  }

  bool consider(const std::vector<std::uint32_t>& order) {
    const std::int64_t time = time_of(order);
    if (time >= best_.objective) return false;
    best_.objective = time;
    best_.order = order;
    return true;
  }

  [[nodiscard]] bool ends() const noexcept {
    return simulations_ >= options_.simulations || options_.control.stop_requested() ||
           best_.objective <= std::max(best_.bound, options_.goal);
  }

  void try_all() {
    std::vector<std::uint32_t> order = as_given();
    while (!ends() && std::ranges::next_permutation(order).found) consider(order);
    if (simulations_ < options_.simulations && best_.objective > options_.goal &&
        !options_.control.stop_requested())
      best_.bound = best_.objective;
  }

  void set_status() noexcept {
    if (best_.objective == best_.bound)
      best_.status = search_status::optimal;
    else if (simulations_ >= options_.simulations || options_.control.stop_requested())
      best_.status = search_status::stopped;
    best_.limit = limit_of(best_.status, options_.control);
  }

  // Orders by work, each good for some kinds of chains.
  void try_shapes() {
    std::vector<std::int64_t> work(microbatches_);
    for (const operation_graph::node& node : graph_.nodes())
      if (node.work.microbatch < microbatches_)
        work[node.work.microbatch] += times_.duration(node.work);
    std::vector<std::uint32_t> rising = as_given();
    std::ranges::stable_sort(rising,
                             [&](std::uint32_t a, std::uint32_t b) { return work[a] < work[b]; });
    std::vector<std::uint32_t> hill(microbatches_);
    std::vector<std::uint32_t> valley(microbatches_);
    for (std::uint32_t k = 0; k < microbatches_; ++k) {
      const std::uint32_t place = k % 2 == 0 ? k / 2 : microbatches_ - 1 - k / 2;
      hill[place] = rising[k];
      valley[place] = rising[microbatches_ - 1 - k];
    }
    const std::vector<std::uint32_t> falling(rising.rbegin(), rising.rend());
    for (const auto& order : {rising, falling, hill, valley})
      if (!ends()) consider(order);
  }

  // One round over all exchanges; returns whether any helped.
  [[nodiscard]] bool exchange() {
    bool helped = false;
    std::vector<std::uint32_t> order = best_.order;
    for (std::uint32_t a = 0; a < microbatches_; ++a)
      for (std::uint32_t b = a + 1; b < microbatches_; ++b) {
        if (ends()) return helped;
        std::swap(order[a], order[b]);
        if (consider(order))
          helped = true;
        else
          std::swap(order[a], order[b]);
      }
    return helped;
  }

  // One round in which each micro-batch moves to every other position; returns whether any helped.
  [[nodiscard]] bool move() {
    bool helped = false;
    for (std::uint32_t from = 0; from < microbatches_; ++from)
      for (std::uint32_t to = 0; to < microbatches_; ++to) {
        if (ends()) return helped;
        std::vector<std::uint32_t> order = best_.order;
        const std::uint32_t moved = order[from];
        order.erase(order.begin() + from);
        order.insert(order.begin() + to, moved);
        helped = consider(order) || helped;
      }
    return helped;
  }

  [[nodiscard]] std::int64_t bound() const {
    const auto devices = static_cast<std::uint32_t>(step_times_.size());
    std::vector<std::int64_t> busy(devices, 0);
    std::vector<std::int64_t> weight_gradients(devices, 0);
    for (const operation_graph::node& node : graph_.nodes()) {
      const std::int64_t duration = times_.duration(node.work);
      busy[node.device] += duration;
      if (node.work.kind == operation_kind::weight_gradient)
        weight_gradients[node.device] += duration;
    }
    std::int64_t least = 0;
    for (std::uint32_t d = 0; d < devices; ++d) {
      const std::int64_t first = first_arrival(d);
      least = std::max({least, first + busy[d] + step_times_[d],
                        first + busy[d] - weight_gradients[d] + last_return(d)});
    }
    return least;
  }

  // The earliest time at which a forward can reach a device, which has the stage of its own number.
  [[nodiscard]] std::int64_t first_arrival(std::uint32_t stage) const {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (std::uint32_t m = 0; m < graph_.microbatches(); ++m) {
      std::int64_t time = 0;
      for (std::uint32_t s = 0; s < stage; ++s)
        time += times_.duration({operation_kind::forward, s, m}) +
                times_.latency({operation_kind::forward, s + 1, m});
      first = std::min(first, time);
    }
    return first;
  }

  // A lower bound on the time from the end of a device's last backward to the end of the step.
  [[nodiscard]] std::int64_t last_return(std::uint32_t stage) const {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (std::uint32_t m = 0; m < graph_.microbatches(); ++m) {
      std::int64_t time = 0;
      std::int64_t end = step_times_[stage];
      for (std::uint32_t s = stage; s-- > 0;) {
        time += times_.latency({operation_kind::backward, s, m}) +
                times_.duration({operation_kind::backward, s, m});
        end = std::max(end, time + step_times_[s]);
      }
      least = std::min(least, end);
    }
    return least;
  }

  const operation_graph& graph_;
  const Times& times_;
  std::uint32_t microbatches_;
  std::span<const std::int64_t> step_times_;
  order_search_options options_;
  microbatch_order_result best_;
  std::vector<omnibal::time_of<Times>> ends_;
  std::size_t simulations_ = 0;
};

}  // namespace detail

template <operation_times Times>
microbatch_order_result search_microbatch_order(const operation_graph& graph, const Times& times,
                                                std::size_t microbatches,
                                                std::span<const std::int64_t> step_times,
                                                const order_search_options& options) {
  return detail::order_searcher<Times>(graph, times, microbatches, step_times, options).search();
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/microbatch_order_search.ipp>
#endif
