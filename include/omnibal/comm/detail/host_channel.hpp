// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel over host memory, given a transport that moves bytes between two ranks. Every
/// operation is a list of phases; a phase is a set of messages, and what is computed once they have
/// all ended. One operation after the other goes through its phases, whenever this rank calls into
/// the channel: nothing happens behind its back, and no thread is started.
///
/// A collective operation exchanges its parts directly, so each rank sends and receives the least
/// bytes possible: (n − 1)/n of the tensor to reduce or gather it, twice that for an all_reduce.
/// Sums are in rank order.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
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
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

/// One message of a phase: bytes from or to a peer.
struct channel_message {
  std::size_t peer = 0;
  const std::byte* sent = nullptr;
  std::byte* received = nullptr;  // where it is not a send
  std::size_t bytes = 0;
  element_type type = element_type::byte;

  [[nodiscard]] bool receives() const noexcept { return sent == nullptr; }
};

/// Moves the messages of one phase at a time.
template <typename Type>
concept channel_transport = requires(Type& transport, std::span<const channel_message> messages,
                                     channel_operation operation, std::string_view reason) {
  { transport.rank() } -> std::same_as<std::size_t>;
  { transport.size() } -> std::same_as<std::size_t>;
  { transport.start(messages, operation) } -> std::same_as<void>;
  // Whether the messages have ended. Throws std::runtime_error when one of them fails.
  { transport.test() } -> std::same_as<bool>;
  { transport.missing() } -> std::same_as<std::vector<std::size_t>>;
  { transport.pause() } -> std::same_as<void>;
  // The memory of the messages is the caller's again.
  { transport.give_up() } -> std::same_as<void>;
  // This rank calls nothing any more.
  { transport.leave() } -> std::same_as<void>;
  // Reports to the other ranks; the reason that one of them has reported to this one.
  { transport.report(reason) } -> std::same_as<void>;
  { transport.reported() } -> std::same_as<std::optional<std::string>>;
};

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

/// The part of a channel that tickets keep alive.
template <channel_transport Transport>
class host_channel_core {
 public:
  host_channel_core(Transport transport, std::string name, std::chrono::milliseconds deadline)
      : transport_(std::move(transport)), name_(std::move(name)), deadline_(deadline) {}

  [[nodiscard]] Transport& transport() noexcept { return transport_; }
  [[nodiscard]] const Transport& transport() const noexcept { return transport_; }
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] flight_recorder& recorder() noexcept { return recorder_; }

  /// The sequence number of an operation that does nothing and has ended.
  static constexpr std::uint64_t nothing = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool ended(std::uint64_t sequence) const noexcept {
    return sequence == nothing || ended_ > sequence;
  }

  void add(channel_work work) {
    require_usable(work.description, work.first);
    queue_.push_back(std::move(work));
    progress();
  }

  /// Carries the operations on as far as possible without waiting.
  void progress() {
    if (queue_.empty()) return require_usable("progress", ended_);
    while (!queue_.empty()) {
      channel_work& work = queue_.front();
      require_usable(work.description, work.first);
      try {
        if (!started_) start(work);
        if (!transport_.test()) return;
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
             list_ranks(transport_.missing()) + " did not come within " +
                 std::to_string(deadline.count()) + " ms");
      }
      transport_.pause();
    }
  }

  [[noreturn]] void fail(std::string_view operation, std::uint64_t sequence,
                         std::string_view reason) {
    {
      const std::scoped_lock lock(mutex_);
      if (failure_.empty()) failure_ = on_rank(transport_.rank()) + ": " + std::string(reason);
    }
    has_failed_ = true;
    transport_.report(failure());
    transport_.give_up();
    const communication_error thrown = error(operation, sequence, reason);
    queue_.clear();  // the operation is a part of it
    throw thrown;
  }

  /// From any thread: the thread of this rank reports to the others when it looks next.
  void abort(std::string_view reason) noexcept {
    const std::scoped_lock lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = on_rank(transport_.rank()) + " aborted: " + std::string(reason);
    has_failed_ = true;
    if constexpr (Transport::reports_from_any_thread)
      transport_.report(failure_);
    else
      must_report_ = true;
  }

  [[nodiscard]] std::string failure() const {
    const std::scoped_lock lock(mutex_);
    return failure_;
  }

  [[nodiscard]] flight_log log() const {
    return {.channel = name_,
            .rank = transport_.rank(),
            .size = transport_.size(),
            .failure = failure(),
            .entries = recorder_.entries()};
  }

  void close() {
    transport_.leave();
    is_closed_ = true;
  }
  [[nodiscard]] bool is_closed() const noexcept { return is_closed_; }

  void require_usable(std::string_view operation, std::uint64_t sequence) {
    if (!has_failed_)
      if (auto reason = transport_.reported()) {
        const std::scoped_lock lock(mutex_);
        if (failure_.empty()) failure_ = std::move(*reason);
        has_failed_ = true;
      }
    if (!has_failed_) return;
    if (must_report_.exchange(false)) transport_.report(failure());
    transport_.give_up();
    const communication_error thrown = error(operation, sequence, failure());
    queue_.clear();  // the operation is a part of it
    throw thrown;
  }

 private:
  [[nodiscard]] communication_error error(std::string_view operation, std::uint64_t sequence,
                                          std::string_view reason) const {
    return {transport_.rank(), operation, sequence, reason};
  }

  void start(channel_work& work) {
    if (phase_ == 0)
      for (std::uint64_t s = work.first; s <= work.last; ++s) recorder_.start(s);
    transport_.start(work.phases[phase_].messages, work.operation);
    started_ = true;
  }

  void end(const channel_work& work) {
    for (std::uint64_t s = work.first; s <= work.last; ++s) recorder_.end(s);
    ended_ = work.last + 1;
    phase_ = 0;
    queue_.pop_front();
  }

  Transport transport_;
  std::string name_;
  std::chrono::milliseconds deadline_;
  flight_recorder recorder_;
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

/// The ticket of an operation on host memory.
template <channel_transport Transport>
class host_ticket {
 public:
  host_ticket(std::shared_ptr<host_channel_core<Transport>> core, std::uint64_t sequence)
      : core_(std::move(core)), sequence_(sequence) {}

  [[nodiscard]] bool done() {
    if (!core_->ended(sequence_)) core_->progress();
    return core_->ended(sequence_);
  }
  void wait() { wait(core_->deadline()); }
  void wait(std::chrono::milliseconds deadline) { core_->wait(sequence_, deadline); }
  void after(host_stream) { wait(); }

 private:
  std::shared_ptr<host_channel_core<Transport>> core_;
  std::uint64_t sequence_;
};

/// Everything of a channel over host memory but how it is made and split.
template <channel_transport Transport>
class host_channel {
 public:
  using ticket = host_ticket<Transport>;
  using stream_type = host_stream;
  static constexpr memory_space space = memory_space::host;

  host_channel(Transport transport, std::string name, std::chrono::milliseconds deadline)
      : core_(std::make_shared<host_channel_core<Transport>>(std::move(transport), std::move(name),
                                                             deadline)) {}
  host_channel(host_channel&&) noexcept = default;
  host_channel& operator=(host_channel&&) = delete;
  /// Waits for what was sent, unless an exception passes, which is reported to the other ranks.
  ~host_channel() {
    if (!core_) return;
    if (std::uncaught_exceptions() > exceptions_) core_->abort("an exception");
    try {
      if (sequence_ > 0) core_->wait(sequence_ - 1, core_->deadline());
      core_->require_usable("close", sequence_);
    } catch (const std::exception&) {
      // The log has the reason, and a ticket that still exists throws it.
    }
    core_->close();
  }

  [[nodiscard]] std::size_t rank() const noexcept { return core_->transport().rank(); }
  [[nodiscard]] std::size_t size() const noexcept { return core_->transport().size(); }

  ticket send(const_tensor_view sent, std::size_t to, host_stream = {}) {
    require_peer("to", to, rank(), size());
    const std::uint64_t sequence = note(channel_operation::send, sent, to, sent_[to]++);
    return add_message(sequence, message_to(to, sent));
  }

  ticket receive(tensor_view received, std::size_t from, host_stream = {}) {
    require_peer("from", from, rank(), size());
    const std::uint64_t sequence =
        note(channel_operation::receive, received, from, received_[from]++);
    return add_message(sequence, message_from(from, received));
  }

  ticket all_reduce(tensor_view values, reduction how, host_stream = {}) {
    require_reducible(values.type);
    const std::vector<std::size_t> shards = even_shards(values.count);
    const tensor_view own = part_of(values, shards, rank());
    channel_phase reduce = reduce_phase(values, own, shards, how);
    channel_phase gather = gather_phase(own, values, shards);
    return add(channel_operation::all_reduce, values, values.count, {},
               {std::move(reduce), std::move(gather)});
  }

  ticket reduce_scatter(const_tensor_view sent, tensor_view received,
                        std::span<const std::size_t> counts, reduction how, host_stream = {}) {
    require_reducible(sent.type);
    require_same_type(sent, received);
    require_counts("counts", counts, size(), sent.count);
    require_own_count(counts, received.count, "received");
    return add(channel_operation::reduce_scatter, sent, sent.count, {},
               {reduce_phase(sent, received, counts, how)});
  }

  ticket all_gather(const_tensor_view sent, tensor_view received,
                    std::span<const std::size_t> counts, host_stream = {}) {
    require_same_type(sent, received);
    require_counts("counts", counts, size(), received.count);
    require_own_count(counts, sent.count, "sent");
    return add(channel_operation::all_gather, received, received.count, {},
               {gather_phase(sent, received, counts)});
  }

  ticket broadcast(tensor_view values, std::size_t root, host_stream = {}) {
    require_rank("root", root, size());
    return add(channel_operation::broadcast, values, values.count, root,
               broadcast_phases(values, root));
  }

  ticket all_to_all(const_tensor_view sent, std::span<const std::size_t> sent_counts,
                    tensor_view received, std::span<const std::size_t> received_counts,
                    host_stream = {}) {
    require_same_type(sent, received);
    require_counts("sent_counts", sent_counts, size(), sent.count);
    require_counts("received_counts", received_counts, size(), received.count);
    require_equal_own(sent_counts[rank()], received_counts[rank()]);
    channel_phase phase;
    for (std::size_t r = 0; r < size(); ++r)
      exchange(phase, r, part_of(sent, sent_counts, r), part_of(received, received_counts, r));
    return add(channel_operation::all_to_all, sent, 0, {}, {std::move(phase)});
  }

  void begin_group() {
    if (group_) throw invalid_input("begin_group", "called twice", "end the group before");
    group_ = channel_work{.first = sequence_, .description = "group"};
    group_->phases.emplace_back();
  }

  ticket end_group() {
    if (!group_) throw invalid_input("end_group", "called alone", "begin a group before");
    channel_work work = *std::exchange(group_, std::nullopt);
    const std::uint64_t last = sequence_;
    if (last == work.first) return {core_, last == 0 ? core::nothing : last - 1};
    work.last = last - 1;
    work.description = std::string("group of ") + std::to_string(last - work.first) + " messages";
    core_->add(std::move(work));
    return {core_, last - 1};
  }

  void abort(std::string_view reason) noexcept { core_->abort(reason); }

  /// The last operations; from any thread.
  [[nodiscard]] flight_log log() const { return core_->log(); }

  [[nodiscard]] channel_watch_point watch_point() const {
    return {.log = [core = core_] { return core->log(); },
            .oldest_unfinished = [core = core_] { return core->recorder().oldest_unfinished(); },
            .abort = [core = core_](std::string_view reason) { core->abort(reason); },
            .is_closed = [core = core_] { return core->is_closed(); }};
  }

 protected:
  using core = host_channel_core<Transport>;

  [[nodiscard]] const std::shared_ptr<core>& shared_core() const noexcept { return core_; }

  /// The color and key of every rank, gathered through the channel itself.
  [[nodiscard]] std::vector<std::int64_t> gather_colors(std::optional<int> color, int key) {
    require_color(color);
    const std::array<std::int64_t, 2> own = {color ? *color : -1, key};
    std::vector<std::int64_t> all(2 * size());
    const std::vector<std::size_t> counts(size(), 2);
    all_gather(view_of(own), view_of(all), counts).wait();
    return all;
  }

 private:
  [[nodiscard]] static const std::byte* not_null(const std::byte* data) noexcept {
    static constexpr std::byte nothing{};
    return data == nullptr ? &nothing : data;
  }

  std::uint64_t note(channel_operation operation, const_tensor_view view,
                     std::optional<std::uint64_t> peer, std::uint64_t order) {
    return note(operation, view, view.count, peer, order);
  }

  std::uint64_t note(channel_operation operation, const_tensor_view view, std::size_t count,
                     std::optional<std::uint64_t> peer, std::uint64_t order) {
    core_->recorder().issue({.sequence = sequence_,
                             .operation = operation,
                             .type = view.type,
                             .count = count,
                             .bytes = view.bytes(),
                             .peer = peer,
                             .order = order});
    return sequence_++;
  }

  [[nodiscard]] static std::string text_of(channel_operation operation, element_type type,
                                           std::size_t bytes) {
    return std::string(name_of(operation)) + " of " + std::to_string(bytes) + " bytes of " +
           std::string(name_of(type));
  }

  [[nodiscard]] static channel_message message_to(std::size_t peer, const_tensor_view sent) {
    return {.peer = peer, .sent = not_null(sent.data), .bytes = sent.bytes(), .type = sent.type};
  }
  [[nodiscard]] static channel_message message_from(std::size_t peer, tensor_view received) {
    return {
        .peer = peer, .received = received.data, .bytes = received.bytes(), .type = received.type};
  }

  ticket add_message(std::uint64_t sequence, const channel_message& message) {
    if (group_) {
      group_->phases[0].messages.push_back(message);
      return {core_, sequence};
    }
    std::string text =
        text_of(message.receives() ? channel_operation::receive : channel_operation::send,
                message.type, message.bytes) +
        (message.receives() ? " from " : " to ") + on_rank(message.peer);
    core_->add({.first = sequence,
                .last = sequence,
                .description = std::move(text),
                .phases = {{.messages = {message}}}});
    return {core_, sequence};
  }

  ticket add(channel_operation operation, const_tensor_view view, std::size_t count,
             std::optional<std::uint64_t> root, std::vector<channel_phase> phases) {
    if (group_)
      throw invalid_input("group", name_of(operation), "groups hold sends and receives alone");
    const std::uint64_t sequence = note(operation, view, count, root, collectives_++);
    core_->add({.first = sequence,
                .last = sequence,
                .operation = operation,
                .description = text_of(operation, view.type, view.bytes()),
                .phases = std::move(phases)});
    return {core_, sequence};
  }

  void require_own_count(std::span<const std::size_t> counts, std::size_t own,
                         std::string_view view) const {
    if (counts[rank()] != own)
      throw invalid_input("counts", rank(), counts[rank()],
                          "must be the count of " + std::string(view) + ", " + std::to_string(own));
  }

  void require_equal_own(std::size_t sent, std::size_t received) const {
    if (sent != received)
      throw invalid_input("received_counts", rank(), received,
                          "must be what this rank sends itself, " + std::to_string(sent));
  }

  [[nodiscard]] std::vector<std::size_t> even_shards(std::size_t count) const {
    std::vector<std::size_t> shards(size(), count / size());
    for (std::size_t r = 0; r < count % size(); ++r) ++shards[r];
    return shards;
  }

  template <typename View>
  [[nodiscard]] static View part_of(View view, std::span<const std::size_t> counts,
                                    std::size_t rank) {
    std::size_t first = 0;
    for (std::size_t r = 0; r < rank; ++r) first += counts[r];
    return view.part(first, counts[rank]);
  }

  /// Copies the part for this rank, when the phase begins, and exchanges the others.
  void exchange(channel_phase& phase, std::size_t peer, const_tensor_view sent,
                tensor_view received) const {
    if (peer == rank()) {
      phase.then = [sent, received] {
        if (sent.data != received.data && sent.count > 0)
          std::memmove(received.data, sent.data, sent.bytes());
      };
      return;
    }
    phase.messages.push_back(message_from(peer, received));
    phase.messages.push_back(message_to(peer, sent));
  }

  [[nodiscard]] channel_phase gather_phase(const_tensor_view sent, tensor_view received,
                                           std::span<const std::size_t> counts) const {
    channel_phase phase;
    for (std::size_t r = 0; r < size(); ++r) exchange(phase, r, sent, part_of(received, counts, r));
    return phase;
  }

  /// Each rank gets the part of every other one that it reduces, and folds them in rank order.
  [[nodiscard]] channel_phase reduce_phase(const_tensor_view sent, tensor_view received,
                                           std::span<const std::size_t> counts,
                                           reduction how) const {
    channel_phase phase;
    const std::size_t bytes = received.bytes();
    const auto parts = std::make_shared<std::vector<std::byte>>(
        checked_multiply(bytes, size() - 1, "bytes of the parts"));
    std::vector<const std::byte*> in_rank_order;
    std::byte* free = parts->data();
    for (std::size_t r = 0; r < size(); ++r) {
      const const_tensor_view part = part_of(sent, counts, r);
      if (r == rank()) {
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
  [[nodiscard]] std::vector<channel_phase> broadcast_phases(tensor_view values,
                                                            std::size_t root) const {
    const std::size_t place = (rank() + size() - root) % size();
    const auto peer = [&](std::size_t other) { return (other + root) % size(); };
    std::size_t step = 1;
    while (step < size() && (place & step) == 0) step <<= 1U;
    std::vector<channel_phase> phases;
    if (place != 0) phases.push_back({.messages = {message_from(peer(place - step), values)}});
    channel_phase& sends = phases.emplace_back();
    for (step >>= 1U; step > 0; step >>= 1U)
      if (place + step < size()) sends.messages.push_back(message_to(peer(place + step), values));
    return phases;
  }

  std::shared_ptr<core> core_;
  std::uint64_t sequence_ = 0;
  std::uint64_t collectives_ = 0;
  std::map<std::size_t, std::uint64_t> sent_;      // messages by peer
  std::map<std::size_t, std::uint64_t> received_;  // messages by peer
  std::optional<channel_work> group_;
  int exceptions_ = std::uncaught_exceptions();  // when constructed
};

}  // namespace omnibal::inline v0::detail
