// SPDX-License-Identifier: Apache-2.0
/// @file
/// Ranks that are processes with a GPU, for tests of NCCL. Several may share a GPU: each claims to
/// be another host, which keeps NCCL from refusing a second rank on one device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omnibal/comm/nccl_id.hpp>

#include "comm/collective_checks.hpp"

inline constexpr std::size_t rank_count = 2;

inline void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

namespace device_ranks {

using collective_checks::expect;

inline constexpr int skipped = 77;
using rank_body = void (*)(std::size_t rank, const ncclUniqueId& id);

inline void pretend_to_be_another_host(std::size_t rank) {
  setenv("NCCL_HOSTID", ("host" + std::to_string(rank)).c_str(), 1);
  setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  setenv("NCCL_IB_DISABLE", "1", 1);
  setenv("NCCL_NVLS_ENABLE", "0", 1);
  setenv("NCCL_MAX_CTAS", "2", 1);
}

/// Rank 0 makes the id, and keeps the thread that answers the others; they read it from a pipe.
inline ncclUniqueId exchange_id(std::size_t rank, const std::array<int, 2>& pipe_ends) {
  ncclUniqueId id{};
  if (rank != 0) {
    expect(read(pipe_ends[0], &id, sizeof(id)) == ssize_t{sizeof(id)}, "the id arrives");
    return id;
  }
  id = omnibal::make_nccl_id();
  for (std::size_t other = 1; other < rank_count; ++other)
    expect(write(pipe_ends[1], &id, sizeof(id)) == ssize_t{sizeof(id)}, "the id is sent");
  return id;
}

inline int run_rank(std::size_t rank, const std::array<int, 2>& pipe_ends, rank_body body) {
  try {
    pretend_to_be_another_host(rank);
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return skipped;
    require(cudaSetDevice(static_cast<int>(rank) % devices));
    body(rank, exchange_id(rank, pipe_ends));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %zu failed: %s\n", rank, error.what());
    return 1;
  }
}

/// Runs the body in a process for each rank. Returns 1 where one of them fails and 77 where there
/// is no GPU.
inline int run(rank_body body) {
  std::array<int, 2> pipe_ends{};
  if (pipe(pipe_ends.data()) != 0) return 1;
  std::vector<pid_t> processes;
  // Before the first CUDA call: the runtime does not survive a fork.
  for (std::size_t rank = 0; rank < rank_count; ++rank) {
    const pid_t process = fork();
    if (process == 0) _exit(run_rank(rank, pipe_ends, body));
    processes.push_back(process);
  }
  int result = 0;
  for (const pid_t process : processes) {
    int status = 1;
    waitpid(process, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (result == 0 || code == 1) result = code;
  }
  if (result == skipped) std::puts("skipped: there is no GPU");
  return result;
}

}  // namespace device_ranks
