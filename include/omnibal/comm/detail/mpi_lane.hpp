// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator of MPI of which no call waits for ever, and which ends at the first failure: the
/// others are told the reason, and every later call fails with it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/mpi_notices.hpp>
#include <omnibal/comm/detail/mpi_process.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>

namespace omnibal::inline v0::detail {

/// What an error names.
struct mpi_place {
  std::string_view operation = {};
  std::uint64_t sequence = 0;
};

/// A duplicate of a communicator, which it owns. See mpi_communicator for its end and for threads.
class mpi_lane {
 public:
  /// To be called by all ranks of `parent`. Throws communication_error where not all have come by
  /// the deadline.
  mpi_lane(MPI_Comm parent, std::size_t largest_message, std::chrono::milliseconds deadline)
      : largest_message_(largest_message), deadline_(deadline) {
    duplicate(parent);
  }
  mpi_lane(mpi_lane&& other) noexcept
      : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
        rank_(other.rank_),
        size_(other.size_),
        largest_message_(other.largest_message_),
        deadline_(other.deadline_),
        failure_(std::move(other.failure_)),
        exceptions_(other.exceptions_) {}
  mpi_lane& operator=(mpi_lane&&) = delete;
  ~mpi_lane() {
    if (handle_ == MPI_COMM_NULL || !mpi_is_running()) return;
    if (std::uncaught_exceptions() > exceptions_) abort("an exception");
    if (failure_.empty() && all_have_come()) MPI_Comm_free(&handle_);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return static_cast<std::size_t>(rank_); }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(size_); }
  [[nodiscard]] MPI_Comm handle() const noexcept { return handle_; }
  MPI_Comm release() noexcept { return std::exchange(handle_, MPI_COMM_NULL); }

  /// Of the bytes of a message; larger ones are sent in pieces, so it is the same on all ranks.
  void set_largest_message(std::size_t bytes) noexcept { largest_message_ = bytes; }

  /// Starts the messages that `fill` adds and waits until all have ended.
  template <typename Fill>
  void transfer(const mpi_place& at, const Fill& fill) {
    mpi_requests messages(handle_, largest_message_);
    fill(messages);
    const auto end = deadline_after(deadline_);
    try {
      for (patience looks; !messages.test(); looks.pause()) {
        require_usable(at);
        if (std::chrono::steady_clock::now() > end)
          fail(at, list_ranks(messages.missing()) + " did not come" + within());
      }
      if (messages.failure()) fail(at, *messages.failure());
    } catch (const communication_error& error) {
      messages.give_up(error.what());
      throw;
    }
  }

  /// Adds what this rank and another one send each other; what it sends itself is copied at once.
  void exchange(mpi_requests& messages, std::span<const std::byte> sent,
                std::span<std::byte> received, std::size_t peer, int tag) const {
    if (peer == rank()) {
      std::ranges::copy(sent, received.begin());
      return;
    }
    if (!received.empty()) messages.receive(received, peer, tag);
    if (!sent.empty()) messages.send(sent, peer, tag);
  }

  void check(int code, const mpi_place& at) {
    if (code != MPI_SUCCESS) fail(at, mpi_error_text(code));
  }

  /// Throws communication_error when this rank or another one has failed.
  void require_usable(const mpi_place& at) {
    require_mpi_on_this_thread();
    if (failure_.empty())
      if (auto notice = mpi_notices::receive(handle_)) failure_ = std::move(*notice);
    if (!failure_.empty()) throw communication_error(rank(), at.operation, at.sequence, failure_);
  }

  /// Every error passes here: it is reported to the others, and nothing works any more.
  [[noreturn]] void fail(const mpi_place& at, std::string_view reason) {
    if (failure_.empty()) {
      failure_ = reason;
      mpi_notices::send(handle_, rank(), size(), failure_);
    }
    throw communication_error(rank(), at.operation, at.sequence, reason);
  }

  void abort(std::string_view reason) noexcept {
    if (!failure_.empty()) return;
    failure_ = on_rank(rank()) + " aborted: " + std::string(reason);
    mpi_notices::send(handle_, rank(), size(), failure_);
  }

 private:
  static constexpr std::chrono::milliseconds longest_closing = std::chrono::seconds(1);

  /// Duplicates the parent with errors returned, also of the duplication itself.
  void duplicate(MPI_Comm parent) {
    constexpr std::string_view operation = "duplicate";
    MPI_Errhandler of_parent = MPI_ERRHANDLER_NULL;
    if (const int code = MPI_Comm_get_errhandler(parent, &of_parent); code != MPI_SUCCESS)
      throw communication_error(0, operation, 0, mpi_error_text(code));
    MPI_Comm_set_errhandler(parent, MPI_ERRORS_RETURN);
    MPI_Request request = MPI_REQUEST_NULL;
    auto made = std::make_unique<MPI_Comm>(MPI_COMM_NULL);
    int code = MPI_Comm_idup(parent, made.get(), &request);
    if (code == MPI_SUCCESS) code = wait_for(request);
    MPI_Comm_set_errhandler(parent, of_parent);
    MPI_Errhandler_free(&of_parent);
    if (code == MPI_ERR_PENDING) {
      (void)made.release();  // MPI may still write it
      throw communication_error(0, operation, 0, "not all ranks came" + within());
    }
    if (code != MPI_SUCCESS) throw communication_error(0, operation, 0, mpi_error_text(code));
    handle_ = *made;
    MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(handle_, &rank_);
    MPI_Comm_size(handle_, &size_);
  }

  /// MPI_ERR_PENDING at the deadline.
  [[nodiscard]] int wait_for(MPI_Request& request) const {
    const auto end = deadline_after(deadline_);
    patience looks;
    for (int ended = 0;; looks.pause()) {
      const int code = MPI_Test(&request, &ended, MPI_STATUS_IGNORE);
      if (code != MPI_SUCCESS || ended != 0) return code;
      if (std::chrono::steady_clock::now() >= end) return MPI_ERR_PENDING;
    }
  }

  /// Whether all ranks are about to free the communicator. MPI gives its number to the next one,
  /// which would get what a rank still sends, such as the reason why it fails; so where others do
  /// not come soon, it is not freed.
  [[nodiscard]] bool all_have_come() noexcept {
    const auto end = deadline_after(std::min(deadline_, longest_closing));
    MPI_Request request = MPI_REQUEST_NULL;
    int ended = 0;
    if (MPI_Ibarrier(handle_, &request) != MPI_SUCCESS) return false;
    for (patience looks; std::chrono::steady_clock::now() < end; looks.pause()) {
      if (MPI_Test(&request, &ended, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
      if (ended != 0) return true;
      if (mpi_notices::receive(handle_)) return false;
    }
    return false;
  }

  [[nodiscard]] std::string within() const {
    return " within " + std::to_string(deadline_.count()) + " ms";
  }

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::size_t largest_message_;
  std::chrono::milliseconds deadline_;
  std::string failure_;                          // once set, every later operation fails
  int exceptions_ = std::uncaught_exceptions();  // when constructed
};

}  // namespace omnibal::inline v0::detail
