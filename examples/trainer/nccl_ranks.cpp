// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>

#include "program_error.hpp"
#include "ranks.hpp"

#if defined(OMNIBAL_TRAINER_NCCL)

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include <cuda_runtime_api.h>

#include <omnibal/comm/nccl.hpp>
#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>

#include "gpu_staging.hpp"
#include "launched_process.hpp"
#include "machine.hpp"
#include "process_ranks.hpp"
#include "staged_channel.hpp"
#include "strategy_run.hpp"

namespace omnibal::trainer {
namespace {

/// GPUs that this process sees; 0 also where there is no driver.
[[nodiscard]] std::size_t gpus() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) return 0;
  return static_cast<std::size_t>(count);
}

/// The channel of a run, on the current GPU; called by all ranks of `control`.
template <communicator Control>
[[nodiscard]] staged_channel<nccl_channel, gpu_staging> open_nccl_channel(
    Control& control, std::chrono::milliseconds deadline) {
  nccl_channel channel(exchange_nccl_id(control), control.rank(), control.size(),
                       {.deadline = deadline, .name = "world"});
  return {std::move(channel), std::make_shared<gpu_staging>()};
}

/// Ranks are threads of this process, with a GPU each.
class nccl_threads : public thread_ranks {
 public:
  nccl_threads() {
    // Messages are in memory of pools, which other GPUs of the same process cannot read.
    ::setenv("NCCL_P2P_DIRECT_DISABLE", "1", 0);
  }
  void require_size(std::size_t ranks) const override { require_gpus(gpus(), ranks); }

  [[nodiscard]] strategy_report run(const training_run& run, strategy how,
                                    std::chrono::milliseconds deadline) override {
    return run_on_threads(run, how, deadline, [&](thread_communicator& ranks) {
      return open_nccl_channel(ranks, deadline);
    });
  }
};

/// Chooses the GPU of the process, and finds the others.
[[nodiscard]] nccl_communicator communicator_of(const launched_process& process,
                                                std::chrono::milliseconds deadline) {
  require_gpus(gpus(), process.local_rank + 1);
  use_device(process.local_rank);
  const ncclUniqueId id = exchange_nccl_id({.file = process.id_file,
                                            .rank = process.rank,
                                            .ranks = process.ranks,
                                            .deadline = deadline,
                                            .named = id_file_variable});
  return {id, process.rank, process.ranks, {.deadline = deadline}};
}

/// Ranks are processes that a launcher has started.
class nccl_processes : public process_ranks<nccl_communicator> {
 public:
  nccl_processes(const launched_process& process, std::chrono::milliseconds deadline)
      : process_ranks(communicator_of(process, deadline), "WORLD_SIZE") {}

  /// A communicator that is destroyed would wait for ranks that never come.
  void leave(int status) override {
    std::fflush(nullptr);
    std::_Exit(status);
  }

 private:
  [[nodiscard]] rank_report train(const training_run& run,
                                  std::chrono::milliseconds deadline) override {
    auto world = open_nccl_channel(control(), deadline);
    return train_rank(world, run);
  }
};

}  // namespace

std::unique_ptr<training_ranks> start_nccl_ranks(std::chrono::milliseconds deadline) {
  const auto process = launched_process_of([](const char* name) { return std::getenv(name); });
  if (!process) return std::make_unique<nccl_threads>();
  return std::make_unique<nccl_processes>(*process, deadline);
}

}  // namespace omnibal::trainer

#else

namespace omnibal::trainer {

std::unique_ptr<training_ranks> start_nccl_ranks(std::chrono::milliseconds) {
#if defined(OMNIBAL_TRAINER_CUDA)
  throw program_error(bad_input, "--ranks nccl: this program was built without NCCL");
#else
  throw program_error(
      bad_input, "--ranks nccl: this program computes on the CPU; omnibal-trainer-cuda has GPUs");
#endif
}

}  // namespace omnibal::trainer

#endif
