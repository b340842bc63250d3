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
#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpi.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/mpi_requests.hpp>
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
      : options_(options) {
    if (options.largest_message == 0 || options.largest_message > INT_MAX)
      throw invalid_input("largest_message", options.largest_message, "must be 1 ... INT_MAX");
    require_waiting_time("deadline", options.deadline);
    detail::require_mpi_on_this_thread();
    duplicate(parent);
    agree_on_largest_message();
  }
  mpi_communicator(mpi_communicator&& other) noexcept
      : handle_(std::exchange(other.handle_, MPI_COMM_NULL)),
        rank_(other.rank_),
        size_(other.size_),
        options_(other.options_),
        sequence_(other.sequence_),
        messages_(std::move(other.messages_)),
        failure_(std::move(other.failure_)),
        exceptions_(other.exceptions_) {}
  mpi_communicator& operator=(mpi_communicator&&) = delete;
  ~mpi_communicator() {
    if (handle_ == MPI_COMM_NULL || !detail::mpi_is_running()) return;
    if (std::uncaught_exceptions() > exceptions_) abort("an exception");
    if (failure_.empty() && all_have_come()) MPI_Comm_free(&handle_);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return static_cast<std::size_t>(rank_); }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(size_); }
  [[nodiscard]] const mpi_communicator_options& options() const noexcept { return options_; }
  /// The duplicate, for MPI calls that have no wrapper here.
  [[nodiscard]] MPI_Comm handle() const noexcept { return handle_; }
  /// Gives the duplicate away: it is not freed, and nothing can be called any more.
  MPI_Comm release() noexcept { return std::exchange(handle_, MPI_COMM_NULL); }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size());
    const std::vector<std::size_t> bytes(size(), buffer.size());
    call_roll(call::broadcast, root, bytes, bytes);
    // A binomial tree: rank r, counted from the root, receives from r without its lowest bit.
    const std::size_t place = (rank() + size() - root) % size();
    std::size_t step = 1;
    for (; step < size() && (place & step) == 0; step <<= 1U) {
    }
    if (place != 0)
      transfer("broadcast", [&](auto& messages) {
        messages.receive(buffer, (place - step + root) % size(), tag_bytes);
      });
    transfer("broadcast", [&](auto& messages) {
      for (step >>= 1U; step > 0; step >>= 1U)
        if (place + step < size()) messages.send(buffer, (place + step + root) % size(), tag_bytes);
    });
    ++sequence_;
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank(), size());
    call_roll(call::all_gather, 0, std::vector<std::size_t>(size(), sent.size()), counts);
    transfer("all_gather", [&](auto& messages) {
      for (std::size_t r = 0; r < size(); ++r)
        exchange(messages, sent, take_front(received, counts[r]), r);
    });
    ++sequence_;
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size());
    call_roll(call::all_to_all, 0, sent_counts, received_counts);
    transfer("all_to_all", [&](auto& messages) {
      for (std::size_t r = 0; r < size(); ++r)
        exchange(messages, take_front(sent, sent_counts[r]),
                 take_front(received, received_counts[r]), r);
    });
    ++sequence_;
  }

  void send_bytes(std::span<const std::byte> sent, std::size_t to) {
    detail::require_peer("to", to, rank(), size());
    require_usable("send", messages_[to].sent);
    const std::uint64_t offered = sent.size();
    const std::uint64_t wanted = exchange_sizes("send", offered, to, tag_offer, tag_demand);
    if (offered != wanted)
      fail("send", messages_[to].sent, size_mismatch(rank(), offered, to, wanted));
    transfer("send", messages_[to].sent,
             [&](auto& messages) { messages.send(sent, to, tag_message); });
    ++messages_[to].sent;
  }

  void receive_bytes(std::span<std::byte> received, std::size_t from) {
    detail::require_peer("from", from, rank(), size());
    require_usable("receive", messages_[from].received);
    const std::uint64_t wanted = received.size();
    const std::uint64_t offered = exchange_sizes("receive", wanted, from, tag_demand, tag_offer);
    if (offered != wanted)
      fail("receive", messages_[from].received, size_mismatch(from, offered, rank(), wanted));
    transfer("receive", messages_[from].received,
             [&](auto& messages) { messages.receive(received, from, tag_message); });
    ++messages_[from].received;
  }

  [[nodiscard]] std::optional<mpi_communicator> split(std::optional<int> color, int key) {
    detail::require_color(color);
    const std::vector<std::size_t> nothing(size(), 0);
    call_roll(call::split, 0, nothing, nothing);
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(handle_, color.value_or(MPI_UNDEFINED), key, &part), "split");
    ++sequence_;
    if (!color) return std::nullopt;
    mpi_communicator child(part, options_);
    MPI_Comm_free(&part);
    return child;
  }

  /// Communicators that were split off this one do not learn of it: abort them too.
  void abort(std::string_view reason) noexcept {
    if (!failure_.empty()) return;
    failure_ = detail::on_rank(rank()) + " aborted: " + std::string(reason);
    detail::mpi_notices::send(handle_, rank(), size(), failure_);
  }

 private:
  enum class call : std::uint64_t { open, broadcast, all_gather, all_to_all, split };

  /// What a rank sends another one at a collective operation.
  struct roll_entry {
    call called = call::open;
    std::uint64_t root = 0;
    std::uint64_t sent = 0;      // bytes to the rank that reads this
    std::uint64_t expected = 0;  // bytes from it
  };

  struct message_counts {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  // detail::mpi_notices has tag 1.
  static constexpr int tag_roll = 2;
  static constexpr int tag_bytes = 3;
  static constexpr int tag_offer = 4;
  static constexpr int tag_demand = 5;
  static constexpr int tag_message = 6;
  static constexpr std::chrono::milliseconds longest_closing = std::chrono::seconds(1);

  [[nodiscard]] static std::string_view name_of(call called) {
    constexpr std::array<std::string_view, 5> names = {"open", "broadcast", "all_gather",
                                                       "all_to_all", "split"};
    const auto number = static_cast<std::size_t>(called);
    return number < names.size() ? names[number] : "an unknown operation";
  }

  /// Cuts the first `count` elements off a span and returns them.
  template <typename Byte>
  [[nodiscard]] static std::span<Byte> take_front(std::span<Byte>& bytes, std::size_t count) {
    const std::span<Byte> front = bytes.first(count);
    bytes = bytes.subspan(count);
    return front;
  }

  [[nodiscard]] static std::string size_mismatch(std::size_t from, std::uint64_t sent,
                                                 std::size_t to, std::uint64_t expected) {
    return detail::on_rank(from) + " sends " + std::to_string(sent) + " bytes to " +
           detail::on_rank(to) + ", which expects " + std::to_string(expected);
  }

  /// Whether all ranks are about to free the communicator. MPI gives its number to the next one,
  /// which would get what a rank still sends, such as the reason why it fails; so where others do
  /// not come soon, it is not freed.
  [[nodiscard]] bool all_have_come() noexcept {
    const auto end = deadline_after(std::min(options_.deadline, longest_closing));
    MPI_Request request = MPI_REQUEST_NULL;
    int ended = 0;
    if (MPI_Ibarrier(handle_, &request) != MPI_SUCCESS) return false;
    for (detail::patience looks; std::chrono::steady_clock::now() < end; looks.pause()) {
      if (MPI_Test(&request, &ended, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
      if (ended != 0) return true;
      if (detail::mpi_notices::receive(handle_)) return false;
    }
    return false;
  }

  void check(int code, std::string_view operation) {
    if (code != MPI_SUCCESS) fail(operation, sequence_, detail::mpi_error_text(code));
  }

  /// Every error passes here: it is reported to the others, and nothing works any more.
  [[noreturn]] void fail(std::string_view operation, std::uint64_t sequence,
                         std::string_view reason) {
    if (failure_.empty()) {
      failure_ = reason;
      detail::mpi_notices::send(handle_, rank(), size(), failure_);
    }
    throw communication_error(rank(), operation, sequence, reason);
  }

  void require_usable(std::string_view operation, std::uint64_t sequence) {
    detail::require_mpi_on_this_thread();
    if (failure_.empty())
      if (auto notice = detail::mpi_notices::receive(handle_)) failure_ = std::move(*notice);
    if (!failure_.empty()) throw communication_error(rank(), operation, sequence, failure_);
  }

  /// Duplicates the parent with errors returned, also of the duplication itself.
  void duplicate(MPI_Comm parent) {
    MPI_Errhandler of_parent = MPI_ERRHANDLER_NULL;
    check(MPI_Comm_get_errhandler(parent, &of_parent), "duplicate");
    MPI_Comm_set_errhandler(parent, MPI_ERRORS_RETURN);
    MPI_Request request = MPI_REQUEST_NULL;
    int code = MPI_Comm_idup(parent, &handle_, &request);
    if (code == MPI_SUCCESS) code = wait_for(request);
    MPI_Comm_set_errhandler(parent, of_parent);
    MPI_Errhandler_free(&of_parent);
    if (code != MPI_SUCCESS) handle_ = MPI_COMM_NULL;
    if (code == MPI_ERR_PENDING)
      throw communication_error(0, "duplicate", 0, "not all ranks came" + within());
    if (code != MPI_SUCCESS)
      throw communication_error(0, "duplicate", 0, detail::mpi_error_text(code));
    MPI_Comm_set_errhandler(handle_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(handle_, &rank_);
    MPI_Comm_size(handle_, &size_);
  }

  /// MPI_ERR_PENDING at the deadline.
  [[nodiscard]] int wait_for(MPI_Request& request) const {
    const auto end = deadline_after(options_.deadline);
    detail::patience looks;
    for (int ended = 0; std::chrono::steady_clock::now() < end; looks.pause())
      if (const int code = MPI_Test(&request, &ended, MPI_STATUS_IGNORE);
          code != MPI_SUCCESS || ended != 0)
        return code;
    return MPI_ERR_PENDING;
  }

  void agree_on_largest_message() {
    const std::vector<std::size_t> largest(size(), options_.largest_message);
    for (const roll_entry& entry : call_roll(call::open, 0, largest, {}))
      options_.largest_message = std::min<std::size_t>(options_.largest_message, entry.sent);
  }

  /// Sends all ranks what this one calls, with the bytes for and from each, and receives the same
  /// from them. Fails unless all match; returns what the others sent.
  std::vector<roll_entry> call_roll(call called, std::size_t root,
                                    std::span<const std::size_t> sent,
                                    std::span<const std::size_t> expected) {
    const std::string_view operation = name_of(called);
    require_usable(operation, sequence_);
    std::vector<roll_entry> own(size());
    for (std::size_t r = 0; r < size(); ++r)
      own[r] = {called, root, sent[r], expected.empty() ? 0 : expected[r]};
    std::vector<roll_entry> others = own;
    transfer(operation, [&](auto& messages) {
      for (std::size_t r = 0; r < size(); ++r)
        exchange(messages, std::as_bytes(std::span(&own[r], 1)),
                 std::as_writable_bytes(std::span(&others[r], 1)), r, tag_roll);
    });
    for (std::size_t r = 0; r < size(); ++r)
      if (std::string mismatch = find_mismatch(own[r], others[r], r); !mismatch.empty())
        fail(operation, sequence_, mismatch);
    return others;
  }

  /// The reason why the call of rank r does not fit this rank's, the lower rank first.
  [[nodiscard]] std::string find_mismatch(const roll_entry& own, const roll_entry& other,
                                          std::size_t r) const {
    const bool first = rank() < r;
    const std::string low = detail::on_rank(first ? rank() : r);
    const std::string high = detail::on_rank(first ? r : rank());
    const roll_entry& low_entry = first ? own : other;
    const roll_entry& high_entry = first ? other : own;
    if (own.called != other.called)
      return low + " called " + std::string(name_of(low_entry.called)) + ", " + high + " called " +
             std::string(name_of(high_entry.called));
    if (own.called == call::open) return {};
    if (own.root != other.root)
      return low + " broadcasts from " + detail::on_rank(low_entry.root) + ", " + high + " from " +
             detail::on_rank(high_entry.root);
    if (own.sent != other.expected) return size_mismatch(rank(), own.sent, r, other.expected);
    if (own.expected != other.sent) return size_mismatch(r, other.sent, rank(), own.expected);
    return {};
  }

  /// Sends the peer of a message how many bytes this rank has or wants; returns the peer's number.
  [[nodiscard]] std::uint64_t exchange_sizes(std::string_view operation, std::uint64_t own,
                                             std::size_t peer, int tag_own, int tag_other) {
    std::uint64_t other = 0;
    const auto& counts = messages_[peer];
    transfer(operation, operation == "send" ? counts.sent : counts.received, [&](auto& messages) {
      messages.send(std::as_bytes(std::span(&own, 1)), peer, tag_own);
      messages.receive(std::as_writable_bytes(std::span(&other, 1)), peer, tag_other);
    });
    return other;
  }

  void exchange(detail::mpi_requests& messages, std::span<const std::byte> sent,
                std::span<std::byte> received, std::size_t peer, int tag = tag_bytes) const {
    if (peer == rank()) {
      std::ranges::copy(sent, received.begin());
      return;
    }
    if (!received.empty()) messages.receive(received, peer, tag);
    if (!sent.empty()) messages.send(sent, peer, tag);
  }

  template <typename Fill>
  void transfer(std::string_view operation, const Fill& fill) {
    transfer(operation, sequence_, fill);
  }

  /// Starts the messages that `fill` adds and waits until all have ended.
  template <typename Fill>
  void transfer(std::string_view operation, std::uint64_t sequence, const Fill& fill) {
    detail::mpi_requests messages(handle_, options_.largest_message);
    fill(messages);
    const auto end = deadline_after(options_.deadline);
    for (detail::patience looks; !messages.test(); looks.pause()) {
      require_usable(operation, sequence);
      if (std::chrono::steady_clock::now() > end)
        fail(operation, sequence,
             detail::list_ranks(messages.missing()) + " did not come" + within());
    }
    if (messages.failure()) fail(operation, sequence, *messages.failure());
  }

  [[nodiscard]] std::string within() const {
    return " within " + std::to_string(options_.deadline.count()) + " ms";
  }

  MPI_Comm handle_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  mpi_communicator_options options_;
  std::uint64_t sequence_ = 0;                      // collective operations completed
  std::map<std::size_t, message_counts> messages_;  // by peer
  std::string failure_;                             // once set, every later operation fails
  int exceptions_ = std::uncaught_exceptions();     // when constructed
};

}  // namespace omnibal::inline v0
