// SPDX-License-Identifier: Apache-2.0
/// @file
/// An operation of a channel over host memory, as its rank calls it and as it is carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/impl/channel_phases.ipp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// An operation under way. A group is one with the sequence numbers of all its messages.
struct channel_work {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::string description = {};
  std::vector<channel_phase> phases = {};
};

/// A collective operation as a rank calls it.
struct collective_call {
  channel_operation operation = channel_operation::barrier;
  const_tensor_view view = {};
  std::size_t count = 0;  // as in flight_entry
  std::optional<std::uint32_t> root = {};
  std::optional<reduction> how = {};
  std::uint64_t parts = 0;  // as in message_header

  [[nodiscard]] message_header header(std::uint64_t order) const {
    return {.order = order,
            .count = count,
            .parts = parts,
            .root = root.value_or(message_header::no_root),
            .operation = operation,
            .type = view.type,
            .how = how ? static_cast<std::uint8_t>(*how) : message_header::no_reduction};
  }
};

[[nodiscard]] inline std::string operation_text(channel_operation operation, element_type type,
                                                std::uint64_t bytes) {
  return std::string(name_of(operation)) + " of " + std::to_string(bytes) + " bytes of " +
         std::string(name_of(type));
}

}  // namespace omnibal::inline v0::detail
