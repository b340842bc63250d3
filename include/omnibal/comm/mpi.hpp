// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator over MPI, whose ranks are processes. Include it only when the target omnibal::mpi
/// is linked.
///
/// MPI counts in int; larger buffers are sent in pieces, so sizes are limited by memory only. MPI
/// has no deadlines: a missing rank causes a hang, as in any MPI program. Errors that MPI reports
/// throw communication_error instead of ending the process.
#pragma once

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct mpi_communicator_options {
  /// The most bytes per message, the same on every rank, 1 … INT_MAX. Larger buffers are sent in
  /// pieces.
  std::size_t largest_message = INT_MAX;
};

/// One rank of an MPI communicator; models communicator. Owns a duplicate of the communicator it is
/// constructed from, so its messages are separate from those of the caller.
class mpi_communicator {
 public:
  /// To be called by all ranks of `parent`, between MPI_Init and MPI_Finalize. Throws invalid_input
  /// when MPI is not running.
  explicit mpi_communicator(MPI_Comm parent = MPI_COMM_WORLD,
                            const mpi_communicator_options& options = {})
      : largest_message_(options.largest_message) {
    if (largest_message_ == 0 || largest_message_ > INT_MAX)
      throw invalid_input("largest_message", largest_message_, "must be 1 ... INT_MAX");
    if (!is_running())
      throw invalid_input("MPI", "not running", "must be initialized and not yet finalized");
    check(MPI_Comm_dup(parent, &handle_), "duplicate");
    check(MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN), "set_errhandler");
    check(MPI_Comm_rank(handle_, &rank_), "rank");
    check(MPI_Comm_size(handle_, &size_), "size");
  }
  mpi_communicator(mpi_communicator&& other) noexcept
      : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
        rank_(other.rank_),
        size_(other.size_),
        largest_message_(other.largest_message_),
        sequence_(other.sequence_) {}
  mpi_communicator& operator=(mpi_communicator&&) = delete;
  ~mpi_communicator() {
    if (handle_ != MPI_COMM_NULL && is_running()) MPI_Comm_free(&handle_);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return static_cast<std::size_t>(rank_); }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(size_); }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size());
    broadcast_pieces(buffer, root, "broadcast");
    ++sequence_;
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank(), size());
    if (received.size() <= largest_message_)
      all_gather_once(sent, received, counts);
    else
      all_gather_by_broadcasts(sent, received, counts);
    ++sequence_;
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size());
    std::vector<MPI_Request> requests;
    for (std::size_t r = 0; r < size(); ++r) {
      receive_pieces(take_front(received, received_counts[r]), r, requests);
      send_pieces(take_front(sent, sent_counts[r]), r, requests);
    }
    wait_for_all(requests);
    ++sequence_;
  }

 private:
  static constexpr int tag = 0;

  [[nodiscard]] static bool is_running() noexcept {
    int initialized = 0;
    int finalized = 0;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    return initialized != 0 && finalized == 0;
  }

  /// Cuts the first `count` elements off a span and returns them.
  template <typename Byte>
  [[nodiscard]] static std::span<Byte> take_front(std::span<Byte>& bytes, std::size_t count) {
    const std::span<Byte> front = bytes.first(count);
    bytes = bytes.subspan(count);
    return front;
  }

  template <typename Byte>
  [[nodiscard]] std::span<Byte> take_message(std::span<Byte>& bytes) const {
    return take_front(bytes, std::min(bytes.size(), largest_message_));
  }

  void check(int code, std::string_view operation) const {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    throw communication_error(rank(), operation, sequence_,
                              std::string_view(text.data(), static_cast<std::size_t>(length)));
  }

  void broadcast_pieces(std::span<std::byte> buffer, std::size_t root, std::string_view operation) {
    while (!buffer.empty()) {
      const auto message = take_message(buffer);
      check(MPI_Bcast(message.data(), static_cast<int>(message.size()), MPI_BYTE,
                      static_cast<int>(root), handle_),
            operation);
    }
  }

  void all_gather_once(std::span<const std::byte> sent, std::span<std::byte> received,
                       std::span<const std::size_t> counts) {
    std::vector<int> sizes;
    std::vector<int> offsets;
    int offset = 0;
    for (const std::size_t count : counts) {
      sizes.push_back(static_cast<int>(count));
      offsets.push_back(offset);
      offset += static_cast<int>(count);
    }
    check(MPI_Allgatherv(sent.data(), static_cast<int>(sent.size()), MPI_BYTE, received.data(),
                         sizes.data(), offsets.data(), MPI_BYTE, handle_),
          "all_gather");
  }

  void all_gather_by_broadcasts(std::span<const std::byte> sent, std::span<std::byte> received,
                                std::span<const std::size_t> counts) {
    for (std::size_t r = 0; r < size(); ++r) {
      const auto part = take_front(received, counts[r]);
      if (r == rank()) std::ranges::copy(sent, part.begin());
      broadcast_pieces(part, r, "all_gather");
    }
  }

  void receive_pieces(std::span<std::byte> bytes, std::size_t from,
                      std::vector<MPI_Request>& requests) {
    while (!bytes.empty()) {
      const auto message = take_message(bytes);
      check(MPI_Irecv(message.data(), static_cast<int>(message.size()), MPI_BYTE,
                      static_cast<int>(from), tag, handle_, &requests.emplace_back()),
            "all_to_all");
    }
  }

  void send_pieces(std::span<const std::byte> bytes, std::size_t to,
                   std::vector<MPI_Request>& requests) {
    while (!bytes.empty()) {
      const auto message = take_message(bytes);
      check(MPI_Isend(message.data(), static_cast<int>(message.size()), MPI_BYTE,
                      static_cast<int>(to), tag, handle_, &requests.emplace_back()),
            "all_to_all");
    }
  }

  void wait_for_all(std::vector<MPI_Request>& requests) const {
    std::vector<MPI_Status> states(requests.size());
    const int code = MPI_Waitall(static_cast<int>(requests.size()), requests.data(), states.data());
    if (code == MPI_ERR_IN_STATUS)
      for (const MPI_Status& state : states)
        if (state.MPI_ERROR != MPI_ERR_PENDING) check(state.MPI_ERROR, "all_to_all");
    check(code, "all_to_all");
  }

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::size_t largest_message_ = INT_MAX;
  std::uint64_t sequence_ = 0;
};

}  // namespace omnibal::inline v0
