// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a channel over NCCL shares with the tickets of its operations and with a watchdog: the
/// communicator, the flight record, and the operations that nobody has seen to end.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/nccl_device.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/watchdog.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

/// The operations of a channel with the events behind them, oldest first. A ticket may be dropped,
/// and after() never looks, so somebody else has to see that an operation has ended. For any
/// thread.
class nccl_operations {
 public:
  /// The handle, of the same channel, outlives this.
  explicit nccl_operations(const nccl_handle& handle) : handle_(handle) {}

  /// Forgets what has ended, at a cost that is constant an operation.
  void add(flight_entry entry, std::shared_ptr<nccl_event> event) {
    entry.issued = flight_recorder::now();
    const std::scoped_lock lock(mutex_);
    recorder_.issue(entry);
    unfinished_.push_back({std::move(entry), std::move(event)});
    if (unfinished_.size() < next_look_) return;
    forget_ended();
    next_look_ = std::max(first_look, 2 * unfinished_.size());
  }

  void start(std::uint64_t sequence) { recorder_.start(sequence); }

  /// A ticket has seen it.
  void end(std::uint64_t sequence) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::lower_bound(
        unfinished_.begin(), unfinished_.end(), sequence,
        [](const operation& each, std::uint64_t value) { return each.entry.sequence < value; });
    if (found == unfinished_.end() || found->entry.sequence != sequence) return;
    recorder_.end(sequence);
    unfinished_.erase(found);
  }

  [[nodiscard]] std::optional<flight_entry> oldest_unfinished() {
    const std::scoped_lock lock(mutex_);
    forget_ended();
    return unfinished_.empty() ? std::nullopt : std::optional(unfinished_.front().entry);
  }

  [[nodiscard]] std::vector<flight_entry> entries() {
    const std::scoped_lock lock(mutex_);
    forget_ended();
    return recorder_.entries();
  }

 private:
  struct operation {
    flight_entry entry;
    std::shared_ptr<nccl_event> event;
  };
  static constexpr std::size_t first_look = 64;

  /// A graph that is captured owns its events: they never end, and the graph may run any time.
  [[nodiscard]] static bool has_ended(const nccl_event& event) {
    const device_guard device(event.device());
    const capture_guard capture;
    const cudaError_t result = event.query();
    return result == cudaSuccess || result == cudaErrorCapturedEvent;
  }

  void forget_ended() {
    // The second question after the first: an abort ends the work before the event.
    while (!unfinished_.empty() && has_ended(*unfinished_.front().event) &&
           handle_.failure().empty()) {
      recorder_.end(unfinished_.front().entry.sequence);
      unfinished_.pop_front();
    }
  }

  const nccl_handle& handle_;
  std::mutex mutex_;
  flight_recorder recorder_;
  std::deque<operation> unfinished_;
  std::size_t next_look_ = first_look;
};

/// What tickets and watch points keep alive.
struct nccl_channel_state {
  nccl_handle handle;
  std::size_t rank = 0;
  std::size_t size = 1;
  std::string name = {};
  std::string log_directory = {};
  nccl_operations operations{handle};
  std::atomic<bool> is_closed = false;
  std::atomic<bool> is_written = false;

  /// Once, where a directory is given.
  void write_log() noexcept {
    if (log_directory.empty() || is_written.exchange(true)) return;
    try {
      if (write_flight_log(log(), log_directory)) return;
    } catch (const std::exception&) {  // no memory
    }
    std::fprintf(stderr, "omnibal: a flight record cannot be written to %s\n",
                 log_directory.c_str());
  }

  [[nodiscard]] flight_log log() {
    return {.channel = name,
            .rank = rank,
            .size = size,
            .failure = handle.failure(),
            .entries = operations.entries()};
  }
};

/// The ticket of an operation on a device: an event behind it on its stream.
class nccl_ticket {
 public:
  nccl_ticket(std::shared_ptr<nccl_channel_state> state, std::shared_ptr<nccl_event> event,
              channel_operation operation, std::uint64_t sequence)
      : state_(std::move(state)),
        event_(std::move(event)),
        operation_(operation),
        sequence_(sequence) {}

  [[nodiscard]] bool done() {
    if (!event_ || state_->handle.has_finalized()) return true;
    require_begun();
    const device_guard guard(state_->handle.device());
    const cudaError_t result = event_->query();
    if (result == cudaErrorNotReady) return false;
    state_->handle.require(result, place());
    state_->handle.require_open(place());  // an abort ends the work as well
    finish();
    return true;
  }

  void wait() { wait(state_->handle.limits().deadline); }

  void wait(std::chrono::milliseconds deadline) {
    require_waiting_time("deadline", deadline);
    if (!event_ || state_->handle.has_finalized()) return;
    require_begun();
    const device_guard guard(state_->handle.device());
    state_->handle.wait([&] { return event_->query(); }, deadline, place());
    finish();
  }

  /// Does not block the host.
  void after(cudaStream_t stream) {
    if (!event_ || state_->handle.has_finalized()) return;
    require_begun();
    const device_guard guard(state_->handle.device());
    state_->handle.require(cudaStreamWaitEvent(stream, event_->get(), 0), place());
  }

 private:
  [[nodiscard]] nccl_place place() const { return {state_->rank, name_of(operation_), sequence_}; }

  /// Throws communication_error once the channel was aborted, and invalid_input within a group: its
  /// work does not exist yet.
  void require_begun() const {
    state_->handle.require_open(place());
    if (!event_->is_recorded())
      throw invalid_input("group", "open", "end the group before you wait for its messages");
  }

  void finish() {
    event_.reset();
    state_->operations.end(sequence_);
  }

  std::shared_ptr<nccl_channel_state> state_;
  std::shared_ptr<nccl_event> event_;  // null once it is known to have ended
  channel_operation operation_;
  std::uint64_t sequence_;
};

}  // namespace omnibal::inline v0::detail
