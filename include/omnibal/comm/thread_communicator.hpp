// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator whose ranks are threads of one process, for tests and single-machine training.
///
///     run_as_ranks(4, [](thread_communicator& ranks) { barrier(ranks); });
///
/// Mistakes give an error, never a hang: all ranks meet at every operation, and the error names the
/// ranks that are missing at the deadline, have left, or called a different operation.
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct thread_communicator_options {
  /// How long a rank waits for the others at an operation: 0 or more, max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
};

namespace detail {

/// The operation that one rank called, with its arguments.
struct rank_call {
  std::string_view operation;
  std::size_t root = 0;
  std::span<const std::byte> sent = {};
  std::span<const std::size_t> sent_counts = {};
  std::span<std::byte> received = {};
  std::span<const std::size_t> received_counts = {};
};

/// The reason why calls do not match; empty when they do.
[[nodiscard]] std::string find_mismatch(std::span<const rank_call> calls);

/// The synchronisation point of all ranks: each arrives with its call, reads the calls of the
/// others, and departs.
class meeting_point {
 public:
  meeting_point(std::size_t size, std::chrono::milliseconds deadline)
      : calls_(size), seats_(size, seat::away), deadline_(deadline) {}

  [[nodiscard]] std::size_t size() const noexcept { return calls_.size(); }

  /// Waits for all ranks and returns their calls, which are valid until depart(). Throws
  /// communication_error when they do not match or a rank is missing.
  [[nodiscard]] std::span<const rank_call> arrive(std::size_t rank, const rank_call& call);

  /// Waits until all ranks have read the calls that they need.
  void depart();

  /// Records that a rank will not arrive again. Ranks that wait for it get an error.
  void leave(std::size_t rank) noexcept;

 private:
  enum class seat { away, taken, left };

  [[nodiscard]] std::string list(seat state) const;
  void take_seat(std::size_t rank, const rank_call& call);
  void wait_for_others(std::unique_lock<std::mutex>& lock, std::uint64_t sequence);
  void fail(std::string reason);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<rank_call> calls_;
  std::vector<seat> seats_;
  std::size_t present_ = 0;
  std::uint64_t started_ = 0;  // meetings at which all ranks arrived
  std::uint64_t ended_ = 0;    // meetings from which all ranks departed
  std::string failure_;        // once set, every later arrive() fails
  std::chrono::milliseconds deadline_;
};

}  // namespace detail

/// One rank of a group of threads; models communicator. To be used by one thread. On destruction
/// the rank leaves the group: ranks that still wait for it get an error at once, so an exception on
/// one rank also ends the others.
class thread_communicator {
 public:
  thread_communicator(std::shared_ptr<detail::meeting_point> meeting, std::size_t rank)
      : meeting_(std::move(meeting)), rank_(rank) {}
  thread_communicator(thread_communicator&&) noexcept = default;
  thread_communicator& operator=(thread_communicator&&) = delete;
  ~thread_communicator() {
    if (meeting_) meeting_->leave(rank_);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept { return meeting_->size(); }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size());
    const auto calls = meeting_->arrive(
        rank_, {.operation = "broadcast", .root = root, .sent = buffer, .received = buffer});
    if (rank_ != root) std::ranges::copy(calls[root].sent, buffer.begin());
    meeting_->depart();
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank_, size());
    const auto calls = meeting_->arrive(
        rank_,
        {.operation = "all_gather", .sent = sent, .received = received, .received_counts = counts});
    auto position = received.begin();
    for (const detail::rank_call& call : calls)
      position = std::ranges::copy(call.sent, position).out;
    meeting_->depart();
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size());
    const auto calls = meeting_->arrive(rank_, {.operation = "all_to_all",
                                                .sent = sent,
                                                .sent_counts = sent_counts,
                                                .received = received,
                                                .received_counts = received_counts});
    auto position = received.begin();
    for (const detail::rank_call& call : calls)
      position = std::ranges::copy(part_for_this_rank(call), position).out;
    meeting_->depart();
  }

 private:
  [[nodiscard]] std::span<const std::byte> part_for_this_rank(const detail::rank_call& call) const {
    std::size_t begin = 0;
    for (std::size_t r = 0; r < rank_; ++r) begin += call.sent_counts[r];
    return call.sent.subspan(begin, call.sent_counts[rank_]);
  }

  std::shared_ptr<detail::meeting_point> meeting_;
  std::size_t rank_;
};

/// The communicators of `size` ranks, rank r at index r. Throws invalid_input for size 0 and
/// a negative deadline.
[[nodiscard]] inline std::vector<thread_communicator> make_thread_communicators(
    std::size_t size, const thread_communicator_options& options = {}) {
  if (size == 0) throw invalid_input("size", size, "must be at least 1");
  require_waiting_time("deadline", options.deadline);
  const auto meeting = std::make_shared<detail::meeting_point>(size, options.deadline);
  std::vector<thread_communicator> ranks;
  ranks.reserve(size);
  for (std::size_t r = 0; r < size; ++r) ranks.emplace_back(meeting, r);
  return ranks;
}

/// Runs body(thread_communicator&) as `size` ranks, each on its own thread, and waits for all. When
/// ranks throw, rethrows the exception of the lowest of them; a communication_error, which may be a
/// consequence of another exception, only when no rank threw anything else.
template <std::invocable<thread_communicator&> Body>
void run_as_ranks(std::size_t size, const Body& body,
                  const thread_communicator_options& options = {}) {
  std::vector<std::exception_ptr> causes(size);
  std::vector<std::exception_ptr> consequences(size);
  const auto run_rank = [&](thread_communicator rank) {
    try {
      body(rank);
    } catch (const communication_error&) {
      consequences[rank.rank()] = std::current_exception();
    } catch (...) {
      causes[rank.rank()] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(size);
    // Declared after the threads: when a thread cannot be started, the ranks without a thread leave
    // before the destructors of the others wait.
    std::vector<thread_communicator> ranks = make_thread_communicators(size, options);
    for (thread_communicator& rank : ranks) threads.emplace_back(run_rank, std::move(rank));
  }
  for (const auto& failures : {causes, consequences})
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
}

namespace detail {

[[nodiscard]] inline std::string on_rank(std::size_t rank) {
  return "rank " + std::to_string(rank);
}

[[nodiscard]] inline std::string find_broadcast_mismatch(std::span<const rank_call> calls) {
  for (std::size_t r = 1; r < calls.size(); ++r) {
    if (calls[r].root != calls[0].root)
      return "rank 0 broadcasts from " + on_rank(calls[0].root) + ", " + on_rank(r) + " from " +
             on_rank(calls[r].root);
    if (calls[r].received.size() != calls[0].received.size())
      return "rank 0 broadcasts " + std::to_string(calls[0].received.size()) + " bytes, " +
             on_rank(r) + " " + std::to_string(calls[r].received.size());
  }
  return {};
}

[[nodiscard]] inline std::string find_exchange_mismatch(std::span<const rank_call> calls) {
  for (std::size_t from = 0; from < calls.size(); ++from)
    for (std::size_t to = 0; to < calls.size(); ++to) {
      // In an all_gather a rank sends the same bytes to all.
      const std::size_t sent =
          calls[from].sent_counts.empty() ? calls[from].sent.size() : calls[from].sent_counts[to];
      const std::size_t expected = calls[to].received_counts[from];
      if (sent != expected)
        return on_rank(from) + " sends " + std::to_string(sent) + " bytes to " + on_rank(to) +
               ", which expects " + std::to_string(expected);
    }
  return {};
}

inline std::string find_mismatch(std::span<const rank_call> calls) {
  for (std::size_t r = 1; r < calls.size(); ++r)
    if (calls[r].operation != calls[0].operation)
      return "rank 0 called " + std::string(calls[0].operation) + ", " + on_rank(r) + " called " +
             std::string(calls[r].operation);
  return calls[0].operation == "broadcast" ? find_broadcast_mismatch(calls)
                                           : find_exchange_mismatch(calls);
}

inline std::span<const rank_call> meeting_point::arrive(std::size_t rank, const rank_call& call) {
  std::unique_lock lock(mutex_);
  const std::uint64_t sequence = ended_;
  if (failure_.empty()) {
    take_seat(rank, call);
    wait_for_others(lock, sequence);
  }
  if (!failure_.empty()) throw communication_error(rank, call.operation, sequence, failure_);
  return calls_;
}

inline void meeting_point::take_seat(std::size_t rank, const rank_call& call) {
  calls_[rank] = call;
  seats_[rank] = seat::taken;
  // A rank that has left will not arrive, so there is no need to wait for the deadline.
  if (const std::string gone = list(seat::left); !gone.empty()) return fail(gone + " has left");
  if (++present_ < size()) return;
  if (std::string mismatch = find_mismatch(calls_); !mismatch.empty()) fail(std::move(mismatch));
  ++started_;
  changed_.notify_all();
}

inline void meeting_point::wait_for_others(std::unique_lock<std::mutex>& lock,
                                           std::uint64_t sequence) {
  const auto assigned = [&] { return started_ > sequence || !failure_.empty(); };
  if (!changed_.wait_until(lock, deadline_after(deadline_), assigned))
    fail(list(seat::away) + " did not come within " + std::to_string(deadline_.count()) + " ms");
}

inline void meeting_point::depart() {
  std::unique_lock lock(mutex_);
  const std::uint64_t sequence = ended_;
  if (--present_ == 0) {
    std::ranges::replace(seats_, seat::taken, seat::away);
    ++ended_;
    changed_.notify_all();
  }
  // No deadline: the others have arrived and only copy memory.
  changed_.wait(lock, [&] { return ended_ > sequence; });
}

inline void meeting_point::leave(std::size_t rank) noexcept {
  const std::scoped_lock lock(mutex_);
  seats_[rank] = seat::left;
  if (present_ > 0) fail(on_rank(rank) + " has left");
}

/// "rank 2" or "ranks 1, 2": those whose seat is in this state; empty when there is none.
inline std::string meeting_point::list(seat state) const {
  std::string text;
  for (std::size_t r = 0; r < seats_.size(); ++r)
    if (seats_[r] == state) text += (text.empty() ? "" : ", ") + std::to_string(r);
  if (text.empty()) return text;
  return (text.find(',') == std::string::npos ? "rank " : "ranks ") + text;
}

/// Stores the first reason only: later ones are its consequences.
inline void meeting_point::fail(std::string reason) {
  if (failure_.empty()) failure_ = std::move(reason);
  changed_.notify_all();
}

}  // namespace detail

}  // namespace omnibal::inline v0
