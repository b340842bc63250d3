// SPDX-License-Identifier: Apache-2.0
/// @file
/// How communicators of NCCL are ended from any thread, several of them together, by a deadline.
///
/// The thread of a rank may sit in a call of the CUDA runtime that waits for a kernel of NCCL, and
/// that kernel for a rank that never comes. So whoever finds that out takes the communicator away
/// from the rank, and its kernels end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/detail/nccl_device.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0)
#error "omnibal::nccl needs NCCL 2.18 or newer: older ones cannot split a communicator"
#endif

namespace omnibal::inline v0::detail {

/// A communicator between the thread of its rank, which calls NCCL, and those that may abort it.
class nccl_shared {
 public:
  nccl_shared(ncclComm_t communicator, int device) : communicator_(communicator), device_(device) {}

  [[nodiscard]] int device() const noexcept { return device_; }

  /// Calls with the communicator, which stays what it is meanwhile; null once it was taken.
  template <typename Call>
  decltype(auto) with(const Call& call) {
    const std::scoped_lock lock(calls_);
    return call(communicator_.load());
  }

  /// For a look without a call.
  [[nodiscard]] ncclComm_t get() const noexcept { return communicator_; }

  /// Whoever calls first has to end the communicator: by an abort with a reason, which later
  /// failures name, or without one as it should end.
  [[nodiscard]] bool claim(std::string_view reason) {
    const std::scoped_lock lock(text_);
    if (is_claimed_) return false;
    failure_ = reason;
    is_claimed_ = true;
    return true;
  }
  [[nodiscard]] bool is_claimed() const noexcept { return is_claimed_; }
  [[nodiscard]] std::string failure() const {
    const std::scoped_lock lock(text_);
    return failure_;
  }

  /// Takes the communicator away from its rank, and stops its kernels where NCCL can do that. Waits
  /// for a call of the rank, unless `at_once`, when it may return null.
  ncclComm_t take(bool at_once) noexcept {
    std::unique_lock lock(calls_, std::defer_lock);
    if (!at_once)
      lock.lock();
    else if (!lock.try_lock())
      return nullptr;
    ncclComm_t taken = communicator_.exchange(nullptr);
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 28, 9)
    if (taken != nullptr) ncclCommRevoke(taken, NCCL_REVOKE_DEFAULT);
#endif
    return taken;
  }

  /// The communicator for ncclCommDestroy.
  [[nodiscard]] ncclComm_t release() noexcept {
    const std::scoped_lock lock(calls_);
    return communicator_.exchange(nullptr);
  }

  void set_ended() { ended_.set_value(); }
  /// Until the one that claimed the communicator has ended it.
  void wait() const { is_ended_.wait(); }
  [[nodiscard]] bool wait_until(std::chrono::steady_clock::time_point end) const {
    return is_ended_.wait_until(end) == std::future_status::ready;
  }

 private:
  std::mutex calls_;  // held while NCCL is called with the communicator
  std::atomic<ncclComm_t> communicator_;
  int device_;
  mutable std::mutex text_;  // guards the failure; never held during a call of NCCL
  std::string failure_;
  std::atomic<bool> is_claimed_ = false;
  std::promise<void> ended_;
  std::shared_future<void> is_ended_ = ended_.get_future().share();
};

[[noreturn]] inline void end_process(std::string_view message) noexcept {
  std::fprintf(stderr, "omnibal: %.*s; NCCL did not abort either, the process ends\n",
               static_cast<int>(message.size()), message.data());
  std::fflush(stderr);
  std::_Exit(EXIT_FAILURE);
}

/// Begins to abort communicators all together and returns at once; whoever calls it has claimed
/// them. First every one is revoked that no thread calls at the moment, so that no kernel of one
/// keeps the memory that the abort of another waits for; then each is aborted on a thread of its
/// own, since an abort waits for the device. Where one has not ended by the deadline the process
/// ends with the message: its device is lost.
inline void begin_abort_of_claimed(std::span<const std::shared_ptr<nccl_shared>> communicators,
                                   std::string_view reason,
                                   std::chrono::milliseconds deadline) noexcept {
  std::vector<std::pair<std::shared_ptr<nccl_shared>, ncclComm_t>> claimed;
  for (const auto& each : communicators) claimed.emplace_back(each, each->take(true));
  for (const auto& [each, taken] : claimed)
    std::thread([each = each, taken = taken] {
      cudaSetDevice(each->device());
      ncclComm_t aborted = taken != nullptr ? taken : each->take(false);
      if (aborted != nullptr) ncclCommAbort(aborted);
      each->set_ended();
    }).detach();
  std::thread([claimed = std::move(claimed), reason = std::string(reason),
               end = deadline_after(deadline)] {
    for (const auto& [each, taken] : claimed)
      if (!each->wait_until(end)) end_process(reason);
  }).detach();
}

/// The same of communicators of which others may have ended some: those are left to them.
inline void begin_abort(std::span<const std::shared_ptr<nccl_shared>> communicators,
                        std::string_view reason, std::chrono::milliseconds deadline) noexcept {
  if (reason.empty()) reason = "no reason was given";  // empty is the reason of an end without one
  std::vector<std::shared_ptr<nccl_shared>> claimed;
  for (const auto& each : communicators)
    if (each->claim(reason)) claimed.push_back(each);
  if (!claimed.empty()) begin_abort_of_claimed(claimed, reason, deadline);
}

}  // namespace omnibal::inline v0::detail
