// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/meeting_point.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// What an all_to_all sends to a rank.
[[nodiscard]] inline std::span<const std::byte> part_for(std::size_t rank, const rank_call& call) {
  std::size_t begin = 0;
  for (std::size_t r = 0; r < rank; ++r) begin += call.sent_counts[r];
  return call.sent.subspan(begin, call.sent_counts[rank]);
}

}  // namespace detail

OMNIBAL_INLINE thread_communicator::~thread_communicator() {
  if (meeting_) meeting_->leave(rank_);
}

OMNIBAL_INLINE void thread_communicator::broadcast_bytes(std::span<std::byte> buffer,
                                                         std::size_t root) {
  detail::require_rank("root", root, size());
  const auto calls = meeting_->arrive(
      rank_, {.operation = "broadcast", .root = root, .sent = buffer, .received = buffer});
  if (rank_ != root) std::ranges::copy(calls[root].sent, buffer.begin());
  meeting_->depart();
}

OMNIBAL_INLINE void thread_communicator::all_gather_bytes(std::span<const std::byte> sent,
                                                          std::span<std::byte> received,
                                                          std::span<const std::size_t> counts) {
  detail::require_all_gather(sent, received, counts, rank_, size());
  const auto calls = meeting_->arrive(
      rank_,
      {.operation = "all_gather", .sent = sent, .received = received, .received_counts = counts});
  auto position = received.begin();
  for (const detail::rank_call& call : calls) position = std::ranges::copy(call.sent, position).out;
  meeting_->depart();
}

OMNIBAL_INLINE void thread_communicator::all_to_all_bytes(
    std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
    std::span<std::byte> received, std::span<const std::size_t> received_counts) {
  detail::require_all_to_all(sent, sent_counts, received, received_counts, size());
  const auto calls = meeting_->arrive(rank_, {.operation = "all_to_all",
                                              .sent = sent,
                                              .sent_counts = sent_counts,
                                              .received = received,
                                              .received_counts = received_counts});
  auto position = received.begin();
  for (const detail::rank_call& call : calls)
    position = std::ranges::copy(detail::part_for(rank_, call), position).out;
  meeting_->depart();
}

OMNIBAL_INLINE void thread_communicator::send_bytes(std::span<const std::byte> sent,
                                                    std::size_t to) {
  detail::require_peer("to", to, rank_, size());
  meeting_->send(rank_, to, sent);
}

OMNIBAL_INLINE void thread_communicator::receive_bytes(std::span<std::byte> received,
                                                       std::size_t from) {
  detail::require_peer("from", from, rank_, size());
  meeting_->receive(rank_, from, received);
}

OMNIBAL_INLINE std::optional<thread_communicator> thread_communicator::split(
    std::optional<int> color, int key) {
  detail::require_color(color);
  const auto calls = meeting_->arrive(rank_, {.operation = "split", .color = color, .key = key});
  const std::vector<std::size_t> members = detail::ranks_of_color(calls, rank_);
  auto child = meeting_->child_of(rank_);
  meeting_->depart();
  if (!child) return std::nullopt;
  const auto place = std::ranges::find(members, rank_) - members.begin();
  return thread_communicator(std::move(child), static_cast<std::size_t>(place));
}

OMNIBAL_INLINE void thread_communicator::abort(std::string_view reason) noexcept {
  meeting_->abort(rank_, reason);
}

OMNIBAL_INLINE std::size_t thread_communicator::size() const noexcept { return meeting_->size(); }

OMNIBAL_INLINE std::vector<thread_communicator> make_thread_communicators(
    std::size_t size, const thread_communicator_options& options) {
  if (size == 0) throw invalid_input("size", size, "must be at least 1");
  require_waiting_time("deadline", options.deadline);
  const auto meeting = std::make_shared<detail::meeting_point>(size, options.deadline);
  std::vector<thread_communicator> ranks;
  ranks.reserve(size);
  for (std::size_t r = 0; r < size; ++r) ranks.emplace_back(meeting, r);
  return ranks;
}

}  // namespace omnibal::inline v0
