// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where threads of one process leave messages for each other: the memory that all ranks of a
/// thread_channel share.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// A message on its way from one thread to another.
struct letter {
  std::size_t from = 0;
  message_header header = {};
  std::span<const std::byte> bytes = {};
  std::vector<std::byte> copy = {};  // in a mailbox
  bool is_copied_now = false;
  bool taken = false;
};

/// The letters between all ranks of a channel, and the news that one has failed.
class letter_board {
 public:
  explicit letter_board(std::size_t size) : size_(size), has_left_(size) {}

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  void post(std::size_t to, const std::shared_ptr<letter>& posted);

  /// Copies the next letter from a rank, if there is one. Throws std::runtime_error, and copies
  /// nothing, when it is not what is expected.
  [[nodiscard]] bool take(std::size_t to, const channel_message& expected);

  [[nodiscard]] bool is_taken(const letter& sent) const;

  /// Throws std::runtime_error when a rank has left that has not taken a letter.
  void require_reader(std::size_t to, const letter& sent) const;

  /// The rank will neither send nor receive any more.
  void leave(std::size_t rank);

  /// Takes a letter back; waits while it is being copied.
  void withdraw(std::size_t to, const std::shared_ptr<letter>& sent);

  void fail(std::string_view reason);
  [[nodiscard]] std::optional<std::string> failure() const;

  /// Waits until something has changed since the last call with this `seen`, or a while has passed.
  void wait_for_change(std::uint64_t& seen);

  /// The board of the ranks with one color in the split with this number.
  [[nodiscard]] std::shared_ptr<letter_board> part(std::uint64_t split, std::int64_t color,
                                                   std::size_t size);

 private:
  void note_change();
  void require_here(std::size_t rank) const;

  std::size_t size_;
  std::vector<bool> has_left_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<std::size_t, std::size_t>, std::deque<std::shared_ptr<letter>>> boxes_;
  std::map<std::pair<std::uint64_t, std::int64_t>,
           std::pair<std::shared_ptr<letter_board>, std::size_t>>
      parts_;
  std::string failure_;
  std::uint64_t changes_ = 0;
};

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/letter_board.ipp>
#endif
