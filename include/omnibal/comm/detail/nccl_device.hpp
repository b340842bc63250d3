// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the adapters for NCCL need of the CUDA runtime: the current device, patience, events, and
/// memory through which messages of the host go.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <utility>

#include <cuda_runtime_api.h>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Makes a device current, and the one before it at the end of the scope.
class device_guard {
 public:
  explicit device_guard(int device) noexcept {
    cudaGetDevice(&before_);
    if (device != before_) cudaSetDevice(device);
    is_changed_ = device != before_;
  }
  device_guard(device_guard&&) = delete;
  device_guard& operator=(device_guard&&) = delete;
  ~device_guard() {
    if (is_changed_) cudaSetDevice(before_);
  }

 private:
  int before_ = 0;
  bool is_changed_ = false;
};

/// Lets this thread look at events while another one captures a graph: without it, a look would
/// end that capture.
class capture_guard {
 public:
  capture_guard() noexcept { cudaThreadExchangeStreamCaptureMode(&mode_); }
  capture_guard(capture_guard&&) = delete;
  capture_guard& operator=(capture_guard&&) = delete;
  ~capture_guard() { cudaThreadExchangeStreamCaptureMode(&mode_); }

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// Looks often at first and then less: a sleep takes longer than most calls of NCCL, and so does a
/// yield where other programs want the processor, which may then have it for milliseconds.
class nccl_patience {
 public:
  void pause() {
    const auto waited = std::chrono::steady_clock::now() - begin_;
    if (waited < std::chrono::microseconds(20)) return;
    if (waited < std::chrono::microseconds(100)) return std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// An event behind operations; the tickets of a group share one, recorded at the end of the group.
/// Recorded by the thread of the rank, queried by any.
class nccl_event {
 public:
  nccl_event(cudaEvent_t event, int device) : event_(event), device_(device) {}
  nccl_event(nccl_event&&) = delete;
  nccl_event& operator=(nccl_event&&) = delete;
  ~nccl_event() {
    const device_guard guard(device_);
    cudaEventDestroy(event_);
  }

  [[nodiscard]] cudaError_t record(cudaStream_t stream) {
    const cudaError_t result = cudaEventRecord(event_, stream);
    // Not before: an event that was never recorded counts as ended.
    is_recorded_ = result == cudaSuccess;
    return result;
  }
  [[nodiscard]] cudaError_t query() const {
    return is_recorded_ ? cudaEventQuery(event_) : cudaErrorNotReady;
  }
  [[nodiscard]] cudaEvent_t get() const noexcept { return event_; }
  [[nodiscard]] int device() const noexcept { return device_; }
  [[nodiscard]] bool is_recorded() const noexcept { return is_recorded_; }

 private:
  cudaEvent_t event_;
  int device_;
  std::atomic<bool> is_recorded_ = false;
};

struct destroy_stream {
  void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};

struct free_pinned {
  void operator()(void* memory) const noexcept { cudaFreeHost(memory); }
};

/// A stream, growing device memory and a pinned buffer of the host, through which messages in host
/// memory are sent. Device memory is allocated in the order of the stream and the buffer once:
/// cudaMalloc and cudaMallocHost may wait for a kernel that waits for this rank.
class device_staging {
 public:
  static constexpr std::size_t buffer_bytes = std::size_t{64} << 10U;

  device_staging() = default;
  device_staging(device_staging&& other) noexcept
      : stream_(std::move(other.stream_)),
        buffer_(std::move(other.buffer_)),
        memory_(std::exchange(other.memory_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  device_staging& operator=(device_staging&&) = delete;
  ~device_staging() {
    if (memory_ != nullptr) cudaFreeAsync(memory_, stream_.get());
  }

  /// Makes the stream, the buffer and as much device memory.
  [[nodiscard]] cudaError_t open() {
    cudaStream_t stream = nullptr;
    if (const auto error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        error != cudaSuccess)
      return error;
    stream_.reset(stream);
    void* buffer = nullptr;
    if (const auto error = cudaMallocHost(&buffer, buffer_bytes); error != cudaSuccess)
      return error;
    buffer_.reset(buffer);
    return reserve(buffer_bytes);
  }

  [[nodiscard]] cudaStream_t stream() const noexcept { return stream_.get(); }
  [[nodiscard]] std::byte* memory() const noexcept { return static_cast<std::byte*>(memory_); }
  [[nodiscard]] std::span<std::byte> buffer() const noexcept {
    return {static_cast<std::byte*>(buffer_.get()), buffer_bytes};
  }

  /// Allocates at least `bytes`; the previous contents are lost.
  [[nodiscard]] cudaError_t reserve(std::size_t bytes) {
    if (bytes <= capacity_) return cudaSuccess;
    if (memory_ != nullptr) cudaFreeAsync(std::exchange(memory_, nullptr), stream_.get());
    capacity_ = 0;
    if (const auto error = cudaMallocAsync(&memory_, bytes, stream_.get()); error != cudaSuccess)
      return error;
    capacity_ = bytes;
    return cudaSuccess;
  }

 private:
  std::unique_ptr<CUstream_st, destroy_stream> stream_;
  std::unique_ptr<void, free_pinned> buffer_;
  void* memory_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace omnibal::inline v0::detail
