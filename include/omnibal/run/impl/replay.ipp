// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/replay.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::vector<rank_wait> waits_of(
    const std::vector<std::vector<execution_item>>& items, const item_simulation& run) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::int64_t> sums;
  for (std::uint32_t rank = 0; rank < items.size(); ++rank)
    for (std::size_t i = 0; i < items[rank].size(); ++i) {
      const simulated_item& one = run.items[rank][i];
      const item_kind kind = items[rank][i].kind;
      if (one.waited > 0 && (is_operation(kind) || kind == item_kind::step))
        sums[{rank, one.waited_for}] += one.waited;
    }
  std::vector<rank_wait> waits;
  for (const auto& [ranks, time] : sums) waits.push_back({ranks.first, ranks.second, time});
  std::ranges::stable_sort(waits, std::greater<>(), &rank_wait::time);
  return waits;
}

}  // namespace detail

OMNIBAL_INLINE replayed_step replay(const execution_plan& plan, std::size_t step,
                                    std::span<const std::vector<std::int64_t>> durations) {
  if (step >= plan.steps())
    throw invalid_input("step", step,
                        "must be less than the steps, " + std::to_string(plan.steps()));
  replayed_step result;
  std::vector<std::vector<std::int64_t>> predicted;
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
    result.items.push_back(step_of(plan, step, rank).items);
    predicted.push_back(predicted_durations(plan, step, rank));
  }
  const auto run = [&](std::span<const std::vector<std::int64_t>> times) {
    return simulate_items({.devices = plan.devices, .ranks = result.items, .durations = times});
  };
  result.measured = run(durations);
  result.predicted = run(predicted);
  for (std::size_t rank = 0; rank < plan.ranks(); ++rank) {
    result.difference.emplace_back();
    for (std::size_t i = 0; i < predicted[rank].size(); ++i)
      result.difference.back().push_back(durations[rank][i] - predicted[rank][i]);
  }
  result.waits = detail::waits_of(result.items, result.measured);
  return result;
}

OMNIBAL_INLINE timeline replayed_timeline(const execution_plan& plan, const replayed_step& step,
                                          const item_simulation& run, std::size_t replica) {
  timeline drawn{.devices = plan.devices};
  for (std::size_t device = 0; device < plan.devices; ++device) {
    const std::size_t rank = replica * plan.devices + device;
    for (std::size_t i = 0; i < step.items[rank].size(); ++i) {
      const execution_item& item = step.items[rank][i];
      if (!is_operation(item.kind)) continue;
      drawn.bars.push_back(
          {.device = device,
           .begin = run.items[rank][i].start,
           .end = run.items[rank][i].end,
           .work = {static_cast<operation_kind>(item.kind), item.stage, item.microbatch}});
    }
  }
  return drawn;
}

}  // namespace omnibal::inline v0
