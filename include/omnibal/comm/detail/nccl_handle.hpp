// SPDX-License-Identifier: Apache-2.0
/// @file
/// One ncclComm_t and everything that can go wrong with it: calls that do not end, errors after a
/// call, an abort by another thread, and an end that waits for ranks that have failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/nccl_abort.hpp>
#include <omnibal/comm/detail/nccl_device.hpp>
#include <omnibal/comm/nccl_set.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

/// Where an error comes from.
struct nccl_place {
  std::size_t rank = 0;
  std::string_view operation = {};
  std::uint64_t sequence = 0;
};

/// What is the same for a communicator and those that are split off.
struct nccl_limits {
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  std::chrono::milliseconds abort_deadline = std::chrono::seconds(10);
  std::shared_ptr<nccl_communicator_set> set = {};
};

/// A communicator of NCCL on its device, owned or lent. Every wait has a deadline; a failure aborts
/// it, with all of its set. For the thread of the rank, but for abort() and what is const.
class nccl_handle {
 public:
  nccl_handle() = default;
  /// Takes the device that is current. It is in no set yet.
  nccl_handle(ncclComm_t handle, bool owned, nccl_limits limits)
      : owned_(owned), limits_(std::move(limits)) {
    int device = 0;
    cudaGetDevice(&device);
    if (handle != nullptr) shared_ = std::make_shared<nccl_shared>(handle, device);
  }
  nccl_handle(nccl_handle&& other) noexcept = default;
  nccl_handle& operator=(nccl_handle&& other) noexcept {
    std::swap(shared_, other.shared_);
    std::swap(owned_, other.owned_);
    std::swap(limits_, other.limits_);
    std::swap(exceptions_, other.exceptions_);
    std::swap(on_failure_, other.on_failure_);
    return *this;
  }
  ~nccl_handle() { close(); }

  /// Null once the communicator was aborted.
  [[nodiscard]] ncclComm_t get() const noexcept { return shared_ ? shared_->get() : nullptr; }
  [[nodiscard]] int device() const noexcept { return shared_ ? shared_->device() : 0; }
  [[nodiscard]] const nccl_limits& limits() const noexcept { return limits_; }
  /// Why the communicator was aborted; empty if it was not. What has ended by then may have ended
  /// without a result.
  [[nodiscard]] std::string failure() const { return shared_ ? shared_->failure() : std::string(); }

  /// Whether it has ended as it should: then so have all its operations.
  [[nodiscard]] bool has_finalized() const {
    return shared_ && shared_->is_claimed() && shared_->failure().empty();
  }

  /// Called when it has failed, while an abort goes on, and at its end at the latest; by any
  /// thread, maybe more than once.
  void on_failure(std::function<void()> action) { on_failure_ = std::move(action); }

  /// From now on it fails with its set.
  void join_set() {
    if (limits_.set && shared_) limits_.set->add(shared_);
  }

  /// Throws communication_error when the communicator was aborted.
  void require_open(const nccl_place& at) const {
    if (!shared_) throw communication_error(at.rank, at.operation, at.sequence, "there is none");
    if (shared_->is_claimed()) throw aborted_before(at);
  }

  /// Calls NCCL with the communicator and waits until the call has ended, since nothing else may be
  /// called before, and work for its stream would not come after it. Aborts and throws when it
  /// fails.
  template <typename Call>
  void call(const nccl_place& at, const Call& call) {
    require_open(at);
    const device_guard guard(device());
    settle(shared_->with([&](ncclComm_t handle) {
      return handle == nullptr ? ncclInvalidUsage : call(handle);
    }),
           at);
  }

  /// The same of a call that returned `result`.
  void settle(ncclResult_t result, const nccl_place& at) {
    if (result == ncclInProgress) result = poll();
    if (result != ncclSuccess) fail(describe(result), at);
  }

  /// Calls NCCL as above unless the communicator has ended, whatever comes of it.
  template <typename Call>
  void try_call(const Call& call) noexcept {
    if (!shared_ || shared_->is_claimed()) return;
    const device_guard guard(device());
    const ncclResult_t result = shared_->with(
        [&](ncclComm_t handle) { return handle == nullptr ? ncclSuccess : call(handle); });
    if (result == ncclInProgress) (void)poll();
  }

  /// Ends the communicator for the reason and returns the one that make(communicator, child) has
  /// made of it, of some of its ranks. Those that it fails together with go on.
  template <typename Make>
  [[nodiscard]] nccl_handle replace(const nccl_place& at, std::string_view reason,
                                    const Make& make) {
    require_open(at);
    const device_guard guard(device());
    const std::vector<std::shared_ptr<nccl_shared>> old = {shared_};
    // First: what is stopped by this ends without a result, and is not taken for one.
    if (!shared_->claim(reason)) throw aborted_before(at);
    nccl_handle child;
    const ncclResult_t result = make_child(child, make);
    begin_abort_of_claimed(old, reason, limits_.abort_deadline);
    tell_failure();
    shared_->wait();
    if (result != ncclSuccess) child.fail(child.describe(result), at);
    child.join_set();
    return child;
  }

  /// As settle, for a communicator that a split has made: its failure is not that of the parent.
  static void settle_child(nccl_handle& child, const nccl_place& at) {
    if (!child.shared_) return;
    if (const ncclResult_t result = child.poll(); result != ncclSuccess)
      child.fail(child.describe(result), at);
    child.join_set();
  }

  /// Blocks until all work on the stream has ended, within the deadline.
  void wait(cudaStream_t stream, const nccl_place& at) {
    const device_guard guard(device());
    wait([&] { return cudaStreamQuery(stream); }, limits_.deadline, at);
  }

  /// Blocks until `query` is no longer cudaErrorNotReady; aborts and throws at the deadline and
  /// when anything fails.
  template <typename Query>
  void wait(const Query& query, std::chrono::milliseconds deadline, const nccl_place& at) {
    require_open(at);
    const auto end = deadline_after(deadline);
    cudaError_t state = cudaErrorNotReady;
    for (nccl_patience looks; (state = query()) == cudaErrorNotReady; looks.pause()) {
      require_healthy(at);
      if (std::chrono::steady_clock::now() > end) fail(did_not_end(deadline), at);
    }
    require(state, at);
    require_open(at);  // an abort ends the work as well
  }

  /// Aborts and throws when NCCL has reported an error.
  void require_healthy(const nccl_place& at) {
    require_open(at);
    const ncclResult_t result = asynchronous_error();
    if (result != ncclSuccess && result != ncclInProgress) fail(describe(result), at);
  }

  /// A failure of the device aborts as well: peers wait for this rank.
  void require(cudaError_t error, const nccl_place& at) {
    if (error != cudaSuccess) fail(cudaGetErrorString(error), at);
  }

  [[noreturn]] void fail(const std::string& reason, const nccl_place& at) {
    if (!shared_) throw communication_error(at.rank, at.operation, at.sequence, reason);
    // What fails after an abort fails because of it.
    if (shared_->is_claimed()) throw aborted_before(at);
    std::string text = reason;
    const char* last = shared_->with([](ncclComm_t handle) { return ncclGetLastError(handle); });
    if (last != nullptr && *last != '\0') text += std::string("; NCCL: ") + last;
    const communication_error error(at.rank, at.operation, at.sequence, text);
    abort(error.what());
    throw error;
  }

  /// Begins to end the communicator and all of its set, from any thread. Also a lent one: its owner
  /// cannot use it any more. Later calls fail.
  void begin_abort(std::string_view reason) const noexcept {
    if (!shared_) return;
    std::vector<std::shared_ptr<nccl_shared>> all = {shared_};
    if (limits_.set)
      for (auto& other : limits_.set->members())
        if (other != shared_) all.push_back(std::move(other));
    detail::begin_abort(all, reason, limits_.abort_deadline);
  }

  /// The same; returns when this one has ended.
  void abort(std::string_view reason) const noexcept {
    if (!shared_) return;
    begin_abort(reason);
    tell_failure();
    shared_->wait();
  }

  /// Waits for the other ranks, unless an exception passes: they may wait for this one.
  void close() noexcept {
    if (!shared_) return;
    if (std::uncaught_exceptions() > exceptions_ && owned_) begin_abort("an exception");
    if (owned_ && !shared_->is_claimed()) finalize();
    tell_failure();
    if (shared_->is_claimed()) shared_->wait();
  }

 private:
  /// Until neither uses the other any more. Without exceptions: whoever has claimed a communicator
  /// has to end it.
  template <typename Make>
  [[nodiscard]] ncclResult_t make_child(nccl_handle& child, const Make& make) noexcept {
    ncclComm_t made = nullptr;
    ncclResult_t result = shared_->with([&](ncclComm_t handle) { return make(handle, &made); });
    child = nccl_handle(made, true, limits_);
    if (result == ncclInProgress) result = poll();
    return result == ncclSuccess ? child.poll() : result;
  }

  void tell_failure() const noexcept {
    if (on_failure_ && !shared_->failure().empty()) on_failure_();
  }

  void finalize() noexcept {
    const device_guard guard(device());
    ncclResult_t result = shared_->with([](ncclComm_t handle) {
      return handle == nullptr ? ncclInvalidUsage : ncclCommFinalize(handle);
    });
    if (result == ncclInProgress) result = poll();
    if (result != ncclSuccess) return begin_abort("it did not finalize");
    if (!shared_->claim("")) return;
    ncclCommDestroy(shared_->release());
    shared_->set_ended();
  }

  [[nodiscard]] communication_error aborted_before(const nccl_place& at) const {
    const std::string reason = shared_->failure();
    return {at.rank, at.operation, at.sequence,
            reason.empty() ? "the communicator is closed"
                           : "the communicator was aborted before: " + reason};
  }

  [[nodiscard]] ncclResult_t asynchronous_error() const noexcept {
    return shared_->with([](ncclComm_t handle) {
      ncclResult_t state = ncclSuccess;
      if (handle == nullptr) return ncclInvalidUsage;
      const ncclResult_t result = ncclCommGetAsyncError(handle, &state);
      return result == ncclSuccess ? state : result;
    });
  }

  /// ncclInProgress at the deadline.
  [[nodiscard]] ncclResult_t poll() const noexcept {
    if (!shared_) return ncclSystemError;
    const auto end = deadline_after(limits_.deadline);
    ncclResult_t result = ncclSuccess;
    for (nccl_patience looks; (result = asynchronous_error()) == ncclInProgress &&
                              std::chrono::steady_clock::now() <= end;
         looks.pause()) {
    }
    return result;
  }

  [[nodiscard]] std::string describe(ncclResult_t result) const {
    return result == ncclInProgress ? did_not_end(limits_.deadline) : ncclGetErrorString(result);
  }

  [[nodiscard]] static std::string did_not_end(std::chrono::milliseconds deadline) {
    return "did not end within " + std::to_string(deadline.count()) + " ms";
  }

  std::shared_ptr<nccl_shared> shared_;
  bool owned_ = true;
  nccl_limits limits_;
  int exceptions_ = std::uncaught_exceptions();  // when constructed
  std::function<void()> on_failure_;
};

}  // namespace omnibal::inline v0::detail
