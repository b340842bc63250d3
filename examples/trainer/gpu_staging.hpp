// SPDX-License-Identifier: Apache-2.0
/// @file
/// Memory of a GPU for the messages of a staged_channel.
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include <omnibal/gpu/error.cuh>

namespace omnibal::trainer {

/// On the GPU that is current at construction. Copies have a stream of their own, so that they do
/// not wait behind messages whose other rank has not come. Throws gpu::cuda_error.
class gpu_staging {
 public:
  gpu_staging() {
    gpu::require(cudaStreamCreateWithFlags(&messages_, cudaStreamNonBlocking), "staging: stream");
    gpu::require(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "staging: stream");
    gpu::require(cudaEventCreateWithFlags(&allocated_, cudaEventDisableTiming), "staging: event");
  }
  gpu_staging(const gpu_staging&) = delete;
  gpu_staging& operator=(const gpu_staging&) = delete;
  ~gpu_staging() {
    for (const cudaStream_t stream : {messages_, copies_})
      if (stream != nullptr) static_cast<void>(cudaStreamDestroy(stream));
    if (allocated_ != nullptr) static_cast<void>(cudaEventDestroy(allocated_));
  }

  /// Not by cudaMalloc, which may wait for a kernel that waits for this very rank.
  [[nodiscard]] std::byte* allocate(std::size_t bytes) {
    void* memory = nullptr;
    gpu::require(cudaMallocAsync(&memory, bytes, copies_), "staging: memory");
    gpu::require(cudaEventRecord(allocated_, copies_), "staging: event");
    gpu::require(cudaStreamWaitEvent(messages_, allocated_, 0), "staging: event");
    return static_cast<std::byte*>(memory);
  }
  void release(std::byte* memory) noexcept { static_cast<void>(cudaFreeAsync(memory, copies_)); }

  void copy_in(std::byte* to, const std::byte* from, std::size_t bytes) { copy(to, from, bytes); }
  void copy_out(std::byte* to, const std::byte* from, std::size_t bytes) { copy(to, from, bytes); }

  [[nodiscard]] cudaStream_t stream() const noexcept { return messages_; }

 private:
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
    gpu::require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, copies_), "staging: copy");
    gpu::require(cudaStreamSynchronize(copies_), "staging: copy");
  }

  cudaStream_t messages_ = nullptr;
  cudaStream_t copies_ = nullptr;
  cudaEvent_t allocated_ = nullptr;
};

}  // namespace omnibal::trainer
