// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

struct channel_phase {
  std::vector<channel_message> messages = {};
  std::function<void()> then = [] {};
};

/// An operation under way. A group is one with the sequence numbers of all its messages.
struct channel_work {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  channel_operation operation = channel_operation::send;
  std::string description = {};
  std::vector<channel_phase> phases = {};
};

[[nodiscard]] inline std::string operation_text(channel_operation operation, element_type type,
                                                std::size_t bytes) {
  return std::string(name_of(operation)) + " of " + std::to_string(bytes) + " bytes of " +
         std::string(name_of(type));
}

[[nodiscard]] inline const std::byte* not_null(const std::byte* data) noexcept {
  static constexpr std::byte nothing{};
  return data == nullptr ? &nothing : data;
}

[[nodiscard]] inline channel_message message_to(std::size_t peer, const_tensor_view sent) {
  return {.peer = peer, .sent = not_null(sent.data), .bytes = sent.bytes(), .type = sent.type};
}
[[nodiscard]] inline channel_message message_from(std::size_t peer, tensor_view received) {
  return {
      .peer = peer, .received = received.data, .bytes = received.bytes(), .type = received.type};
}

class host_channel_core : public std::enable_shared_from_this<host_channel_core> {
 public:
  host_channel_core(std::unique_ptr<channel_transport> transport, std::string name,
                    std::chrono::milliseconds deadline)
      : transport_(std::move(transport)), name_(std::move(name)), deadline_(deadline) {}

  [[nodiscard]] channel_transport& transport() noexcept { return *transport_; }
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }
  [[nodiscard]] const flight_recorder& recorder() const noexcept { return recorder_; }

  /// The sequence number of an operation that does nothing and has ended.
  static constexpr std::uint64_t nothing = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool ended(std::uint64_t sequence) const noexcept {
    return sequence == nothing || ended_ > sequence;
  }

  host_ticket add_message(channel_operation operation, const_tensor_view view,
                          const channel_message& message) {
    const bool receives = operation == channel_operation::receive;
    auto& order = receives ? received_[message.peer] : sent_[message.peer];
    const std::uint64_t sequence = note(operation, view, view.count, message.peer, order++);
    if (group_) {
      group_->phases[0].messages.push_back(message);
      return {shared_from_this(), sequence};
    }
    std::string text = operation_text(operation, message.type, message.bytes) +
                       (receives ? " from " : " to ") + on_rank(message.peer);
    add({.first = sequence,
         .last = sequence,
         .description = std::move(text),
         .phases = {{.messages = {message}}}});
    return {shared_from_this(), sequence};
  }

  host_ticket add_collective(channel_operation operation, const_tensor_view view, std::size_t count,
                             std::optional<std::uint64_t> root, std::vector<channel_phase> phases) {
    if (group_)
      throw invalid_input("group", name_of(operation), "groups hold sends and receives alone");
    const std::uint64_t sequence = note(operation, view, count, root, collectives_++);
    add({.first = sequence,
         .last = sequence,
         .operation = operation,
         .description = operation_text(operation, view.type, view.bytes()),
         .phases = std::move(phases)});
    return {shared_from_this(), sequence};
  }

  void begin_group() {
    if (group_) throw invalid_input("begin_group", "called twice", "end the group before");
    group_ = channel_work{.first = sequence_, .description = "group"};
    group_->phases.emplace_back();
  }

  host_ticket end_group() {
    if (!group_) throw invalid_input("end_group", "called alone", "begin a group before");
    channel_work work = *std::exchange(group_, std::nullopt);
    const std::uint64_t last = sequence_;
    if (last == work.first) return {shared_from_this(), last == 0 ? nothing : last - 1};
    work.last = last - 1;
    work.description = std::string("group of ") + std::to_string(last - work.first) + " messages";
    add(std::move(work));
    return {shared_from_this(), last - 1};
  }

  /// Carries the operations on as far as possible without waiting.
  void progress() {
    if (queue_.empty()) return require_usable("progress", ended_);
    while (!queue_.empty()) {
      channel_work& work = queue_.front();
      require_usable(work.description, work.first);
      try {
        if (!started_) start(work);
        if (!transport_->test()) return;
        work.phases[phase_].then();
      } catch (const communication_error&) {
        throw;
      } catch (const std::exception& error) {
        fail(work.description, work.first, error.what());
      }
      started_ = false;
      if (++phase_ == work.phases.size()) end(work);
    }
  }

  void wait(std::uint64_t sequence, std::chrono::milliseconds deadline) {
    const auto until = deadline_after(deadline);
    for (progress(); !ended(sequence); progress()) {
      if (std::chrono::steady_clock::now() > until) {
        const channel_work& work = queue_.front();
        fail(work.description, work.first,
             list_ranks(transport_->missing()) + " did not come within " +
                 std::to_string(deadline.count()) + " ms");
      }
      transport_->pause();
    }
  }

  /// From any thread: the thread of this rank reports to the others when it looks next.
  void abort(std::string_view reason) noexcept {
    const std::scoped_lock lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = on_rank(transport_->rank()) + " aborted: " + std::string(reason);
    has_failed_ = true;
    if (transport_->reports_from_any_thread())
      transport_->report(failure_);
    else
      must_report_ = true;
  }

  [[nodiscard]] flight_log log() const {
    return {.channel = name_,
            .rank = transport_->rank(),
            .size = transport_->size(),
            .failure = failure(),
            .entries = recorder_.entries()};
  }

  /// Waits for everything that was called, and leaves.
  void close() {
    try {
      if (sequence_ > 0) wait(sequence_ - 1, deadline_);
      require_usable("close", sequence_);
    } catch (const std::exception&) {
      // The log has the reason, and a ticket that still exists throws it.
    }
    transport_->leave();
    is_closed_ = true;
  }
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }

 private:
  std::uint64_t note(channel_operation operation, const_tensor_view view, std::size_t count,
                     std::optional<std::uint64_t> peer, std::uint64_t order) {
    recorder_.issue({.sequence = sequence_,
                     .operation = operation,
                     .type = view.type,
                     .count = count,
                     .bytes = view.bytes(),
                     .peer = peer,
                     .order = order});
    return sequence_++;
  }

  void add(channel_work work) {
    require_usable(work.description, work.first);
    queue_.push_back(std::move(work));
    progress();
  }

  [[noreturn]] void fail(std::string_view operation, std::uint64_t sequence,
                         std::string_view reason) {
    {
      const std::scoped_lock lock(mutex_);
      if (failure_.empty()) failure_ = on_rank(transport_->rank()) + ": " + std::string(reason);
    }
    has_failed_ = true;
    transport_->report(failure());
    throw_and_give_up(operation, sequence, reason);
  }

  void require_usable(std::string_view operation, std::uint64_t sequence) {
    if (!has_failed_)
      if (auto reason = transport_->reported()) {
        const std::scoped_lock lock(mutex_);
        if (failure_.empty()) failure_ = std::move(*reason);
        has_failed_ = true;
      }
    if (!has_failed_) return;
    if (must_report_.exchange(false)) transport_->report(failure());
    throw_and_give_up(operation, sequence, failure());
  }

  [[noreturn]] void throw_and_give_up(std::string_view operation, std::uint64_t sequence,
                                      std::string_view reason) {
    transport_->give_up();
    const communication_error thrown(transport_->rank(), operation, sequence, reason);
    queue_.clear();  // the operation is a part of it
    throw thrown;
  }

  [[nodiscard]] std::string failure() const {
    const std::scoped_lock lock(mutex_);
    return failure_;
  }

  void start(channel_work& work) {
    if (phase_ == 0)
      for (std::uint64_t s = work.first; s <= work.last; ++s) recorder_.start(s);
    transport_->start(work.phases[phase_].messages, work.operation);
    started_ = true;
  }

  void end(const channel_work& work) {
    for (std::uint64_t s = work.first; s <= work.last; ++s) recorder_.end(s);
    ended_ = work.last + 1;
    phase_ = 0;
    queue_.pop_front();
  }

  std::unique_ptr<channel_transport> transport_;
  std::string name_;
  std::chrono::milliseconds deadline_;
  flight_recorder recorder_;
  std::uint64_t sequence_ = 0;                     // of the next operation
  std::uint64_t collectives_ = 0;                  // called
  std::map<std::size_t, std::uint64_t> sent_;      // messages by peer
  std::map<std::size_t, std::uint64_t> received_;  // messages by peer
  std::optional<channel_work> group_;
  std::deque<channel_work> queue_;
  std::size_t phase_ = 0;  // of the first operation of the queue
  bool started_ = false;   // its messages
  std::uint64_t ended_ = 0;
  mutable std::mutex mutex_;
  std::string failure_;  // guarded by the mutex; the first reason stays
  std::atomic<bool> has_failed_ = false;
  std::atomic<bool> must_report_ = false;
  std::atomic<bool> is_closed_ = false;
};

template <typename View>
[[nodiscard]] View part_of(View view, std::span<const std::size_t> counts, std::size_t rank) {
  std::size_t first = 0;
  for (std::size_t r = 0; r < rank; ++r) first += counts[r];
  return view.part(first, counts[rank]);
}

/// The phases of collective operations, as one rank carries them out.
class phases_of_rank {
 public:
  phases_of_rank(std::size_t rank, std::size_t size) : rank_(rank), size_(size) {}

  [[nodiscard]] std::vector<std::size_t> even_shards(std::size_t count) const {
    std::vector<std::size_t> shards(size_, count / size_);
    for (std::size_t r = 0; r < count % size_; ++r) ++shards[r];
    return shards;
  }

  [[nodiscard]] channel_phase all_to_all(const_tensor_view sent,
                                         std::span<const std::size_t> sent_counts,
                                         tensor_view received,
                                         std::span<const std::size_t> received_counts) const {
    channel_phase phase;
    for (std::size_t r = 0; r < size_; ++r)
      exchange(phase, r, part_of(sent, sent_counts, r), part_of(received, received_counts, r));
    return phase;
  }

  [[nodiscard]] channel_phase gather(const_tensor_view sent, tensor_view received,
                                     std::span<const std::size_t> counts) const {
    channel_phase phase;
    for (std::size_t r = 0; r < size_; ++r) exchange(phase, r, sent, part_of(received, counts, r));
    return phase;
  }

  /// Each rank gets the part of every other one that it reduces, and folds them in rank order.
  [[nodiscard]] channel_phase reduce(const_tensor_view sent, tensor_view received,
                                     std::span<const std::size_t> counts, reduction how) const {
    channel_phase phase;
    const std::size_t bytes = received.bytes();
    const auto parts = std::make_shared<std::vector<std::byte>>(
        checked_multiply(bytes, size_ - 1, "bytes of the parts"));
    std::vector<const std::byte*> in_rank_order;
    std::byte* free = parts->data();
    for (std::size_t r = 0; r < size_; ++r) {
      const const_tensor_view part = part_of(sent, counts, r);
      if (r == rank_) {
        in_rank_order.push_back(part.data);
        continue;
      }
      in_rank_order.push_back(free);
      phase.messages.push_back(message_from(r, {free, received.count, received.type}));
      phase.messages.push_back(message_to(r, part));
      free += bytes;
    }
    phase.then = [parts, in_rank_order, received, how] {
      fold(in_rank_order, received.data, received.count, received.type, how);
    };
    return phase;
  }

  /// A binomial tree: rank r, counted from the root, receives from r without its lowest bit.
  [[nodiscard]] std::vector<channel_phase> broadcast(tensor_view values, std::size_t root) const {
    const std::size_t place = (rank_ + size_ - root) % size_;
    const auto peer = [&](std::size_t other) { return (other + root) % size_; };
    std::size_t step = 1;
    while (step < size_ && (place & step) == 0) step <<= 1U;
    std::vector<channel_phase> phases;
    if (place != 0) phases.push_back({.messages = {message_from(peer(place - step), values)}});
    channel_phase& sends = phases.emplace_back();
    for (step >>= 1U; step > 0; step >>= 1U)
      if (place + step < size_) sends.messages.push_back(message_to(peer(place + step), values));
    return phases;
  }

 private:
  /// Copies the part for this rank, when the phase begins, and exchanges the others.
  void exchange(channel_phase& phase, std::size_t peer, const_tensor_view sent,
                tensor_view received) const {
    if (peer == rank_) {
      phase.then = [sent, received] {
        if (sent.data != received.data && sent.count > 0)
          std::memmove(received.data, sent.data, sent.bytes());
      };
      return;
    }
    phase.messages.push_back(message_from(peer, received));
    phase.messages.push_back(message_to(peer, sent));
  }

  std::size_t rank_;
  std::size_t size_;
};

inline void require_own_count(std::span<const std::size_t> counts, std::size_t rank,
                              std::size_t own, std::string_view view) {
  if (counts[rank] != own)
    throw invalid_input("counts", rank, counts[rank],
                        "must be the count of " + std::string(view) + ", " + std::to_string(own));
}

OMNIBAL_INLINE bool host_ticket::done() {
  if (!core_->ended(sequence_)) core_->progress();
  return core_->ended(sequence_);
}

OMNIBAL_INLINE void host_ticket::wait() { wait(core_->deadline()); }

OMNIBAL_INLINE void host_ticket::wait(std::chrono::milliseconds deadline) {
  core_->wait(sequence_, deadline);
}

OMNIBAL_INLINE host_channel::host_channel(std::unique_ptr<channel_transport> transport,
                                          std::string name, std::chrono::milliseconds deadline)
    : core_(std::make_shared<host_channel_core>(std::move(transport), std::move(name), deadline)) {}

OMNIBAL_INLINE host_channel::~host_channel() {
  if (!core_) return;
  if (std::uncaught_exceptions() > exceptions_) core_->abort("an exception");
  core_->close();
}

OMNIBAL_INLINE std::size_t host_channel::rank() const noexcept { return core_->transport().rank(); }
OMNIBAL_INLINE std::size_t host_channel::size() const noexcept { return core_->transport().size(); }
OMNIBAL_INLINE channel_transport& host_channel::transport() noexcept { return core_->transport(); }

OMNIBAL_INLINE host_ticket host_channel::send(const_tensor_view sent, std::size_t to, host_stream) {
  require_peer("to", to, rank(), size());
  return core_->add_message(channel_operation::send, sent, message_to(to, sent));
}

OMNIBAL_INLINE host_ticket host_channel::receive(tensor_view received, std::size_t from,
                                                 host_stream) {
  require_peer("from", from, rank(), size());
  return core_->add_message(channel_operation::receive, received, message_from(from, received));
}

OMNIBAL_INLINE host_ticket host_channel::all_reduce(tensor_view values, reduction how,
                                                    host_stream) {
  require_reducible(values.type);
  const phases_of_rank phases(rank(), size());
  const std::vector<std::size_t> shards = phases.even_shards(values.count);
  const tensor_view own = part_of(values, shards, rank());
  return core_->add_collective(
      channel_operation::all_reduce, values, values.count, {},
      {phases.reduce(values, own, shards, how), phases.gather(own, values, shards)});
}

OMNIBAL_INLINE host_ticket host_channel::reduce_scatter(const_tensor_view sent,
                                                        tensor_view received,
                                                        std::span<const std::size_t> counts,
                                                        reduction how, host_stream) {
  require_reducible(sent.type);
  require_same_type(sent, received);
  require_counts("counts", counts, size(), sent.count);
  require_own_count(counts, rank(), received.count, "received");
  return core_->add_collective(
      channel_operation::reduce_scatter, sent, sent.count, {},
      {phases_of_rank(rank(), size()).reduce(sent, received, counts, how)});
}

OMNIBAL_INLINE host_ticket host_channel::all_gather(const_tensor_view sent, tensor_view received,
                                                    std::span<const std::size_t> counts,
                                                    host_stream) {
  require_same_type(sent, received);
  require_counts("counts", counts, size(), received.count);
  require_own_count(counts, rank(), sent.count, "sent");
  return core_->add_collective(channel_operation::all_gather, received, received.count, {},
                               {phases_of_rank(rank(), size()).gather(sent, received, counts)});
}

OMNIBAL_INLINE host_ticket host_channel::broadcast(tensor_view values, std::size_t root,
                                                   host_stream) {
  require_rank("root", root, size());
  return core_->add_collective(channel_operation::broadcast, values, values.count, root,
                               phases_of_rank(rank(), size()).broadcast(values, root));
}

OMNIBAL_INLINE host_ticket host_channel::all_to_all(const_tensor_view sent,
                                                    std::span<const std::size_t> sent_counts,
                                                    tensor_view received,
                                                    std::span<const std::size_t> received_counts,
                                                    host_stream) {
  require_same_type(sent, received);
  require_counts("sent_counts", sent_counts, size(), sent.count);
  require_counts("received_counts", received_counts, size(), received.count);
  if (sent_counts[rank()] != received_counts[rank()])
    throw invalid_input(
        "received_counts", rank(), received_counts[rank()],
        "must be what this rank sends itself, " + std::to_string(sent_counts[rank()]));
  return core_->add_collective(
      channel_operation::all_to_all, sent, 0, {},
      {phases_of_rank(rank(), size()).all_to_all(sent, sent_counts, received, received_counts)});
}

OMNIBAL_INLINE void host_channel::begin_group() { core_->begin_group(); }
OMNIBAL_INLINE host_ticket host_channel::end_group() { return core_->end_group(); }
OMNIBAL_INLINE void host_channel::abort(std::string_view reason) noexcept { core_->abort(reason); }
OMNIBAL_INLINE flight_log host_channel::log() const { return core_->log(); }

OMNIBAL_INLINE channel_watch_point host_channel::watch_point() const {
  return {.log = [core = core_] { return core->log(); },
          .oldest_unfinished = [core = core_] { return core->recorder().oldest_unfinished(); },
          .abort = [core = core_](std::string_view reason) { core->abort(reason); },
          .is_closed = [core = core_] { return core->is_closed(); }};
}

OMNIBAL_INLINE std::vector<std::int64_t> host_channel::gather_colors(std::optional<int> color,
                                                                     int key) {
  require_color(color);
  const std::array<std::int64_t, 2> own = {color ? *color : -1, key};
  std::vector<std::int64_t> all(2 * size());
  const std::vector<std::size_t> counts(size(), 2);
  all_gather(view_of(own), view_of(all), counts).wait();
  return all;
}

}  // namespace omnibal::inline v0::detail
