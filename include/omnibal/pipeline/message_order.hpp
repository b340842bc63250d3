// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations of a schedule with the messages between devices, in an order that cannot
/// deadlock. Under NCCL, a send may wait until its receive is issued, and later messages wait
/// behind it: issued as operations come, or each send joined with the next receive, the messages of
/// most schedules deadlock.
///
///     const omnibal::operation_graph graph({.stages = 4, .microbatches = 8});
///     const auto devices = omnibal::message_order(graph, times);  // e.g. stage_times<>
///     for (const omnibal::execution_item& item : devices[2]) …
///
/// All devices issue their items in the same order: that of one simulation of the step, operations
/// by their start, each message by the end of the operation that produces it, and equal times by
/// the position in the graph. The order is safe for all durations, however wrong: they change only
/// its speed. docs/execution.md has the proof, and what the order costs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/simulate.hpp>

namespace omnibal::inline v0 {

/// The items of every device, given when each node of the graph starts and ends. An operation whose
/// input comes from another device has a receive before it, one whose output goes to another a send
/// after it; peers are devices. Throws invalid_input unless the times are those of a simulation: no
/// node starts before its producer or its device's earlier node ends, or ends before it starts.
/// O(operations · log operations).
[[nodiscard]] std::vector<std::vector<execution_item>> message_order(
    const operation_graph& graph, std::span<const std::int64_t> starts,
    std::span<const std::int64_t> ends);

/// The same by a simulation with these times, none of which may be negative. Preconditions are
/// those of simulate().
template <operation_times Times>
[[nodiscard]] std::vector<std::vector<execution_item>> message_order(const operation_graph& graph,
                                                                     const Times& times) {
  std::vector<time_of<Times>> simulated;
  (void)simulate(graph, times, simulated);
  const std::vector<std::int64_t> ends(simulated.begin(), simulated.end());
  std::vector<std::int64_t> starts(ends);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const pipeline_operation& work = graph.nodes()[i].work;
    if (times.latency(work) < 0)
      throw invalid_input("latency of " + to_string(work), times.latency(work),
                          "must not be negative");
    starts[i] -= static_cast<std::int64_t>(times.duration(work));
  }
  return message_order(graph, starts, ends);
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/message_order.ipp>
#endif
