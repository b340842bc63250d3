// SPDX-License-Identifier: Apache-2.0
/// @file
/// Programs of an execution plan (run/execution_plan.hpp) in little memory. Orders made with the
/// times of every step differ from step to step, but only in how a device takes turns among a few
/// lists that never change: its operations, the messages that it sends, and those that it receives
/// from each peer. These lists, the lanes, are stored once for each number of micro-batches, and a
/// program is one character per item.
///
///     const omnibal::split_items split = omnibal::split_into_lanes(microbatches, devices);
///     items_of(split.lanes, split.turns[2], 2) == devices[2];
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/execution_item.hpp>

namespace omnibal::inline v0 {

/// The lists that programs of some number of micro-batches take turns at.
struct execution_lanes {
  std::uint32_t microbatches = 0;
  /// Per device and lane: its items in order. Peers are devices.
  std::vector<std::vector<std::vector<execution_item>>> devices = {};

  friend bool operator==(const execution_lanes&, const execution_lanes&) = default;
};

/// The items of every device for one step of one replica. Micro-batches beyond the packs of the
/// replica are empty: they have no samples and keep their place in the order.
struct execution_program {
  std::uint32_t lanes = 0;  ///< The index of its lanes in the plan.
  /// Per device: for each of its items the lane that it is taken from, as a digit in base 36.
  std::vector<std::string> turns = {};

  friend bool operator==(const execution_program&, const execution_program&) = default;
};

/// Lists of items taken apart.
struct split_items {
  execution_lanes lanes = {};
  std::vector<std::string> turns = {};  ///< As execution_program::turns.
};

/// Takes the items of every device apart: lane 0 has operations and the items of the end, lane 1
/// the messages sent, and each further one those received from one peer. O(items · log peers).
[[nodiscard]] split_items split_into_lanes(std::uint32_t microbatches,
                                           std::span<const std::vector<execution_item>> devices);

/// The items of a device in order. Throws invalid_input naming the turn unless these take every
/// item of the device's lanes once. Precondition: lanes has the device. O(items).
[[nodiscard]] std::vector<execution_item> items_of(const execution_lanes& lanes,
                                                   std::string_view turns, std::size_t device);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/execution_program.ipp>
#endif
