// SPDX-License-Identifier: Apache-2.0
/// @file
/// Simulation of the items of all ranks (pipeline/execution_item.hpp), messages and collectives
/// included: when each starts and ends, who waited for whom, and which ranks deadlock. Use it to
/// check an order of messages, and to replay measured durations. pipeline/simulate.hpp is faster
/// where messages are taken to wait for their producers alone.
///
/// A rank has two queues, one of operations and steps, one of messages and collectives, as with two
/// CUDA streams; or both in one. The items of a queue start in their order, each when the one
/// before it has ended. An operation also waits for its input; a message and a collective wait for
/// the operation that produces what they send, and until all ranks that take part have arrived
/// (rendezvous, as NCCL may do).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/execution_item.hpp>

namespace omnibal::inline v0 {

enum class item_queues {
  two,  ///< Messages beside operations.
  one,  ///< Everything in its order, as with blocking calls.
};

/// Items to simulate. Rank r belongs to replica r / devices and is its device r mod devices.
struct item_problem {
  std::size_t devices = 1;
  std::span<const std::vector<execution_item>> ranks = {};
  /// Per rank and item, in any unit. A message or a collective takes the least of what the ranks
  /// that take part give: one that waits measures more than the transfer.
  std::span<const std::vector<std::int64_t>> durations = {};
  item_queues queues = item_queues::two;
};

struct simulated_item {
  static constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

  std::int64_t start = -1;  ///< −1, as the end, if it never ran.
  std::int64_t end = -1;
  std::int64_t waited = 0;            ///< By how long others delayed the start.
  std::uint32_t waited_for = nobody;  ///< The rank that it waited for, if it waited.
};

struct item_simulation {
  std::vector<std::vector<simulated_item>> items = {};  ///< Per rank and item.
  std::int64_t makespan = 0;                            ///< End of the last item that ran.
  std::vector<std::int64_t> busy = {};  ///< Per rank: the durations of operations and steps.
  /// Ranks that did not run all their items: they deadlock.
  std::vector<std::uint32_t> stuck = {};

  /// The first item of a rank that did not run. Precondition: the rank is stuck.
  [[nodiscard]] std::size_t first_unfinished(std::uint32_t rank) const noexcept;
  /// 1 − busy / (ranks · makespan).
  [[nodiscard]] double bubble_ratio() const noexcept;
};

/// Runs the items. Throws invalid_input if the number of ranks is no multiple of the devices, if
/// durations are negative or not one per item, if their sum exceeds 64 bits, and if a peer is out
/// of range. Items without their counterpart are no error; they never run. O(items · log items).
[[nodiscard]] item_simulation simulate_items(const item_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/simulate_items.ipp>
#endif
