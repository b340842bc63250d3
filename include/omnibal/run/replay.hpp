// SPDX-License-Identifier: Apache-2.0
/// @file
/// Replay of a step of an execution plan with measured durations: what the step would have taken
/// had nothing but these durations and the order of items mattered, which ranks waited for which,
/// and where the prediction was wrong. A measured step that takes longer than its replay lost time
/// outside the items: in the host, in allocation, in data loading.
///
///     const omnibal::replayed_step step = omnibal::replay(plan, 3, measured);
///     for (const omnibal::rank_wait& wait : step.waits) …
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/pipeline/timeline.hpp>
#include <omnibal/run/execution_plan.hpp>

namespace omnibal::inline v0 {

/// The time that a rank's operations and messages waited for another rank.
struct rank_wait {
  std::uint32_t rank = 0;
  std::uint32_t waited_for = 0;
  std::int64_t time = 0;

  friend bool operator==(const rank_wait&, const rank_wait&) = default;
};

/// Times in nanoseconds; per rank and item in the order of step_of().
struct replayed_step {
  std::vector<std::vector<execution_item>> items = {};
  item_simulation measured = {};                           ///< With the durations given.
  item_simulation predicted = {};                          ///< With predicted_durations().
  std::vector<std::vector<std::int64_t>> difference = {};  ///< Given − predicted durations.
  std::vector<rank_wait> waits = {};  ///< Of operations and steps, the longest first.
};

/// Replays a step with durations given per rank and item. Messages and collectives take the least
/// of what the ranks that take part give. Throws invalid_input if step does not exist and for
/// durations that simulate_items() refuses. Precondition: the plan is valid. O(items · log items).
[[nodiscard]] replayed_step replay(const execution_plan& plan, std::size_t step,
                                   std::span<const std::vector<std::int64_t>> durations);

/// The operations of one replica in a simulation of the step's items, to be drawn.
/// Precondition: replica < plan.replicas. O(items).
[[nodiscard]] timeline replayed_timeline(const execution_plan& plan, const replayed_step& step,
                                         const item_simulation& run, std::size_t replica);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/replay.ipp>
#endif
