// SPDX-License-Identifier: Apache-2.0
/// @file
/// What planning asks of a schedule, read off its placement and orders, so that a schedule of a
/// program's own is planned by the search that suits it or refused.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>

namespace omnibal::inline v0::detail {

/// The bytes that the modes of a problem keep from B to W.
[[nodiscard]] inline kept_bytes kept_by_modes(const pipeline_problem& problem) {
  for (const pipeline_layer& one : problem.layers)
    for (const recompute_mode& mode : one.modes)
      if (mode.saved_for_weight_gradient > mode.saved_bytes) return kept_bytes::any;
  return kept_bytes::within_saved;
}

/// Whether no layer can save bytes between B and W by its mode: all its modes keep the same.
[[nodiscard]] inline bool keeps_the_same_in_all_modes(const pipeline_problem& problem) {
  return std::ranges::all_of(problem.layers, [](const pipeline_layer& one) {
    return std::ranges::all_of(one.modes, [&](const recompute_mode& mode) {
      return mode.saved_for_weight_gradient == one.modes.front().saved_for_weight_gradient;
    });
  });
}

/// Whether the modes of a device must be chosen together: its virtual stages share the memory, or
/// modes differ in what they keep for W and its peak is not that of one event. Otherwise stage j
/// has device j and is a knapsack by itself.
[[nodiscard]] inline bool weighs_devices(const pipeline_problem& problem) {
  const schedule_shape& schedule = problem.schedule;
  if (schedule.shares_devices()) return true;
  for (std::size_t d = 0; d < schedule.stages; ++d)
    if (schedule.device(d) != d) return true;
  if (problem.memory_limit.empty() || !schedule.splits_backward() ||
      keeps_the_same_in_all_modes(problem))
    return false;
  const kept_bytes kept = kept_by_modes(problem);
  for (std::size_t d = 0; d < schedule.stages; ++d)
    if (peak_events(schedule, d, kept).size() > 1) return true;
  return false;
}

/// Bounds on makespans assume that F, B and W of a stage each take the micro-batches in order.
inline void require_microbatches_in_order(const schedule_shape& schedule) {
  std::vector<std::array<std::uint32_t, 3>> next(schedule.total_stages());
  for (const std::vector<pipeline_operation>& order : device_orders(schedule))
    for (const pipeline_operation& work : order)
      if (work.microbatch != next[work.stage][static_cast<std::size_t>(work.kind)]++)
        throw invalid_input("schedule", schedule.kind.name(),
                            "runs " + to_string(work) +
                                " before an earlier micro-batch; planning needs the micro-batches "
                                "of every stage in order");
}

}  // namespace omnibal::inline v0::detail
