// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel whose ranks are threads of one process, for tests and for training on one
/// machine.
///
///     std::vector<thread_channel> channels = make_thread_channels(4, {.rendezvous = true});
///
/// By default a send ends at once, with its bytes in a mailbox. In rendezvous mode it ends when
/// they are received, as with NCCL: an order of messages that hangs on GPUs reaches its deadline on
/// a laptop, and the error names the message and the rank that it waits for.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct thread_channel_options {
  /// Whether a send ends only when its bytes are received.
  bool rendezvous = false;
  /// How long a ticket waits where its wait() has no deadline of its own: 0 or more, max() for
  /// ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// In the log.
  std::string name = "channel";
};

namespace detail {

/// The letters between all ranks of a channel.
class letter_board;

}  // namespace detail

/// One rank of a channel between threads; models tensor_channel. To be used by one thread, apart
/// from abort() and log(). Operations advance while their rank calls into the channel.
class thread_channel : public detail::host_channel {
 public:
  thread_channel(std::shared_ptr<detail::letter_board> board, std::size_t rank,
                 const thread_channel_options& options, std::string part = {});

  [[nodiscard]] std::optional<thread_channel> split(std::optional<int> color, int key);

 private:
  std::shared_ptr<detail::letter_board> board_;
  thread_channel_options options_;
  std::uint64_t splits_ = 0;
};

/// The channels of `size` ranks, rank r at index r. Throws invalid_input for size 0 and
/// a negative deadline.
[[nodiscard]] std::vector<thread_channel> make_thread_channels(
    std::size_t size, const thread_channel_options& options = {});

/// A channel between the ranks of a communicator of threads; called by all of them. Throws
/// invalid_input for a negative deadline.
[[nodiscard]] thread_channel open_thread_channel(thread_communicator& ranks,
                                                 const thread_channel_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/thread_channel.ipp>
#endif
