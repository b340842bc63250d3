// SPDX-License-Identifier: Apache-2.0
/// @file
/// One ncclComm_t and everything that can go wrong with it: calls that do not end, errors after a
/// call, and an abort that hangs itself.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0)
#error "omnibal::nccl needs NCCL 2.18 or newer: older ones cannot split a communicator"
#endif

namespace omnibal::inline v0::detail {

/// Makes a device current, and the one before it at the end of the scope.
class device_guard {
 public:
  explicit device_guard(int device) noexcept {
    cudaGetDevice(&before_);
    if (device != before_) cudaSetDevice(device);
  }
  device_guard(device_guard&&) = delete;
  device_guard& operator=(device_guard&&) = delete;
  ~device_guard() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};

/// Looks often at first and then less: a sleep takes longer than most calls of NCCL.
class nccl_patience {
 public:
  void pause() {
    const auto waited = std::chrono::steady_clock::now() - begin_;
    if (waited < std::chrono::microseconds(100)) return std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Aborts communicators all together: first every one is revoked, where NCCL can do that, so that
/// no kernel of one keeps the memory that the abort of another waits for; then each is aborted on a
/// thread of its own, since an abort waits for all ranks of its communicator. Where one has not
/// ended by the deadline the process ends with the message: its device is lost.
inline void abort_nccl(std::span<const std::pair<ncclComm_t, int>> communicators_and_devices,
                       std::chrono::milliseconds deadline, std::string_view message) noexcept {
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
  for (const auto& [communicator, device] : communicators_and_devices)
    ncclCommRevoke(communicator, 0);
#endif
  std::vector<std::future<void>> aborts;
  for (const auto& [communicator, device] : communicators_and_devices) {
    std::packaged_task<void()> task([communicator = communicator, device = device] {
      cudaSetDevice(device);
      ncclCommAbort(communicator);
    });
    aborts.push_back(task.get_future());
    std::thread(std::move(task)).detach();
  }
  const auto end = deadline_after(deadline);
  for (const std::future<void>& abort : aborts)
    if (abort.wait_until(end) != std::future_status::ready) {
      std::fprintf(stderr, "omnibal: %.*s; NCCL did not abort either, the process ends\n",
                   static_cast<int>(message.size()), message.data());
      std::_Exit(EXIT_FAILURE);
    }
}

/// A communicator of NCCL on its device, owned or lent. Every wait has a deadline; a failure aborts
/// it.
class nccl_handle {
 public:
  nccl_handle() = default;
  /// Takes the device that is current.
  nccl_handle(ncclComm_t handle, bool owned, std::chrono::milliseconds deadline)
      : handle_(handle), owned_(owned), deadline_(deadline) {
    cudaGetDevice(&device_);
  }
  nccl_handle(nccl_handle&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        owned_(other.owned_),
        device_(other.device_),
        deadline_(other.deadline_),
        exceptions_(other.exceptions_),
        failure_(std::move(other.failure_)) {}
  nccl_handle& operator=(nccl_handle&& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(owned_, other.owned_);
    std::swap(device_, other.device_);
    std::swap(deadline_, other.deadline_);
    std::swap(exceptions_, other.exceptions_);
    std::swap(failure_, other.failure_);
    return *this;
  }
  ~nccl_handle() { close(); }

  [[nodiscard]] ncclComm_t get() const noexcept { return handle_; }
  [[nodiscard]] int device() const noexcept { return device_; }
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }

  /// Throws communication_error when the communicator was aborted.
  void require_open(std::size_t rank, std::string_view operation, std::uint64_t sequence) const {
    if (handle_ == nullptr) throw communication_error(rank, operation, sequence, failure_);
  }

  /// Waits until the call that returned `result` has ended, since nothing else may be called
  /// before, and work for its stream would not come after it. Aborts and throws when it fails.
  void settle(ncclResult_t result, std::size_t rank, std::string_view operation,
              std::uint64_t sequence) {
    if (result == ncclInProgress) result = poll(handle_);
    if (result != ncclSuccess) fail(describe(result), rank, operation, sequence);
  }

  /// As settle, for a communicator that a split has made: its failure is not that of the parent.
  void settle_child(nccl_handle& child, std::size_t rank, std::uint64_t sequence) const {
    if (child.handle_ == nullptr) return;
    const ncclResult_t result = poll(child.handle_);
    if (result == ncclSuccess) return;
    child.fail(describe(result), rank, "split", sequence);
  }

  /// Blocks until all work on the stream has ended, within the deadline.
  void wait(cudaStream_t stream, std::size_t rank, std::string_view operation,
            std::uint64_t sequence) {
    require_open(rank, operation, sequence);
    const auto end = deadline_after(deadline_);
    cudaError_t state = cudaErrorNotReady;
    for (nccl_patience looks; (state = cudaStreamQuery(stream)) == cudaErrorNotReady;
         looks.pause()) {
      const ncclResult_t result = asynchronous_error(handle_);
      if (result != ncclSuccess && result != ncclInProgress)
        fail(describe(result), rank, operation, sequence);
      if (std::chrono::steady_clock::now() > end)
        fail(describe(ncclInProgress), rank, operation, sequence);
    }
    require(state, rank, operation, sequence);
  }

  /// Aborts and throws when NCCL has reported an error.
  void require_healthy(std::size_t rank, std::string_view operation, std::uint64_t sequence) {
    require_open(rank, operation, sequence);
    const ncclResult_t result = asynchronous_error(handle_);
    if (result != ncclSuccess && result != ncclInProgress)
      fail(describe(result), rank, operation, sequence);
  }

  /// A failure of the device aborts as well: peers wait for this rank.
  void require(cudaError_t error, std::size_t rank, std::string_view operation,
               std::uint64_t sequence) {
    if (error != cudaSuccess) fail(cudaGetErrorString(error), rank, operation, sequence);
  }

  [[noreturn]] void fail(const std::string& reason, std::size_t rank, std::string_view operation,
                         std::uint64_t sequence) {
    std::string text = reason;
    const char* last_error = ncclGetLastError(handle_);
    if (last_error != nullptr && *last_error != '\0') text += std::string("; NCCL: ") + last_error;
    const communication_error error(rank, operation, sequence, text);
    abort(error.what());
    throw error;
  }

  /// Also ends a lent communicator: its owner cannot use it any more. Later calls fail.
  void abort(std::string_view reason) noexcept {
    if (handle_ == nullptr) return;
    failure_ = "the communicator was aborted before: " + std::string(reason);
    const std::pair<ncclComm_t, int> aborted(std::exchange(handle_, nullptr), device_);
    abort_nccl(std::span(&aborted, 1), abort_deadline, reason);
  }

  /// Waits for the other ranks, unless an exception passes: they may wait for this one.
  void close() noexcept {
    if (handle_ == nullptr || !owned_) return;
    if (std::uncaught_exceptions() > exceptions_) return abort("an exception");
    const device_guard guard(device_);
    const ncclResult_t result = ncclCommFinalize(handle_);
    if ((result == ncclSuccess || result == ncclInProgress) && poll(handle_) == ncclSuccess)
      ncclCommDestroy(std::exchange(handle_, nullptr));
    else
      abort("it did not finalize");
  }

 private:
  static constexpr std::chrono::seconds abort_deadline{10};

  [[nodiscard]] static ncclResult_t asynchronous_error(ncclComm_t handle) noexcept {
    ncclResult_t state = ncclSuccess;
    const ncclResult_t result = ncclCommGetAsyncError(handle, &state);
    return result == ncclSuccess ? state : result;
  }

  /// ncclInProgress at the deadline.
  [[nodiscard]] ncclResult_t poll(ncclComm_t handle) const noexcept {
    if (handle == nullptr) return ncclSystemError;
    const auto end = deadline_after(deadline_);
    ncclResult_t result = ncclSuccess;
    for (nccl_patience looks; (result = asynchronous_error(handle)) == ncclInProgress &&
                              std::chrono::steady_clock::now() <= end;
         looks.pause()) {
    }
    return result;
  }

  [[nodiscard]] std::string describe(ncclResult_t result) const {
    return result == ncclInProgress
               ? "did not end within " + std::to_string(deadline_.count()) + " ms"
               : ncclGetErrorString(result);
  }

  ncclComm_t handle_ = nullptr;
  bool owned_ = true;
  int device_ = 0;
  std::chrono::milliseconds deadline_ = std::chrono::minutes(5);
  int exceptions_ = std::uncaught_exceptions();  // when constructed
  std::string failure_ = "the communicator is closed";
};

}  // namespace omnibal::inline v0::detail
