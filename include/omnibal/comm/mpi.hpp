// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator over MPI, whose ranks are processes. Include it only when the target omnibal::mpi
/// is linked.
///
///     mpi_communicator ranks(MPI_COMM_WORLD, {.deadline = std::chrono::seconds(30)});
///     require_agreement(ranks, "dispatch of epoch 3", plan.groups);
///
/// Nothing blocks inside MPI: every message is tested until it has ended or the deadline has
/// passed. Before bytes are moved, ranks send each other what they called, so another operation or
/// size is an error on all of them, and a missing rank is named. A rank that fails reports
/// it to the others, which fail at once and not at their deadline. MPI counts in int; larger
/// buffers are sent in pieces.
#pragma once

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/mpi_lane.hpp>
#include <omnibal/comm/detail/mpi_process.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
#include <omnibal/comm/detail/mpi_roll_call.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct mpi_communicator_options {
  /// The most bytes per message, 1 … INT_MAX; where ranks differ, the least of theirs. Larger
  /// buffers are sent in pieces.
  std::size_t largest_message = INT_MAX;
  /// How long a rank waits for the others at an operation: 0 or more, max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
};

/// One rank of an MPI communicator; models communicator. Owns a duplicate of the communicator it is
/// constructed from, so its messages are separate from those of the caller. Each collective
/// operation sends 2 (ranks − 1) small messages from each rank besides the bytes.
///
/// To be used by one thread. Where MPI runs below MPI_THREAD_SERIALIZED that is the thread that
/// initialized it; two communicators on two threads need MPI_THREAD_MULTIPLE.
///
/// Destroyed, it waits up to a second for the other ranks to do the same: only then it frees its
/// duplicate. After an error, and when it is destroyed while an exception passes, it sends
/// the other ranks the reason. The program should then end by MPI_Abort: MPI_Finalize waits for
/// ranks that may never come.
class mpi_communicator {
 public:
  /// To be called by all ranks of `parent`, between MPI_Init and MPI_Finalize. Throws invalid_input
  /// when MPI is not running or not on this thread, and for options out of their range.
  explicit mpi_communicator(MPI_Comm parent = MPI_COMM_WORLD,
                            const mpi_communicator_options& options = {})
      : options_(checked(options)), lane_(parent, options.largest_message, options.deadline) {
    agree_on_largest_message();
  }
  mpi_communicator(mpi_communicator&&) noexcept = default;
  mpi_communicator& operator=(mpi_communicator&&) = delete;
  ~mpi_communicator() = default;

  [[nodiscard]] std::size_t rank() const noexcept { return lane_.rank(); }
  [[nodiscard]] std::size_t size() const noexcept { return lane_.size(); }
  [[nodiscard]] const mpi_communicator_options& options() const noexcept { return options_; }
  /// The duplicate, for MPI calls that have no wrapper here.
  [[nodiscard]] MPI_Comm handle() const noexcept { return lane_.handle(); }
  /// Gives the duplicate away: it is not freed, and nothing can be called any more.
  MPI_Comm release() noexcept { return lane_.release(); }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size());
    const std::vector<std::size_t> bytes(size(), buffer.size());
    call_roll({detail::mpi_call::broadcast, root, bytes, bytes});
    // A binomial tree: rank r, counted from the root, receives from r without its lowest bit.
    const std::size_t place = (rank() + size() - root) % size();
    std::size_t step = 1;
    for (; step < size() && (place & step) == 0; step <<= 1U) {
    }
    if (place != 0)
      lane_.transfer({"broadcast", sequence_}, [&](messages& all) {
        all.receive(buffer, (place - step + root) % size(), tag_bytes);
      });
    lane_.transfer({"broadcast", sequence_}, [&](messages& all) {
      for (step >>= 1U; step > 0; step >>= 1U)
        if (place + step < size()) all.send(buffer, (place + step + root) % size(), tag_bytes);
    });
    ++sequence_;
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank(), size());
    const std::vector<std::size_t> sent_counts(size(), sent.size());
    call_roll({detail::mpi_call::all_gather, 0, sent_counts, counts});
    lane_.transfer({"all_gather", sequence_}, [&](messages& all) {
      for (std::size_t r = 0; r < size(); ++r)
        lane_.exchange(all, sent, take_front(received, counts[r]), r, tag_bytes);
    });
    ++sequence_;
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size());
    call_roll({detail::mpi_call::all_to_all, 0, sent_counts, received_counts});
    lane_.transfer({"all_to_all", sequence_}, [&](messages& all) {
      for (std::size_t r = 0; r < size(); ++r)
        lane_.exchange(all, take_front(sent, sent_counts[r]),
                       take_front(received, received_counts[r]), r, tag_bytes);
    });
    ++sequence_;
  }

  void send_bytes(std::span<const std::byte> sent, std::size_t to) {
    detail::require_peer("to", to, rank(), size());
    const detail::mpi_place at{"send", messages_[to].sent};
    const std::uint64_t offered = sent.size();
    const std::uint64_t wanted = exchange_sizes(at, offered, to, tag_offer, tag_demand);
    if (offered != wanted) lane_.fail(at, detail::size_mismatch(rank(), offered, to, wanted));
    lane_.transfer(at, [&](messages& all) { all.send(sent, to, tag_message); });
    ++messages_[to].sent;
  }

  void receive_bytes(std::span<std::byte> received, std::size_t from) {
    detail::require_peer("from", from, rank(), size());
    const detail::mpi_place at{"receive", messages_[from].received};
    const std::uint64_t wanted = received.size();
    const std::uint64_t offered = exchange_sizes(at, wanted, from, tag_demand, tag_offer);
    if (offered != wanted) lane_.fail(at, detail::size_mismatch(from, offered, rank(), wanted));
    lane_.transfer(at, [&](messages& all) { all.receive(received, from, tag_message); });
    ++messages_[from].received;
  }

  [[nodiscard]] std::optional<mpi_communicator> split(std::optional<int> color, int key) {
    detail::require_color(color);
    call_roll({.called = detail::mpi_call::split});
    MPI_Comm part = MPI_COMM_NULL;
    lane_.check(MPI_Comm_split(handle(), color.value_or(MPI_UNDEFINED), key, &part),
                {"split", sequence_});
    ++sequence_;
    if (!color) return std::nullopt;
    mpi_communicator child(part, options_);
    MPI_Comm_free(&part);
    return child;
  }

  /// Communicators that were split off this one do not learn of it: abort them too.
  void abort(std::string_view reason) noexcept { lane_.abort(reason); }

 private:
  using messages = detail::mpi_requests;

  struct message_counts {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  // detail::mpi_notices has tag 1 and the roll call 2.
  static constexpr int tag_bytes = 3;
  static constexpr int tag_offer = 4;
  static constexpr int tag_demand = 5;
  static constexpr int tag_message = 6;

  [[nodiscard]] static const mpi_communicator_options& checked(
      const mpi_communicator_options& options) {
    if (options.largest_message == 0 || options.largest_message > INT_MAX)
      throw invalid_input("largest_message", options.largest_message, "must be 1 ... INT_MAX");
    require_waiting_time("deadline", options.deadline);
    detail::require_mpi_on_this_thread();
    return options;
  }

  /// Cuts the first `count` elements off a span and returns them.
  template <typename Byte>
  [[nodiscard]] static std::span<Byte> take_front(std::span<Byte>& bytes, std::size_t count) {
    const std::span<Byte> front = bytes.first(count);
    bytes = bytes.subspan(count);
    return front;
  }

  std::vector<detail::mpi_roll_entry> call_roll(const detail::mpi_rolled_call& call) {
    return detail::call_roll(lane_, sequence_, call);
  }

  void agree_on_largest_message() {
    const std::vector<std::size_t> largest(size(), options_.largest_message);
    for (const auto& entry : call_roll({.called = detail::mpi_call::open, .sent = largest}))
      options_.largest_message = std::min<std::size_t>(options_.largest_message, entry.sent);
    lane_.set_largest_message(options_.largest_message);
  }

  /// Sends the peer of a message how many bytes this rank has or wants; returns the peer's number.
  [[nodiscard]] std::uint64_t exchange_sizes(const detail::mpi_place& at, std::uint64_t own,
                                             std::size_t peer, int tag_own, int tag_other) {
    lane_.require_usable(at);
    std::uint64_t other = 0;
    lane_.transfer(at, [&](messages& all) {
      all.send(std::as_bytes(std::span(&own, 1)), peer, tag_own);
      all.receive(std::as_writable_bytes(std::span(&other, 1)), peer, tag_other);
    });
    return other;
  }

  mpi_communicator_options options_;
  detail::mpi_lane lane_;
  std::uint64_t sequence_ = 0;                      // collective operations completed
  std::map<std::size_t, message_counts> messages_;  // by peer
};

}  // namespace omnibal::inline v0
