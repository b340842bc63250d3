// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/meeting_point.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>

namespace omnibal::inline v0::detail {

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
      if (sent != expected) return size_mismatch(from, sent, to, expected);
    }
  return {};
}

OMNIBAL_INLINE std::string find_mismatch(std::span<const rank_call> calls) {
  for (std::size_t r = 1; r < calls.size(); ++r)
    if (calls[r].operation != calls[0].operation)
      return "rank 0 called " + std::string(calls[0].operation) + ", " + on_rank(r) + " called " +
             std::string(calls[r].operation);
  if (calls[0].operation == "split") return {};
  return calls[0].operation == "broadcast" ? find_broadcast_mismatch(calls)
                                           : find_exchange_mismatch(calls);
}

OMNIBAL_INLINE std::vector<std::size_t> ranks_of_color(std::span<const rank_call> calls,
                                                       std::size_t rank) {
  std::vector<std::size_t> members;
  for (std::size_t r = 0; r < calls.size(); ++r)
    if (calls[rank].color && calls[r].color == calls[rank].color) members.push_back(r);
  std::ranges::stable_sort(members, {}, [&](std::size_t r) { return calls[r].key; });
  return members;
}

OMNIBAL_INLINE meeting_point::meeting_point(std::size_t size, std::chrono::milliseconds deadline)
    : calls_(size), seats_(size, seat::away), children_(size), deadline_(deadline) {}

OMNIBAL_INLINE std::span<const rank_call> meeting_point::arrive(std::size_t rank,
                                                                const rank_call& call) {
  std::unique_lock lock(mutex_);
  const std::uint64_t sequence = ended_;
  if (failure_.empty()) {
    take_seat(rank, call);
    wait_for_others(lock, sequence);
  }
  // Once all have come each of them departs, whatever fails meanwhile: the others wait for that.
  if (started_ <= sequence) throw communication_error(rank, call.operation, sequence, failure_);
  return calls_;
}

OMNIBAL_INLINE void meeting_point::take_seat(std::size_t rank, const rank_call& call) {
  calls_[rank] = call;
  seats_[rank] = seat::taken;
  // A rank that has left will not arrive, so there is no need to wait for the deadline.
  if (const std::string gone = list(seat::left); !gone.empty()) return fail(gone + " has left");
  if (++present_ < size()) return;
  if (std::string mismatch = find_mismatch(calls_); !mismatch.empty())
    return fail(std::move(mismatch));
  if (call.operation == "split") {
    children_ = make_children();
    parts_.insert(parts_.end(), children_.begin(), children_.end());
  }
  ++started_;
  changed_.notify_all();
}

OMNIBAL_INLINE std::vector<std::shared_ptr<meeting_point>> meeting_point::make_children() const {
  std::vector<std::shared_ptr<meeting_point>> children(size());
  for (std::size_t r = 0; r < size(); ++r) {
    const std::vector<std::size_t> members = ranks_of_color(calls_, r);
    if (members.empty() || children[r]) continue;
    const auto child = std::make_shared<meeting_point>(members.size(), deadline_);
    for (const std::size_t member : members) children[member] = child;
  }
  return children;
}

OMNIBAL_INLINE std::shared_ptr<meeting_point> meeting_point::child_of(std::size_t rank) {
  const std::scoped_lock lock(mutex_);
  return std::exchange(children_[rank], nullptr);
}

OMNIBAL_INLINE void meeting_point::wait_for_others(std::unique_lock<std::mutex>& lock,
                                                   std::uint64_t sequence) {
  const auto settled = [&] { return started_ > sequence || !failure_.empty(); };
  if (!changed_.wait_until(lock, deadline_after(deadline_), settled))
    fail(list(seat::away) + " did not come within " + std::to_string(deadline_.count()) + " ms");
}

OMNIBAL_INLINE void meeting_point::depart() {
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

OMNIBAL_INLINE void meeting_point::send(std::size_t from, std::size_t to,
                                        std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  passage& message = passages_[{from, to}];
  const std::uint64_t sequence = message.sequence;
  message.taken = false;
  message.offered = bytes;
  match(message, from, to);
  require_peer_here(to);
  changed_.notify_all();
  wait_for_peer(lock, to, message.taken);
  message.offered.reset();
  if (!message.taken) throw communication_error(from, "send", sequence, failure_);
}

OMNIBAL_INLINE void meeting_point::receive(std::size_t to, std::size_t from,
                                           std::span<std::byte> bytes) {
  std::unique_lock lock(mutex_);
  passage& message = passages_[{from, to}];
  const std::uint64_t sequence = message.sequence;
  message.wanted = bytes.size();
  match(message, from, to);
  require_peer_here(from);
  const auto offered = [&] { return message.offered && !message.taken; };
  if (!changed_.wait_until(lock, deadline_after(deadline_),
                           [&] { return offered() || !failure_.empty(); }))
    fail(on_rank(from) + " did not come within " + std::to_string(deadline_.count()) + " ms");
  message.wanted.reset();
  if (!failure_.empty()) throw communication_error(to, "receive", sequence, failure_);
  std::ranges::copy(*message.offered, bytes.begin());
  message.taken = true;
  ++message.sequence;
  changed_.notify_all();
}

OMNIBAL_INLINE void meeting_point::match(const passage& message, std::size_t from, std::size_t to) {
  if (message.offered && !message.taken && message.wanted &&
      message.offered->size() != *message.wanted)
    fail(size_mismatch(from, message.offered->size(), to, *message.wanted));
}

OMNIBAL_INLINE void meeting_point::require_peer_here(std::size_t peer) {
  if (seats_[peer] == seat::left) fail(on_rank(peer) + " has left");
}

OMNIBAL_INLINE void meeting_point::wait_for_peer(std::unique_lock<std::mutex>& lock,
                                                 std::size_t peer, const bool& done) {
  if (!changed_.wait_until(lock, deadline_after(deadline_),
                           [&] { return done || !failure_.empty(); }))
    fail(on_rank(peer) + " did not come within " + std::to_string(deadline_.count()) + " ms");
}

OMNIBAL_INLINE void meeting_point::leave(std::size_t rank) noexcept {
  const std::scoped_lock lock(mutex_);
  seats_[rank] = seat::left;
  const bool is_awaited = std::ranges::any_of(passages_, [&](const auto& entry) {
    const auto& [pair, message] = entry;
    return (pair.first == rank && message.wanted) ||
           (pair.second == rank && message.offered && !message.taken);
  });
  if (present_ > 0 || is_awaited) fail(on_rank(rank) + " has left");
}

OMNIBAL_INLINE void meeting_point::abort(std::size_t rank, std::string_view reason) noexcept {
  const std::scoped_lock lock(mutex_);
  fail(on_rank(rank) + " aborted: " + std::string(reason));
  for (const auto& part : parts_)
    if (const auto child = part.lock()) child->abort(rank, reason);
}

OMNIBAL_INLINE std::string meeting_point::list(seat state) const {
  std::vector<std::size_t> ranks;
  for (std::size_t r = 0; r < seats_.size(); ++r)
    if (seats_[r] == state) ranks.push_back(r);
  return list_ranks(ranks);
}

/// Stores the first reason only: later ones are its consequences.
OMNIBAL_INLINE void meeting_point::fail(std::string reason) {
  if (failure_.empty()) failure_ = std::move(reason);
  changed_.notify_all();
}

}  // namespace omnibal::inline v0::detail
