// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
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

  /// Appends the micro-batches of each rank of a step in their new order.
  void append_step(std::size_t step, grouping<std::uint32_t>& ordered) {
    for (std::size_t rank = 0; rank < load_.ranks; ++rank)
      searches_[rank] = search(step, rank, {.simulations = 1});
    std::vector<bool> searched(load_.ranks);
    for (std::size_t slowest = slowest_rank(); !searched[slowest]; slowest = slowest_rank()) {
      searched[slowest] = true;
      searches_[slowest] =
          search(step, slowest, {.simulations = simulations_per_rank_, .goal = longest_bound()});
    }
    for (std::size_t rank = 0; rank < load_.ranks; ++rank) {
      for (const std::uint32_t k : searches_[rank].order)
        ordered.push_back(load_.assignment[step * load_.ranks + rank][k]);
      ordered.close_group();
    }
  }

 private:
  [[nodiscard]] microbatch_order search(std::size_t step, std::size_t rank,
                                        const order_search_limits& limits) {
    const auto microbatches = load_.assignment[step * load_.ranks + rank];
    if (microbatches.empty()) return {};
    const prepared_schedule& prepared = schedules_.of(microbatches.size());
    times_.evaluate(stages_, load_, microbatches, prepared.graph.microbatches());
    return search_microbatch_order(prepared.graph, times_, microbatches.size(), step_times_,
                                   limits);
  }

  [[nodiscard]] std::size_t slowest_rank() const {
    return static_cast<std::size_t>(
        std::ranges::max_element(searches_, {}, &microbatch_order::objective) - searches_.begin());
  }

  // A lower bound on the step; no rank needs to end earlier.
  [[nodiscard]] std::int64_t longest_bound() const {
    return std::ranges::max_element(searches_, {}, &microbatch_order::bound)->bound;
  }

  std::span<const stage_model> stages_;
  const epoch_load& load_;
  std::size_t simulations_per_rank_;
  std::vector<std::int64_t> step_times_;
  std::vector<microbatch_order> searches_;
  prepared_schedules schedules_;
  microbatch_times times_;
};

inline void append_as_given(std::size_t step, const epoch_load& load,
                            grouping<std::uint32_t>& ordered) {
  for (std::size_t rank = 0; rank < load.ranks; ++rank) {
    for (const std::uint32_t id : load.assignment[step * load.ranks + rank]) ordered.push_back(id);
    ordered.close_group();
  }
}

}  // namespace detail

OMNIBAL_INLINE grouping<std::uint32_t> order_epoch(std::span<const stage_model> stages,
                                                   const schedule_shape& schedule,
                                                   const epoch_load& load,
                                                   const search_control& control,
                                                   std::size_t simulations_per_rank) {
  grouping<std::uint32_t> ordered;
  ordered.reserve(load.assignment.size(), load.assignment.indices().size());
  detail::step_orderer orderer(stages, schedule, load, simulations_per_rank);
  for (std::size_t step = 0; step < load.steps(); ++step) {
    if (step % 64 == 0) control.report_progress("order micro-batches", step, load.steps());
    if (control.stop_requested())
      detail::append_as_given(step, load, ordered);
    else
      orderer.append_step(step, ordered);
  }
  return ordered;
}

}  // namespace omnibal::inline v0
