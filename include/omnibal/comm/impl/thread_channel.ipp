// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_part.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/letter_board.hpp>
#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The transport of one rank.
class thread_transport final : public channel_transport {
 public:
  thread_transport(std::shared_ptr<letter_board> board, std::size_t rank, bool rendezvous)
      : board_(std::move(board)), rank_(rank), rendezvous_(rendezvous) {}

  [[nodiscard]] std::size_t rank() const noexcept override { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept override { return board_->size(); }

  void start(std::span<const channel_message> messages) override {
    for (const channel_message& message : messages)
      if (message.receives())
        expected_.push_back(message);
      else
        post(message);
  }

  [[nodiscard]] bool test() override {
    // Messages from one rank arrive in the order of their receives.
    std::vector<std::size_t> behind;
    std::erase_if(expected_, [&](const channel_message& message) {
      if (std::ranges::find(behind, message.peer) != behind.end()) return false;
      if (board_->take(rank_, message)) return true;
      behind.push_back(message.peer);
      return false;
    });
    for (const auto& [to, sent] : sent_) board_->require_reader(to, *sent);
    std::erase_if(sent_, [&](const auto& sent) { return board_->is_taken(*sent.second); });
    return expected_.empty() && sent_.empty();
  }

  [[nodiscard]] std::vector<std::size_t> missing() const override {
    std::vector<std::size_t> ranks;
    for (const channel_message& message : expected_) ranks.push_back(message.peer);
    for (const auto& [to, sent] : sent_) ranks.push_back(to);
    return sorted_ranks(std::move(ranks));
  }

  void pause() override { board_->wait_for_change(seen_); }

  void give_up(std::string_view) override {
    expected_.clear();
    for (const auto& [to, sent] : sent_) board_->withdraw(to, sent);
    sent_.clear();
  }

  void leave() override { board_->leave(rank_); }
  void report(std::string_view reason) override { board_->fail(reason); }
  [[nodiscard]] bool reports_from_any_thread() const noexcept override { return true; }
  [[nodiscard]] std::optional<std::string> reported() override { return board_->failure(); }

 private:
  void post(const channel_message& message) {
    const auto posted = std::make_shared<letter>(
        letter{.from = rank_, .header = message.header, .bytes = {message.sent, message.bytes()}});
    if (rendezvous_) {
      sent_.emplace_back(message.peer, posted);
    } else {
      posted->copy.assign(posted->bytes.begin(), posted->bytes.end());
      posted->bytes = posted->copy;
    }
    board_->post(message.peer, posted);
  }

  std::shared_ptr<letter_board> board_;
  std::size_t rank_;
  bool rendezvous_;
  std::vector<channel_message> expected_;
  std::vector<std::pair<std::size_t, std::shared_ptr<letter>>> sent_;
  std::uint64_t seen_ = 0;
};

}  // namespace detail

OMNIBAL_INLINE thread_channel::thread_channel(std::shared_ptr<detail::letter_board> board,
                                              std::size_t rank,
                                              const thread_channel_options& options,
                                              std::string part)
    : host_channel(std::make_unique<detail::thread_transport>(board, rank, options.rendezvous),
                   options.name, options.deadline, std::move(part)),
      board_(std::move(board)),
      options_(options) {}

OMNIBAL_INLINE std::optional<thread_channel> thread_channel::split(std::optional<int> color,
                                                                   int key) {
  const std::vector<std::size_t> members = gather_part(color, key);
  const std::uint64_t number = splits_++;
  if (!color) return std::nullopt;
  const auto place = std::ranges::find(members, rank()) - members.begin();
  auto part = board_->part(number, *color, members.size());
  thread_channel_options options = options_;
  options.name = detail::part_name(options_.name, number, *color);
  return thread_channel(std::move(part), static_cast<std::size_t>(place), options,
                        detail::describe_part(members, options_.name));
}

OMNIBAL_INLINE std::vector<thread_channel> make_thread_channels(
    std::size_t size, const thread_channel_options& options) {
  if (size == 0) throw invalid_input("size", size, "must be at least 1");
  const auto board = std::make_shared<detail::letter_board>(size);
  std::vector<thread_channel> channels;
  channels.reserve(size);
  for (std::size_t r = 0; r < size; ++r) channels.emplace_back(board, r, options);
  return channels;
}

OMNIBAL_INLINE thread_channel open_thread_channel(thread_communicator& ranks,
                                                  const thread_channel_options& options) {
  require_waiting_time("deadline", options.deadline);
  using board_pointer = std::shared_ptr<detail::letter_board>;
  // All ranks see the same memory: rank 0 lends its pointer until all have copied it.
  board_pointer board;
  if (ranks.rank() == 0) board = std::make_shared<detail::letter_board>(ranks.size());
  auto address = reinterpret_cast<std::uintptr_t>(&board);
  const std::span one(&address, 1);
  ranks.broadcast_bytes(std::as_writable_bytes(one), 0);
  const board_pointer shared = *reinterpret_cast<const board_pointer*>(address);
  std::byte token{};
  std::vector<std::byte> tokens(ranks.size());
  const std::vector<std::size_t> counts(ranks.size(), 1);
  ranks.all_gather_bytes(std::span(&token, 1), tokens, counts);
  return thread_channel(shared, ranks.rank(), options);
}

}  // namespace omnibal::inline v0
