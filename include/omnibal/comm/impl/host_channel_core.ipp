// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations of a channel over host memory: one after the other goes through its phases,
/// whenever the rank calls.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/detail/host_channel.hpp>
#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/impl/channel_calls.ipp>
#include <omnibal/comm/impl/channel_phases.ipp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

class host_channel_core : public std::enable_shared_from_this<host_channel_core> {
 public:
  host_channel_core(std::unique_ptr<channel_transport> transport, std::string name,
                    std::chrono::milliseconds deadline, std::string part)
      : transport_(std::move(transport)),
        name_(std::move(name)),
        deadline_(deadline),
        part_(std::move(part)) {}

  [[nodiscard]] channel_transport& transport() noexcept { return *transport_; }
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }
  [[nodiscard]] const flight_recorder& recorder() const noexcept { return recorder_; }

  /// The sequence number of an operation that does nothing and has ended.
  static constexpr std::uint64_t nothing = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] bool ended(std::uint64_t sequence) const noexcept {
    return sequence == nothing || ended_ > sequence;
  }

  host_ticket add_message(const_tensor_view view, channel_message message) {
    const bool receives = message.receives();
    if (group_) require_usable(receives ? "receive" : "send", sequence_);
    message.header.order = (receives ? received_ : sent_)[message.peer]++;
    message.header.count = view.count;
    const auto operation = receives ? channel_operation::receive : channel_operation::send;
    const std::uint64_t sequence =
        note(operation, view, view.count, message.peer, message.header.order);
    if (group_) {
      group_->phases[0].messages.push_back(message);
      return {shared_from_this(), sequence};
    }
    std::string text = operation_text(operation, view.type, view.bytes()) +
                       (receives ? " from " : " to ") + on_rank(message.peer);
    add({.first = sequence,
         .last = sequence,
         .description = std::move(text),
         .phases = {{.messages = {message}}}});
    return {shared_from_this(), sequence};
  }

  host_ticket add_collective(const collective_call& call, std::vector<channel_phase> phases) {
    if (group_) {
      require_usable(name_of(call.operation), sequence_);  // an abort is why it was never ended
      throw invalid_input("group", name_of(call.operation), "groups hold sends and receives alone");
    }
    const message_header header = call.header(collectives_++);
    const std::uint64_t sequence =
        note(call.operation, call.view, call.count, call.root, header.order, call.how);
    for (channel_phase& phase : phases)
      for (channel_message& message : phase.messages) {
        const std::uint64_t bytes = message.header.bytes;
        message.header = header;
        message.header.bytes = bytes;
      }
    add({.first = sequence,
         .last = sequence,
         .description = operation_text(call.operation, call.view.type, call.view.bytes()),
         .phases = std::move(phases)});
    return {shared_from_this(), sequence};
  }

  /// Throws invalid_input for a message of the group that is open: it begins when the group ends.
  void require_begun(std::uint64_t sequence) {
    if (!group_ || sequence == nothing || sequence < group_->first) return;
    require_usable(group_->description, sequence);
    throw invalid_input("group", "open", "end the group before you wait for its messages");
  }

  void begin_group() {
    require_usable("group", sequence_);
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

  /// Carries the operations on as far as possible without waiting, for one that has not ended.
  void progress(std::uint64_t asked) {
    user_ = std::this_thread::get_id();
    if (queue_.empty()) return require_usable(description_of(asked), asked);  // given up
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
    require_begun(sequence);
    if (ended(sequence)) return;
    const auto until = deadline_after(deadline);
    for (progress(sequence); !ended(sequence); progress(sequence)) {
      if (std::chrono::steady_clock::now() > until) {
        const channel_work& work = queue_.front();
        fail(work.description, work.first,
             list_ranks(transport_->missing()) + " did not come within " +
                 std::to_string(deadline.count()) + " ms");
      }
      transport_->pause();
    }
  }

  /// From any thread. Where the transport belongs to the thread of this rank, that reports to the
  /// others at once, and for another thread when it looks next.
  void abort(std::string_view reason) noexcept {
    const std::scoped_lock lock(mutex_);
    if (!failure_.empty()) return;
    failure_ = on_rank(transport_->rank()) + " aborted: " + std::string(reason);
    has_failed_ = true;
    if (transport_->reports_from_any_thread() || user_ == std::this_thread::get_id())
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

  /// Waits for everything that was called, and leaves. A group that is still open ends the channel:
  /// the other ranks may wait for its messages.
  void close() {
    if (group_) {
      abort("its channel was destroyed within a group; call end_group() before");
      group_.reset();
    }
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
                     std::optional<std::uint64_t> peer, std::uint64_t order,
                     std::optional<reduction> how = {}) {
    recorder_.issue({.sequence = sequence_,
                     .operation = operation,
                     .type = view.type,
                     .count = count,
                     .bytes = view.bytes(),
                     .peer = peer,
                     .how = how,
                     .order = order});
    return sequence_++;
  }

  void add(channel_work work) {
    require_usable(work.description, work.first);
    const std::uint64_t first = work.first;
    queue_.push_back(std::move(work));
    progress(first);
  }

  [[nodiscard]] std::string description_of(std::uint64_t sequence) const {
    for (const flight_entry& entry : recorder_.entries())
      if (entry.sequence == sequence)
        return operation_text(entry.operation, entry.type, entry.bytes);
    return "an old operation";
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
    std::string own_wait;
    if (!has_failed_)
      if (auto reason = transport_->reported()) {
        const std::scoped_lock lock(mutex_);
        if (failure_.empty()) failure_ = std::move(*reason);
        has_failed_ = true;
        own_wait = describe_wait();
      }
    if (!has_failed_) return;
    if (must_report_.exchange(false)) transport_->report(failure());
    throw_and_give_up(operation, sequence, failure() + own_wait);
  }

  /// The rank that failed may have waited for this one, which waits for the rank at fault.
  [[nodiscard]] std::string describe_wait() const {
    const std::vector<std::size_t> missing = transport_->missing();
    return missing.empty()
               ? ""
               : "; " + on_rank(transport_->rank()) + " waits for " + list_ranks(missing);
  }

  [[noreturn]] void throw_and_give_up(std::string_view operation, std::uint64_t sequence,
                                      std::string_view reason) {
    const communication_error thrown(transport_->rank(), operation, sequence,
                                     std::string(reason) + part_);
    transport_->give_up(thrown.what());
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
    transport_->start(work.phases[phase_].messages);
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
  std::string part_;  // ends errors, whose ranks are those of a part
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
  std::atomic<std::thread::id> user_ = std::this_thread::get_id();  // who called last
};

}  // namespace omnibal::inline v0::detail
