// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/run/detail/prepared_schedule.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/microbatch_order_search.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// Orders the ranks of one step, the slowest first.
class step_orderer {
 public:
  step_orderer(std::span<const stage_model> stages, const schedule_shape& schedule,
               const epoch_load& load, std::size_t simulations_per_rank)
      : stages_(stages),
        load_(load),
        simulations_per_rank_(simulations_per_rank),
        step_times_(device_step_times(schedule, stages)),
        searches_(load.ranks),
        schedules_(schedule) {}

  /// Appends the micro-batches of each rank of a step in their new order, or in that given.
  void append_step(std::size_t step, bool as_given, epoch_order_result& result) {
    for (std::size_t rank = 0; rank < load_.ranks; ++rank)
      searches_[rank] = search(step, rank, {.simulations = 1});
    std::vector<bool> searched(load_.ranks, as_given);
    for (std::size_t slowest = slowest_rank(); !searched[slowest]; slowest = slowest_rank()) {
      searched[slowest] = true;
      searches_[slowest] =
          search(step, slowest, {.simulations = simulations_per_rank_, .goal = longest_bound()});
    }
    for (std::size_t rank = 0; rank < load_.ranks; ++rank) {
      for (const std::uint32_t k : searches_[rank].order)
        result.assignment.push_back(load_.assignment[step * load_.ranks + rank][k]);
      result.assignment.close_group();
    }
    result.objective =
        checked_add(result.objective, searches_[slowest_rank()].objective, "epoch time");
    result.bound = checked_add(result.bound, longest_bound(), "epoch time");
  }

 private:
  [[nodiscard]] microbatch_order_result search(std::size_t step, std::size_t rank,
                                               const order_search_options& options) {
    const auto microbatches = load_.assignment[step * load_.ranks + rank];
    if (microbatches.empty()) return {};
    const prepared_schedule& prepared = schedules_.of(microbatches.size());
    times_.evaluate(stages_, load_, microbatches, prepared.graph.microbatches());
    return search_microbatch_order(prepared.graph, times_, microbatches.size(), step_times_,
                                   options);
  }

  [[nodiscard]] std::size_t slowest_rank() const {
    return static_cast<std::size_t>(
        std::ranges::max_element(searches_, {}, &microbatch_order_result::objective) -
        searches_.begin());
  }

  // A lower bound on the step; no rank needs to end earlier.
  [[nodiscard]] std::int64_t longest_bound() const {
    return std::ranges::max_element(searches_, {}, &microbatch_order_result::bound)->bound;
  }

  std::span<const stage_model> stages_;
  const epoch_load& load_;
  std::size_t simulations_per_rank_;
  std::vector<std::int64_t> step_times_;
  std::vector<microbatch_order_result> searches_;
  prepared_schedules schedules_;
  microbatch_times times_;
};

}  // namespace detail

OMNIBAL_INLINE epoch_order_result order_epoch(std::span<const stage_model> stages,
                                              const schedule_shape& schedule,
                                              const epoch_load& load,
                                              const epoch_order_options& options) {
  epoch_order_result result;
  result.assignment.reserve(load.assignment.size(), load.assignment.indices().size());
  detail::step_orderer orderer(stages, schedule, load, options.simulations_per_rank);
  for (std::size_t step = 0; step < load.steps(); ++step) {
    if (step % 64 == 0) options.control.report_progress("order micro-batches", step, load.steps());
    if (options.control.stop_requested()) result.limit = search_limit::stop;
    orderer.append_step(step, result.limit == search_limit::stop, result);
  }
  if (result.objective == result.bound)
    result.status = search_status::optimal;
  else if (result.limit == search_limit::stop)
    result.status = search_status::stopped;
  return result;
}

}  // namespace omnibal::inline v0
