// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/letter_board.hpp>
#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE void letter_board::post(std::size_t to, const std::shared_ptr<letter>& posted) {
  const std::scoped_lock lock(mutex_);
  boxes_[{posted->from, to}].push_back(posted);
  note_change();
}

OMNIBAL_INLINE bool letter_board::take(std::size_t to, const channel_message& expected) {
  std::unique_lock lock(mutex_);
  auto& box = boxes_[{expected.peer, to}];
  if (box.empty()) {
    require_here(expected.peer);
    return false;
  }
  const std::shared_ptr<letter> taken = box.front();
  if (taken->header != expected.header)
    throw std::runtime_error(mismatch_text(taken->from, taken->header, to, expected.header));
  box.pop_front();
  taken->is_copied_now = true;
  lock.unlock();
  if (!taken->bytes.empty())
    std::memcpy(expected.received, taken->bytes.data(), taken->bytes.size());
  lock.lock();
  taken->is_copied_now = false;
  taken->taken = true;
  note_change();
  return true;
}

OMNIBAL_INLINE bool letter_board::is_taken(const letter& sent) const {
  const std::scoped_lock lock(mutex_);
  return sent.taken;
}

OMNIBAL_INLINE void letter_board::require_reader(std::size_t to, const letter& sent) const {
  const std::scoped_lock lock(mutex_);
  if (!sent.taken) require_here(to);
}

OMNIBAL_INLINE void letter_board::leave(std::size_t rank) {
  const std::scoped_lock lock(mutex_);
  has_left_[rank] = true;
  note_change();
}

OMNIBAL_INLINE void letter_board::withdraw(std::size_t to, const std::shared_ptr<letter>& sent) {
  std::unique_lock lock(mutex_);
  auto& box = boxes_[{sent->from, to}];
  box.erase(std::remove(box.begin(), box.end(), sent), box.end());
  changed_.wait(lock, [&] { return !sent->is_copied_now; });
}

OMNIBAL_INLINE void letter_board::fail(std::string_view reason) {
  const std::scoped_lock lock(mutex_);
  if (failure_.empty()) failure_ = reason;
  note_change();
}

OMNIBAL_INLINE std::optional<std::string> letter_board::failure() const {
  const std::scoped_lock lock(mutex_);
  if (failure_.empty()) return std::nullopt;
  return failure_;
}

OMNIBAL_INLINE void letter_board::wait_for_change(std::uint64_t& seen) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return changes_ != seen; });
  seen = changes_;
}

OMNIBAL_INLINE std::shared_ptr<letter_board> letter_board::part(std::uint64_t split,
                                                                std::int64_t color,
                                                                std::size_t size) {
  const std::scoped_lock lock(mutex_);
  auto& [board, left] = parts_[{split, color}];
  if (!board) {
    board = std::make_shared<letter_board>(size);
    left = size;
  }
  const std::shared_ptr<letter_board> found = board;
  if (--left == 0) parts_.erase({split, color});
  return found;
}

OMNIBAL_INLINE void letter_board::note_change() {
  ++changes_;
  changed_.notify_all();
}

OMNIBAL_INLINE void letter_board::require_here(std::size_t rank) const {
  if (!has_left_[rank]) return;
  // A rank that failed reported its reason before it left.
  throw std::runtime_error(failure_.empty() ? on_rank(rank) + " has left" : failure_);
}

}  // namespace omnibal::inline v0::detail
