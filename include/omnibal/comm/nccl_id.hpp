// SPDX-License-Identifier: Apache-2.0
/// @file
/// The id by which the ranks of a communicator of NCCL find each other: made by one rank and sent
/// to all others over a communicator of the host, or by a file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>

#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/meeting_file.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Created by one rank. Throws communication_error when NCCL cannot create one.
[[nodiscard]] inline ncclUniqueId make_nccl_id() {
  ncclUniqueId id{};
  if (const ncclResult_t result = ncclGetUniqueId(&id); result != ncclSuccess)
    throw communication_error(0, "make_nccl_id", 0, ncclGetErrorString(result));
  return id;
}

/// The id of a new channel, made by rank 0 and sent to all ranks. Blocks.
template <communicator Communicator>
[[nodiscard]] ncclUniqueId exchange_nccl_id(Communicator& ranks) {
  ncclUniqueId id{};
  if (ranks.rank() == 0) id = make_nccl_id();
  ranks.broadcast_bytes(std::as_writable_bytes(std::span(&id, 1)), 0);
  return id;
}

/// The same by way of a file that all ranks see; see meet_by_file() for its errors.
[[nodiscard]] inline ncclUniqueId exchange_nccl_id(const file_meeting& meeting) {
  const std::string met = meet_by_file(meeting, [] {
    const ncclUniqueId made = make_nccl_id();
    return std::string(std::begin(made.internal), std::end(made.internal));
  });
  ncclUniqueId id{};
  std::copy_n(met.begin(), std::min(met.size(), sizeof(id.internal)), std::begin(id.internal));
  return id;
}

}  // namespace omnibal::inline v0
