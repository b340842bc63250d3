// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_communicator on real GPUs, one process a rank. Exits with 77 without a GPU.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

#include <omnibal/comm/nccl.hpp>

#include "comm/collective_checks.hpp"
#include "comm/nccl/device_ranks.hpp"

namespace {

using collective_checks::expect;
using collective_checks::expect_throw;
using omnibal::nccl_communicator;

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

void run_rank(std::size_t rank, const ncclUniqueId& id) {
  nccl_communicator ranks(id, rank, rank_count, {.deadline = std::chrono::seconds(20)});
  collective_checks::check_communicator(ranks);
  check_all_reduce_on_device(ranks);
  check_split(ranks);
  check_missing_ranks(ranks);
}

}  // namespace

int main() {
  setenv("NCCL_ALGO", "Ring", 1);
  setenv("NCCL_PROTO", "Simple", 1);
  return device_ranks::run(run_rank);
}
