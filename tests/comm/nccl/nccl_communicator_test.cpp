// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_communicator on real GPUs, one process a rank. Several ranks may share a GPU: each claims
/// to be another host, which keeps NCCL from refusing a second rank on one device. Exits with 77
/// without a GPU.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <omnibal/comm/nccl.hpp>

#include "comm/collective_checks.hpp"

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::nccl_communicator;

constexpr int skipped = 77;
constexpr std::size_t rank_count = 2;

void require(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

void pretend_to_be_another_host(std::size_t rank) {
  setenv("NCCL_HOSTID", ("host" + std::to_string(rank)).c_str(), 1);
  setenv("NCCL_SOCKET_IFNAME", "lo", 1);
  setenv("NCCL_IB_DISABLE", "1", 1);
  setenv("NCCL_NVLS_ENABLE", "0", 1);
  setenv("NCCL_MAX_CTAS", "2", 1);
  setenv("NCCL_ALGO", "Ring", 1);
  setenv("NCCL_PROTO", "Simple", 1);
}

/// Rank 0 makes the id, and keeps the thread that answers the others; they read it from a pipe.
ncclUniqueId exchange_id(std::size_t rank, const std::array<int, 2>& pipe_ends) {
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

void check_all_reduce_on_device(nccl_communicator& ranks) {
  constexpr std::size_t bytes = sizeof(std::int64_t);
  auto value = static_cast<std::int64_t>(ranks.rank() + 1);
  void* memory = nullptr;
  require(cudaMalloc(&memory, bytes));
  require(cudaMemcpy(memory, &value, bytes, cudaMemcpyHostToDevice));
  ranks.enqueue_all_reduce(memory, memory, 1, ncclInt64, ncclSum, nullptr);
  ranks.wait(nullptr);
  require(cudaMemcpy(&value, memory, bytes, cudaMemcpyDeviceToHost));
  require(cudaFree(memory));
  expect(value == rank_count * (rank_count + 1) / 2, "all_reduce on the device");
}

void check_split(nccl_communicator& ranks) {
  const auto color = static_cast<int>(ranks.rank());
  std::optional<nccl_communicator> alone = ranks.split(color, 0);
  expect(alone.has_value() && alone->size() == 1 && alone->rank() == 0, "a part of one rank");
  collective_checks::check_communicator(*alone);
  std::optional<nccl_communicator> part =
      ranks.split(ranks.rank() == 0 ? std::optional(0) : std::nullopt, 0);
  expect(part.has_value() == (ranks.rank() == 0), "a part without the others");
}

/// The last check: rank 0 waits for ranks that do not come, and the communicator is gone.
void check_missing_ranks(nccl_communicator& ranks) {
  if (ranks.rank() == 0)
    expect_throw<omnibal::communication_error>([&] { omnibal::barrier(ranks); }, "missing ranks");
}

int run_rank(std::size_t rank, const std::array<int, 2>& pipe_ends) {
  try {
    pretend_to_be_another_host(rank);
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) return skipped;
    require(cudaSetDevice(static_cast<int>(rank) % devices));
    nccl_communicator ranks(exchange_id(rank, pipe_ends), rank, rank_count,
                            {.deadline = std::chrono::seconds(20)});
    collective_checks::check_communicator(ranks);
    check_all_reduce_on_device(ranks);
    check_split(ranks);
    check_missing_ranks(ranks);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %zu failed: %s\n", rank, error.what());
    return 1;
  }
}

}  // namespace

int main() {
  std::array<int, 2> pipe_ends{};
  if (pipe(pipe_ends.data()) != 0) return 1;
  std::vector<pid_t> processes;
  // Before the first CUDA call: the runtime does not survive a fork.
  for (std::size_t rank = 0; rank < rank_count; ++rank) {
    const pid_t process = fork();
    if (process == 0) _exit(run_rank(rank, pipe_ends));
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
