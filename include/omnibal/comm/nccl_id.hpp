// SPDX-License-Identifier: Apache-2.0
/// @file
/// The id by which the ranks of a communicator of NCCL find each other: made by one rank and sent
/// to all others over a communicator of the host, or by a file.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>

#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>

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

/// The same by way of a file that all ranks can read and that does not exist yet: rank 0 writes it
/// whole, the others wait for it. Throws communication_error at the deadline, when the file cannot
/// be written, and when it exists already on rank 0: the others might have read the id of another
/// run. Throws invalid_input for a negative deadline. Remove the file afterwards.
[[nodiscard]] inline ncclUniqueId exchange_nccl_id(
    const std::filesystem::path& file, std::size_t rank,
    std::chrono::milliseconds deadline = std::chrono::minutes(5)) {
  require_waiting_time("deadline", deadline);
  ncclUniqueId id{};
  if (rank == 0) {
    if (std::filesystem::exists(file))
      throw communication_error(rank, "exchange_nccl_id", 0, file.string() + " exists already");
    id = make_nccl_id();
    const std::filesystem::path part = file.string() + ".part";
    std::ofstream output(part, std::ios::binary);
    output.write(reinterpret_cast<const char*>(&id), sizeof(id));
    output.close();
    if (output.fail())
      throw communication_error(rank, "exchange_nccl_id", 0, part.string() + " cannot be written");
    std::filesystem::rename(part, file);
    return id;
  }
  const auto end = deadline_after(deadline);
  do {
    std::ifstream input(file, std::ios::binary);
    if (input.read(reinterpret_cast<char*>(&id), sizeof(id))) return id;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  } while (std::chrono::steady_clock::now() < end);
  throw communication_error(rank, "exchange_nccl_id", 0,
                            "rank 0 did not write " + file.string() + " within " +
                                std::to_string(deadline.count()) + " ms");
}

}  // namespace omnibal::inline v0
