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

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct thread_channel_options {
  /// Whether a send ends only when its bytes are received.
  bool rendezvous = false;
  /// How long a ticket waits where its wait() has no deadline of its own.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// In the log.
  std::string name = "channel";
};

namespace detail {

/// A message on its way from one thread to another.
struct letter {
  std::size_t from = 0;
  channel_operation operation = channel_operation::send;
  element_type type = element_type::byte;
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

  void post(std::size_t to, const std::shared_ptr<letter>& posted) {
    const std::scoped_lock lock(mutex_);
    boxes_[{posted->from, to}].push_back(posted);
    note_change();
  }

  /// Copies the next letter from a rank, if there is one. Throws std::runtime_error when it is not
  /// what is expected.
  [[nodiscard]] bool take(std::size_t to, const channel_message& expected,
                          channel_operation operation) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{expected.peer, to}];
    if (box.empty()) {
      require_here(expected.peer);
      return false;
    }
    const std::shared_ptr<letter> taken = box.front();
    require_match(*taken, to, expected, operation);
    box.pop_front();
    taken->is_copied_now = true;
    lock.unlock();
    if (expected.bytes > 0)
      std::memcpy(expected.received, taken->bytes.data(), taken->bytes.size());
    lock.lock();
    taken->is_copied_now = false;
    taken->taken = true;
    note_change();
    return true;
  }

  [[nodiscard]] bool is_taken(const letter& sent) const {
    const std::scoped_lock lock(mutex_);
    return sent.taken;
  }

  /// Throws std::runtime_error when a rank has left that has not taken a letter.
  void require_reader(std::size_t to, const letter& sent) const {
    const std::scoped_lock lock(mutex_);
    if (!sent.taken) require_here(to);
  }

  /// The rank will neither send nor receive any more.
  void leave(std::size_t rank) {
    const std::scoped_lock lock(mutex_);
    has_left_[rank] = true;
    note_change();
  }

  /// Takes a letter back; waits while it is being copied.
  void withdraw(std::size_t to, const std::shared_ptr<letter>& sent) {
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{sent->from, to}];
    box.erase(std::remove(box.begin(), box.end(), sent), box.end());
    changed_.wait(lock, [&] { return !sent->is_copied_now; });
  }

  void fail(std::string_view reason) {
    const std::scoped_lock lock(mutex_);
    if (failure_.empty()) failure_ = reason;
    note_change();
  }

  [[nodiscard]] std::optional<std::string> failure() const {
    const std::scoped_lock lock(mutex_);
    if (failure_.empty()) return std::nullopt;
    return failure_;
  }

  /// Waits until something has changed since the last call with this `seen`, or a while has passed.
  void wait_for_change(std::uint64_t& seen) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return changes_ != seen; });
    seen = changes_;
  }

  /// The board of the ranks with one color in the split with this number.
  [[nodiscard]] std::shared_ptr<letter_board> part(std::uint64_t split, std::int64_t color,
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

 private:
  void note_change() {
    ++changes_;
    changed_.notify_all();
  }

  void require_here(std::size_t rank) const {
    if (!has_left_[rank]) return;
    // A rank that failed reported its reason before it left.
    throw std::runtime_error(failure_.empty() ? on_rank(rank) + " has left" : failure_);
  }

  void require_match(const letter& sent, std::size_t to, const channel_message& expected,
                     channel_operation operation) const {
    if (sent.operation == operation && sent.type == expected.type &&
        sent.bytes.size() == expected.bytes)
      return;
    const auto text = [](channel_operation what, element_type type, std::size_t bytes) {
      return std::to_string(bytes) + " bytes of " + std::string(name_of(type)) + " in " +
             std::string(name_of(what));
    };
    throw std::runtime_error(
        on_rank(sent.from) + " sends " + text(sent.operation, sent.type, sent.bytes.size()) +
        " to " + on_rank(to) + ", which expects " + text(operation, expected.type, expected.bytes));
  }

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

/// The transport of one rank.
class thread_transport {
 public:
  static constexpr bool reports_from_any_thread = true;

  thread_transport(std::shared_ptr<letter_board> board, std::size_t rank, bool rendezvous)
      : board_(std::move(board)), rank_(rank), rendezvous_(rendezvous) {}

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept { return board_->size(); }
  [[nodiscard]] const std::shared_ptr<letter_board>& board() const noexcept { return board_; }
  [[nodiscard]] bool rendezvous() const noexcept { return rendezvous_; }

  void start(std::span<const channel_message> messages, channel_operation operation) {
    operation_ = operation;
    for (const channel_message& message : messages)
      if (message.receives())
        expected_.push_back(message);
      else
        post(message);
  }

  [[nodiscard]] bool test() {
    // Messages from one rank arrive in the order of their receives.
    std::vector<std::size_t> behind;
    std::erase_if(expected_, [&](const channel_message& message) {
      if (std::ranges::find(behind, message.peer) != behind.end()) return false;
      if (board_->take(rank_, message, operation_)) return true;
      behind.push_back(message.peer);
      return false;
    });
    for (const auto& [to, sent] : sent_) board_->require_reader(to, *sent);
    std::erase_if(sent_, [&](const auto& sent) { return board_->is_taken(*sent.second); });
    return expected_.empty() && sent_.empty();
  }

  [[nodiscard]] std::vector<std::size_t> missing() const {
    std::vector<std::size_t> ranks;
    for (const channel_message& message : expected_) ranks.push_back(message.peer);
    for (const auto& [to, sent] : sent_) ranks.push_back(to);
    return sorted_ranks(std::move(ranks));
  }

  void pause() { board_->wait_for_change(seen_); }

  void give_up() {
    expected_.clear();
    for (const auto& [to, sent] : sent_) board_->withdraw(to, sent);
    sent_.clear();
  }

  void leave() { board_->leave(rank_); }
  void report(std::string_view reason) { board_->fail(reason); }
  [[nodiscard]] std::optional<std::string> reported() const { return board_->failure(); }

 private:
  void post(const channel_message& message) {
    const auto posted = std::make_shared<letter>(letter{.from = rank_,
                                                        .operation = operation_,
                                                        .type = message.type,
                                                        .bytes = {message.sent, message.bytes}});
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
  channel_operation operation_ = channel_operation::send;
  std::vector<channel_message> expected_;
  std::vector<std::pair<std::size_t, std::shared_ptr<letter>>> sent_;
  std::uint64_t seen_ = 0;
};

}  // namespace detail

/// One rank of a channel between threads; models tensor_channel. To be used by one thread, apart
/// from abort() and log(). Operations advance while their rank calls into the channel.
class thread_channel : public detail::host_channel<detail::thread_transport> {
 public:
  thread_channel(std::shared_ptr<detail::letter_board> board, std::size_t rank,
                 const thread_channel_options& options)
      : host_channel({std::move(board), rank, options.rendezvous}, options.name, options.deadline),
        options_(options) {}

  [[nodiscard]] std::optional<thread_channel> split(std::optional<int> color, int key) {
    const std::vector<std::int64_t> all = gather_colors(color, key);
    const std::uint64_t number = splits_++;
    if (!color) return std::nullopt;
    std::vector<std::size_t> members;
    for (std::size_t r = 0; r < size(); ++r)
      if (all[2 * r] == *color) members.push_back(r);
    std::ranges::stable_sort(members, {}, [&](std::size_t r) { return all[2 * r + 1]; });
    const auto place = std::ranges::find(members, rank()) - members.begin();
    auto part = shared_core()->transport().board()->part(number, *color, members.size());
    return thread_channel(std::move(part), static_cast<std::size_t>(place), options_);
  }

 private:
  thread_channel_options options_;
  std::uint64_t splits_ = 0;
};

/// The channels of `size` ranks, rank r at index r. Throws invalid_input for size 0.
[[nodiscard]] inline std::vector<thread_channel> make_thread_channels(
    std::size_t size, const thread_channel_options& options = {}) {
  if (size == 0) throw invalid_input("size", size, "must be at least 1");
  const auto board = std::make_shared<detail::letter_board>(size);
  std::vector<thread_channel> channels;
  channels.reserve(size);
  for (std::size_t r = 0; r < size; ++r) channels.emplace_back(board, r, options);
  return channels;
}

/// A channel between the ranks of a communicator of threads; called by all of them.
[[nodiscard]] inline thread_channel open_thread_channel(
    thread_communicator& ranks, const thread_channel_options& options = {}) {
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
