// SPDX-License-Identifier: Apache-2.0
/// @file
/// Non-blocking messages over MPI that belong to one operation: sent in pieces that fit MPI's int
/// counts, tested until they have ended, and given up without a trace when the operation fails.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

[[nodiscard]] inline bool mpi_is_running() noexcept {
  int initialized = 0;
  int finalized = 0;
  MPI_Initialized(&initialized);
  MPI_Finalized(&finalized);
  return initialized != 0 && finalized == 0;
}

[[nodiscard]] inline std::string mpi_error_text(int code) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return {text.data(), static_cast<std::size_t>(length)};
}

/// Throws invalid_input unless MPI runs and this thread may call it: below MPI_THREAD_SERIALIZED
/// only the thread that initialized MPI.
inline void require_mpi_on_this_thread() {
  if (!mpi_is_running())
    throw invalid_input("MPI", "not running", "must be initialized and not yet finalized");
  int level = MPI_THREAD_SINGLE;
  int is_main = 0;
  MPI_Query_thread(&level);
  MPI_Is_thread_main(&is_main);
  if (level < MPI_THREAD_SERIALIZED && is_main == 0)
    throw invalid_input("thread level of MPI", "below MPI_THREAD_SERIALIZED",
                        "allows calls from the thread that initialized MPI only; initialize MPI "
                        "with MPI_Init_thread and MPI_THREAD_SERIALIZED, or MPI_THREAD_MULTIPLE "
                        "where several threads communicate at once");
}

/// Waits between two looks at something: not at all at first, then for longer and longer.
class patience {
 public:
  void pause() {
    if (++looks_ < 200) return std::this_thread::yield();
    std::this_thread::sleep_for(pause_);
    pause_ = std::min(2 * pause_, std::chrono::microseconds(1000));
  }

 private:
  int looks_ = 0;
  std::chrono::microseconds pause_{20};
};

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
    if (mpi_is_running()) give_up();
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

  void give_up() noexcept {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == MPI_REQUEST_NULL) continue;
      if (messages_[i].receives)
        cancel(requests_[i]);
      else
        MPI_Request_free(&requests_[i]);  // MPI only reads the memory, and nobody will ask for it
    }
  }

  /// Ends the process where a message that has begun to arrive never ends: MPI would go on writing
  /// into memory that is the caller's again.
  static void cancel(MPI_Request& request) noexcept {
    MPI_Cancel(&request);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    patience looks;
    for (int ended = 0; std::chrono::steady_clock::now() < end; looks.pause())
      if (MPI_Test(&request, &ended, MPI_STATUS_IGNORE) != MPI_SUCCESS || ended != 0) return;
    std::fputs("omnibal: a message stopped half-way and MPI cannot cancel it\n", stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

  MPI_Comm comm_;
  std::size_t largest_message_;
  std::vector<MPI_Request> requests_;
  std::vector<message> messages_;
  std::optional<std::string> failure_;
};

/// The text by which other ranks learn of a failure.
class mpi_notices {
 public:
  static constexpr int tag = 1;

  /// Sends the reason to all other ranks without waiting for them. The text is never freed: a rank
  /// may take it after this one has gone on.
  static void send(MPI_Comm comm, std::size_t rank, std::size_t size,
                   std::string_view reason) noexcept {
    const auto bytes = static_cast<int>(std::min(reason.size(), longest));
    auto* text = new (std::nothrow) std::string(reason.substr(0, longest));
    if (text == nullptr) return;
    for (std::size_t r = 0; r < size; ++r) {
      MPI_Request request = MPI_REQUEST_NULL;
      if (r == rank) continue;
      if (MPI_Isend(text->data(), bytes, MPI_CHAR, static_cast<int>(r), tag, comm, &request) ==
          MPI_SUCCESS)
        MPI_Request_free(&request);
    }
  }

  /// The reason that another rank has sent, if one has.
  [[nodiscard]] static std::optional<std::string> receive(MPI_Comm comm) {
    int arrived = 0;
    MPI_Status status{};
    if (MPI_Iprobe(MPI_ANY_SOURCE, tag, comm, &arrived, &status) != MPI_SUCCESS || arrived == 0)
      return std::nullopt;
    std::string text(longest, '\0');
    int length = 0;
    MPI_Get_count(&status, MPI_CHAR, &length);
    MPI_Recv(text.data(), static_cast<int>(longest), MPI_CHAR, status.MPI_SOURCE, tag, comm,
             MPI_STATUS_IGNORE);
    text.resize(static_cast<std::size_t>(length));
    return text;
  }

 private:
  static constexpr std::size_t longest = 1000;
};

}  // namespace omnibal::inline v0::detail
