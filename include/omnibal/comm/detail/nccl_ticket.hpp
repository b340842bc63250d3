// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a channel over NCCL shares with the tickets of its operations: the communicator, the flight
/// record, the reason of a failure, and events behind the work.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <cuda_runtime_api.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

/// What tickets keep alive.
struct nccl_channel_state {
  nccl_handle handle;
  std::size_t rank = 0;
  std::size_t size = 1;
  std::string name = {};
  flight_recorder recorder = {};
  std::mutex mutex = {};
  std::string failure = {};  // guarded by the mutex

  std::atomic<bool> must_abort = false;  // requested by another thread
  std::atomic<bool> is_closed = false;

  /// From any thread: the thread of this rank aborts when it looks next.
  void request_abort(std::string_view reason) {
    set_failure(reason);
    must_abort = true;
  }

  /// Throws communication_error when the communicator is aborted, or has to be.
  void require_open(std::string_view operation, std::uint64_t sequence) {
    if (must_abort) handle.abort(get_failure());
    handle.require_open(rank, operation, sequence);
  }

  [[nodiscard]] std::string get_failure() {
    const std::scoped_lock lock(mutex);
    return failure;
  }

  [[nodiscard]] flight_log log() {
    return {.channel = name,
            .rank = rank,
            .size = size,
            .failure = get_failure(),
            .entries = recorder.entries()};
  }

  void set_failure(std::string_view reason) {
    const std::scoped_lock lock(mutex);
    if (failure.empty()) failure = reason;
  }
};

/// An event behind operations; the tickets of a group share one, recorded at the end of the group.
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
    is_recorded_ = true;
    return cudaEventRecord(event_, stream);
  }
  [[nodiscard]] cudaError_t query() const {
    return is_recorded_ ? cudaEventQuery(event_) : cudaErrorNotReady;
  }
  [[nodiscard]] cudaEvent_t get() const noexcept { return event_; }
  [[nodiscard]] bool is_recorded() const noexcept { return is_recorded_; }

 private:
  cudaEvent_t event_;
  int device_;
  bool is_recorded_ = false;
};

/// The ticket of operations on a device: an event behind them on their stream.
class nccl_ticket {
 public:
  nccl_ticket(std::shared_ptr<nccl_channel_state> state, std::shared_ptr<nccl_event> event,
              channel_operation operation, std::uint64_t sequence)
      : state_(std::move(state)),
        event_(std::move(event)),
        operation_(operation),
        sequence_(sequence) {}

  [[nodiscard]] bool done() {
    if (!event_) return true;
    state_->require_open(name_of(operation_), sequence_);
    const device_guard guard(state_->handle.device());
    const cudaError_t result = event_->query();
    if (result == cudaErrorNotReady) return false;
    state_->handle.require(result, state_->rank, name_of(operation_), sequence_);
    finish();
    return true;
  }

  void wait() { wait(state_->handle.deadline()); }

  void wait(std::chrono::milliseconds deadline) {
    const auto end = deadline_after(deadline);
    try {
      for (nccl_patience looks; !done(); looks.pause()) {
        state_->handle.require_healthy(state_->rank, name_of(operation_), sequence_);
        if (std::chrono::steady_clock::now() > end)
          state_->handle.fail("did not end within " + std::to_string(deadline.count()) + " ms",
                              state_->rank, name_of(operation_), sequence_);
      }
    } catch (const communication_error& error) {
      state_->set_failure(error.what());
      throw;
    }
  }

  /// Does not block the host. Throws invalid_input within a group: its work does not exist yet.
  void after(cudaStream_t stream) {
    if (!event_) return;
    if (!event_->is_recorded()) throw invalid_input("group", "open", "end the group before");
    state_->require_open(name_of(operation_), sequence_);
    const device_guard guard(state_->handle.device());
    state_->handle.require(cudaStreamWaitEvent(stream, event_->get(), 0), state_->rank,
                           name_of(operation_), sequence_);
  }

 private:
  void finish() {
    event_.reset();
    state_->recorder.end(sequence_);
  }

  std::shared_ptr<nccl_channel_state> state_;
  std::shared_ptr<nccl_event> event_;  // null once it is known to have ended
  channel_operation operation_;
  std::uint64_t sequence_;
};

}  // namespace omnibal::inline v0::detail
