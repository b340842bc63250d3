// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator whose ranks are threads of one process, for tests and single-machine training.
///
///     run_as_ranks(4, [](thread_communicator& ranks) { barrier(ranks); });
///
/// Mistakes give an error, never a hang: all ranks meet at every collective operation and two of
/// them at every message, and the error names the ranks that are missing at the deadline, have
/// left, or called a different operation.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct thread_communicator_options {
  /// How long a rank waits for the others at an operation: 0 or more, max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
};

namespace detail {

/// Where the ranks meet.
class meeting_point;

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
  ~thread_communicator();

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept;

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root);

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts);

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts);

  void send_bytes(std::span<const std::byte> sent, std::size_t to);

  void receive_bytes(std::span<std::byte> received, std::size_t from);

  [[nodiscard]] std::optional<thread_communicator> split(std::optional<int> color, int key);

  /// Also ends the operations of communicators that were split off this one.
  void abort(std::string_view reason) noexcept;

 private:
  std::shared_ptr<detail::meeting_point> meeting_;
  std::size_t rank_;
};

/// The communicators of `size` ranks, rank r at index r. Throws invalid_input for size 0 and
/// a negative deadline.
[[nodiscard]] std::vector<thread_communicator> make_thread_communicators(
    std::size_t size, const thread_communicator_options& options = {});

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

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/thread_communicator.ipp>
#endif
