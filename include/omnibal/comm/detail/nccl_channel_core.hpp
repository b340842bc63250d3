// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a channel over NCCL carries out a call: it notes the operation, lets ranks compare it where
/// that is wanted, hands it to NCCL, and puts an event behind it. Messages of a group wait for its
/// end, since NCCL may see nothing of another operation before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/detail/call_check.hpp>
#include <omnibal/comm/detail/nccl_calls.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/detail/nccl_ticket.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/nccl_group.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0::detail {

/// The messages of a group, which NCCL sees at its end.
struct nccl_message_group {
  std::vector<std::function<ncclResult_t(ncclComm_t)>> calls = {};
  std::vector<called_message> called = {};
  std::shared_ptr<nccl_event> event = {};  // behind the end of the group
  std::uint64_t first = 0;                 // sequence number of the first message
  cudaStream_t stream = nullptr;
};

/// A collective operation as it is called. `count` is that which is the same on all ranks, or 0.
struct nccl_collective {
  channel_operation operation = channel_operation::all_reduce;
  const_tensor_view view = {};
  std::size_t count = 0;
  std::optional<std::uint64_t> root = {};
  std::optional<reduction> how = {};
  counts_by_rank counts = {};
};

class nccl_channel_core {
 public:
  nccl_channel_core(nccl_handle handle, std::size_t rank, std::size_t size, std::string name,
                    std::string log_directory)
      : state_(std::make_shared<nccl_channel_state>()) {
    state_->handle = std::move(handle);
    state_->rank = rank;
    state_->size = size;
    state_->name = std::move(name);
    state_->log_directory = std::move(log_directory);
    state_->handle.on_failure([state = state_.get()] { state->write_log(); });
  }
  nccl_channel_core(nccl_channel_core&&) noexcept = default;
  nccl_channel_core& operator=(nccl_channel_core&&) = delete;
  ~nccl_channel_core() {
    if (!state_) return;
    // The others wait for messages that NCCL has not seen.
    if (group_ && !group_->called.empty()) state_->handle.abort("destroyed within a group");
    state_->handle.close();
    state_->is_closed = true;
  }

  [[nodiscard]] nccl_channel_state& state() const noexcept { return *state_; }
  [[nodiscard]] std::shared_ptr<nccl_channel_state> shared_state() const { return state_; }
  [[nodiscard]] std::size_t rank() const noexcept { return state_->rank; }
  [[nodiscard]] std::size_t size() const noexcept { return state_->size; }
  [[nodiscard]] nccl_handle& handle() const noexcept { return state_->handle; }

  [[nodiscard]] nccl_place place(std::string_view operation) const {
    return {rank(), operation, sequence_};
  }

  /// Of a communicator that says itself which rank this is.
  void read_rank() {
    int rank = 0;
    int size = 0;
    handle().call(place("open"), [&](ncclComm_t comm) { return ncclCommUserRank(comm, &rank); });
    handle().call(place("open"), [&](ncclComm_t comm) { return ncclCommCount(comm, &size); });
    state_->rank = static_cast<std::size_t>(rank);
    state_->size = static_cast<std::size_t>(size);
  }

  template <communicator Communicator>
  void check_over(Communicator& control) {
    check_.open(control, rank(), size());
  }

  void require_no_group(std::string_view operation) const {
    if (!group_) return;
    handle().require_open(place(operation));  // an abort is why a group was never ended
    throw invalid_input("group", operation, "groups hold sends and receives alone");
  }

  /// `enqueue` calls NCCL; `prepare`, which does not, comes before it on the stream.
  template <typename Prepare, typename Enqueue>
  nccl_ticket collective(const nccl_collective& called, cudaStream_t stream, const Prepare& prepare,
                         const Enqueue& enqueue) {
    require_no_group(name_of(called.operation));
    const nccl_place at = place(name_of(called.operation));
    handle().require_open(at);
    const device_guard guard(handle().device());
    const std::uint64_t order = collectives_++;
    const auto event =
        note(called.operation, called.view, called.count, called.root, order, called.how);
    check_.collective(
        handle(), at,
        header_of(called.operation, order, called.view.type, called.count, called.how), called.root,
        called.counts);
    state_->operations.start(at.sequence);
    handle().require(prepare(), at);
    handle().call(at, enqueue);
    handle().require(event->record(stream), at);
    return {state_, event, called.operation, at.sequence};
  }

  template <typename Enqueue>
  nccl_ticket collective(const nccl_collective& called, cudaStream_t stream,
                         const Enqueue& enqueue) {
    return collective(
        called, stream, [] { return cudaSuccess; }, enqueue);
  }

  /// At once, or with its group.
  template <typename Enqueue>
  nccl_ticket message(channel_operation operation, const_tensor_view view, std::size_t peer,
                      cudaStream_t stream, const Enqueue& enqueue) {
    if (group_) require_one_stream(stream);
    const nccl_place at = place(name_of(operation));
    handle().require_open(at);
    const device_guard guard(handle().device());
    const bool sends = operation == channel_operation::send;
    const std::uint64_t order = (sends ? sent_ : received_)[peer]++;
    const called_message called{
        .peer = peer, .sends = sends, .call = header_of(operation, order, view.type, view.count)};
    const auto event = note(operation, view, view.count, peer, order);
    if (group_) {
      add_to_group(called, at.sequence, stream);
      if (view.count > 0) group_->calls.push_back(enqueue);
      return {state_, event, operation, at.sequence};
    }
    check_.message(handle(), at, called);
    state_->operations.start(at.sequence);
    if (view.count > 0) handle().call(at, enqueue);
    handle().require(event->record(stream), at);
    return {state_, event, operation, at.sequence};
  }

  void begin_group() {
    if (group_) throw invalid_input("begin_group", "called twice", "end the group before");
    handle().require_open(place("group"));
    group_.emplace();
  }

  nccl_ticket end_group() {
    if (!group_) throw invalid_input("end_group", "called alone", "begin a group before");
    const nccl_message_group group = *std::exchange(group_, std::nullopt);
    const nccl_place at = place("group");
    handle().require_open(at);
    if (group.called.empty()) return {state_, nullptr, channel_operation::send, 0};
    check_.group(handle(), at, group.called);
    const device_guard guard(handle().device());
    for (std::uint64_t i = group.first; i < sequence_; ++i) state_->operations.start(i);
    if (!group.calls.empty())
      handle().call(at, [&](ncclComm_t comm) {
        nccl_group messages;
        for (const auto& each : group.calls) messages.add(each(comm));
        return messages.end();
      });
    handle().require(group.event->record(group.stream), at);
    return {state_, group.event, channel_operation::send, sequence_ - 1};
  }

 private:
  /// Records a call and makes the event that will be behind it.
  [[nodiscard]] std::shared_ptr<nccl_event> note(channel_operation operation,
                                                 const_tensor_view view, std::size_t count,
                                                 std::optional<std::uint64_t> peer,
                                                 std::uint64_t order,
                                                 std::optional<reduction> how = {}) {
    const flight_entry entry{.sequence = sequence_,
                             .operation = operation,
                             .type = view.type,
                             .count = count,
                             .bytes = view.bytes(),
                             .peer = peer,
                             .how = how,
                             .order = order};
    const auto event = group_ && group_->event ? group_->event : make_event(name_of(operation));
    if (group_) group_->event = event;
    state_->operations.add(entry, event);
    ++sequence_;
    return event;
  }

  [[nodiscard]] std::shared_ptr<nccl_event> make_event(std::string_view operation) {
    cudaEvent_t event = nullptr;
    handle().require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), place(operation));
    return std::make_shared<nccl_event>(event, handle().device());
  }

  void add_to_group(const called_message& called, std::uint64_t sequence, cudaStream_t stream) {
    if (group_->called.empty()) group_->first = sequence;
    group_->stream = stream;
    group_->called.push_back(called);
  }

  void require_one_stream(cudaStream_t stream) const {
    if (!group_->called.empty() && stream != group_->stream)
      throw invalid_input("stream", "another one", "messages of a group have the same stream");
  }

  std::shared_ptr<nccl_channel_state> state_;
  std::uint64_t sequence_ = 0;
  std::uint64_t collectives_ = 0;
  std::map<std::size_t, std::uint64_t> sent_ = {};      // messages by peer
  std::map<std::size_t, std::uint64_t> received_ = {};  // messages by peer
  nccl_call_check check_ = {};
  std::optional<nccl_message_group> group_ = {};
};

}  // namespace omnibal::inline v0::detail
