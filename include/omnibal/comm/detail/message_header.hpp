// SPDX-License-Identifier: Apache-2.0
/// @file
/// What travels with every message over host memory: the operation that it belongs to, as its
/// sender called it. The receiver compares it with its own call before it takes a byte, so that
/// ranks whose calls differ get an error and never each other's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// 40 bytes without gaps, equal on both ends where the calls fit.
struct message_header {
  static constexpr std::uint32_t no_root = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::uint8_t no_reduction = std::numeric_limits<std::uint8_t>::max();

  std::uint64_t order = 0;  // as in flight_entry
  std::uint64_t bytes = 0;  // of this message
  std::uint64_t count = 0;  // as in flight_entry
  std::uint64_t parts = 0;  // hash of the counts by rank, where all ranks pass the same
  std::uint32_t root = no_root;
  channel_operation operation = channel_operation::send;  // of a message between two ranks on both
  element_type type = element_type::byte;
  std::uint8_t how = no_reduction;  // of a reduction
  std::uint8_t unused = 0;

  friend bool operator==(const message_header&, const message_header&) = default;
};
static_assert(sizeof(message_header) == 40);

/// "all_reduce #3 of 5 f32, sum": the number is the order.
[[nodiscard]] inline std::string describe(const message_header& call) {
  const auto operation = static_cast<std::size_t>(call.operation);
  if (operation >= channel_operation_names.size()) return "something unknown";
  std::string text = std::string(name_of(call.operation)) + " #" + std::to_string(call.order);
  text += " of ";
  if (call.operation != channel_operation::all_to_all) text += std::to_string(call.count) + " ";
  text += name_of(call.type);
  if (call.how != message_header::no_reduction)
    text += ", " + std::string(name_of(static_cast<reduction>(call.how)));
  if (call.root != message_header::no_root) text += ", from " + on_rank(call.root);
  if (call.parts != 0) text += ", counts with hash " + std::to_string(call.parts);
  return text;
}

/// Why a message cannot be what its receiver expects.
[[nodiscard]] inline std::string mismatch_text(std::size_t from, const message_header& sent,
                                               std::size_t to, message_header expected) {
  std::string own = describe(expected);
  if (expected.operation == channel_operation::send) own.replace(0, 4, "receive");
  return on_rank(from) + " sends " + std::to_string(sent.bytes) + " bytes to " + on_rank(to) +
         " in " + describe(sent) + "; " + on_rank(to) + " expects " +
         std::to_string(expected.bytes) + " bytes in " + own;
}

}  // namespace omnibal::inline v0::detail
