// SPDX-License-Identifier: Apache-2.0
/// @file
/// Non-blocking messages over MPI that belong to one operation: sent in pieces that fit MPI's int
/// counts, tested until they have ended, and given up without a trace when the operation fails.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/mpi_process.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// The messages of one operation. Not movable: MPI writes into it. Destroyed before they have
/// ended, it cancels what it receives, so that nothing is written into memory that the caller gets
/// back.
class mpi_requests {
 public:
  mpi_requests(MPI_Comm comm, std::size_t largest_message)
      : comm_(comm), largest_message_(largest_message) {}
  mpi_requests(mpi_requests&&) = delete;
  mpi_requests& operator=(mpi_requests&&) = delete;
  ~mpi_requests() {
    if (mpi_is_running()) give_up("an operation is given up");
  }

  /// Sends bytes, which must stay until the messages have ended: one message, also of no bytes, or
  /// several for more than the largest.
  void send(std::span<const std::byte> bytes, std::size_t to, int tag) {
    do send_whole(take_piece(bytes), to, tag);
    while (!bytes.empty());
  }

  /// The same as one message, of at most INT_MAX bytes.
  void send_whole(std::span<const std::byte> bytes, std::size_t to, int tag) {
    MPI_Request request = MPI_REQUEST_NULL;
    note(MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(to),
                   tag, comm_, &request));
    add(request, {.peer = to, .bytes = bytes.size()});
  }

  void receive(std::span<std::byte> bytes, std::size_t from, int tag) {
    do {
      const auto piece = take_piece(bytes);
      MPI_Request request = MPI_REQUEST_NULL;
      note(MPI_Irecv(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(from),
                     tag, comm_, &request));
      add(request, {.peer = from, .bytes = piece.size(), .receives = true});
    } while (!bytes.empty());
  }

  /// Receives one message of up to bytes.size() bytes and calls `arrived` with their number, which
  /// may add messages and throw.
  void receive_whole(std::span<std::byte> bytes, std::size_t from, int tag,
                     std::function<void(std::size_t)> arrived) {
    MPI_Request request = MPI_REQUEST_NULL;
    note(MPI_Irecv(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, static_cast<int>(from),
                   tag, comm_, &request));
    add(request,
        {.peer = from, .bytes = bytes.size(), .receives = true, .arrived = std::move(arrived)});
  }

  /// Whether all messages have ended, or one has failed. Does not wait.
  [[nodiscard]] bool test() {
    for (std::size_t i = 0; i < requests_.size() && !failure_; ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      int ended = 0;
      MPI_Status status{};
      const int code = MPI_Test(&requests_[i], &ended, &status);
      if (code != MPI_SUCCESS) fail(i, code);
      if (code == MPI_SUCCESS && ended != 0 && messages_[i].receives) end_receive(i, status);
    }
    return failure_ || std::ranges::all_of(requests_, [](MPI_Request request) {
             return request == MPI_REQUEST_NULL;
           });
  }

  /// Cancels what has not ended. The process ends with the reason where a message that has begun to
  /// arrive never ends: MPI would go on writing into memory that is the caller's again.
  void give_up(std::string_view reason) noexcept {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      if (!messages_[i].receives)
        MPI_Request_free(&requests_[i]);  // MPI only reads the memory, and nobody will ask for it
      else if (!cancel(requests_[i]))
        end_process(messages_[i], reason);
      requests_[i] = MPI_REQUEST_NULL;
    }
  }

  /// What went wrong with a message, empty while nothing has.
  [[nodiscard]] const std::optional<std::string>& failure() const noexcept { return failure_; }

  /// The ranks whose messages have not ended, ascending.
  [[nodiscard]] std::vector<std::size_t> missing() const {
    std::vector<std::size_t> ranks;
    for (std::size_t i = 0; i < requests_.size(); ++i)
      if (requests_[i] != MPI_REQUEST_NULL) ranks.push_back(messages_[i].peer);
    return sorted_ranks(std::move(ranks));
  }

 private:
  struct message {
    std::size_t peer = 0;
    std::size_t bytes = 0;
    bool receives = false;
    std::function<void(std::size_t)> arrived = {};  // else the bytes must be as many as those
  };

  template <typename Byte>
  [[nodiscard]] std::span<Byte> take_piece(std::span<Byte>& bytes) const {
    const std::span<Byte> piece = bytes.first(std::min(bytes.size(), largest_message_));
    bytes = bytes.subspan(piece.size());
    return piece;
  }

  void add(MPI_Request request, message added) {
    requests_.push_back(request);
    messages_.push_back(std::move(added));
  }

  void note(int code) {
    if (code != MPI_SUCCESS && !failure_) failure_ = mpi_error_text(code);
  }

  void fail(std::size_t i, int code) {
    const message& failed = messages_[i];
    requests_[i] = MPI_REQUEST_NULL;
    failure_ = (failed.receives ? "a message from rank " : "a message to rank ") +
               std::to_string(failed.peer) + " of " + std::to_string(failed.bytes) +
               " bytes: " + mpi_error_text(code);
  }

  void end_receive(std::size_t i, const MPI_Status& status) {
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (const auto arrived = std::exchange(messages_[i].arrived, {}))
      return arrived(static_cast<std::size_t>(bytes));
    if (static_cast<std::size_t>(bytes) != messages_[i].bytes)
      failure_ = "rank " + std::to_string(messages_[i].peer) + " sends " + std::to_string(bytes) +
                 " bytes, expected are " + std::to_string(messages_[i].bytes);
  }

  /// Whether the receive has ended.
  [[nodiscard]] static bool cancel(MPI_Request& request) noexcept {
    MPI_Cancel(&request);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    patience looks;
    for (int ended = 0; std::chrono::steady_clock::now() < end; looks.pause())
      if (MPI_Test(&request, &ended, MPI_STATUS_IGNORE) != MPI_SUCCESS || ended != 0) return true;
    return false;
  }

  static void end_process(const message& stopped, std::string_view reason) noexcept {
    std::fprintf(stderr,
                 "omnibal: %.*s; the message of %zu bytes from rank %zu stopped half-way and MPI "
                 "cannot cancel it, so this process ends\n",
                 static_cast<int>(reason.size()), reason.data(), stopped.bytes, stopped.peer);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

  MPI_Comm comm_;
  std::size_t largest_message_;
  std::vector<MPI_Request> requests_;
  std::vector<message> messages_;
  std::optional<std::string> failure_;
};

}  // namespace omnibal::inline v0::detail
