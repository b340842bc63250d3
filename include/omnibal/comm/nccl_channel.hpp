// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor_channel over NCCL, whose ranks are GPUs and whose memory is the device's. Include it
/// only when the target omnibal::nccl is linked; needs NCCL 2.18 or newer.
///
///     nccl_channel channel(exchange_nccl_id(ranks), ranks.rank(), ranks.size());
///     channel.all_reduce(gradients, reduction::sum, compute_stream).after(optimizer_stream);
///
/// Operations are enqueued on the caller's stream and return at once; a ticket is an event behind
/// them. NCCL neither compares what ranks call nor ends a wait: a ticket's deadline aborts the
/// channel, and check_over() lets ranks compare their calls ahead.
#pragma once

#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/call_check.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/detail/nccl_ticket.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/nccl.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct nccl_channel_options {
  /// Of every call of NCCL, and of a ticket whose wait() has no deadline of its own.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// In the log.
  std::string name = "channel";
};

/// The id of a new channel, made by rank 0 and sent to all ranks. Blocks.
template <communicator Communicator>
[[nodiscard]] ncclUniqueId exchange_nccl_id(Communicator& ranks) {
  ncclUniqueId id{};
  if (ranks.rank() == 0) id = make_nccl_id();
  ranks.broadcast_bytes(std::as_writable_bytes(std::span(&id, 1)), 0);
  return id;
}

/// The same by way of a file that all ranks can read and that does not exist yet: rank 0 writes it
/// whole, the others wait for it. Throws communication_error at the deadline, and when the file
/// exists already on rank 0: the others might have read the id of another run. Remove it
/// afterwards.
[[nodiscard]] inline ncclUniqueId exchange_nccl_id(
    const std::filesystem::path& file, std::size_t rank,
    std::chrono::milliseconds deadline = std::chrono::minutes(5)) {
  ncclUniqueId id{};
  if (rank == 0) {
    if (std::filesystem::exists(file))
      throw communication_error(rank, "exchange_nccl_id", 0, file.string() + " exists already");
    id = make_nccl_id();
    const std::filesystem::path part = file.string() + ".part";
    std::ofstream(part, std::ios::binary).write(reinterpret_cast<const char*>(&id), sizeof(id));
    std::filesystem::rename(part, file);
    return id;
  }
  const auto end = deadline_after(deadline);
  while (std::chrono::steady_clock::now() < end) {
    std::ifstream input(file, std::ios::binary);
    if (input.read(reinterpret_cast<char*>(&id), sizeof(id))) return id;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw communication_error(rank, "exchange_nccl_id", 0,
                            "rank 0 did not write " + file.string() + " within " +
                                std::to_string(deadline.count()) + " ms");
}

namespace detail {

[[nodiscard]] inline ncclDataType_t nccl_type_of(element_type type) {
  switch (type) {
    case element_type::byte: return ncclUint8;
    case element_type::bf16: return ncclBfloat16;
    case element_type::f32: return ncclFloat32;
    case element_type::f64: return ncclFloat64;
    case element_type::i64: return ncclInt64;
  }
  return ncclUint8;
}

[[nodiscard]] inline ncclRedOp_t nccl_operation_of(reduction how) {
  if (how == reduction::smallest) return ncclMin;
  return how == reduction::largest ? ncclMax : ncclSum;
}

/// By rank: those that are equal on all ranks, or what is sent and received.
struct counts_by_rank {
  std::span<const std::size_t> of_all = {};
  std::span<const std::size_t> sent = {};
  std::span<const std::size_t> received = {};
};

/// The messages of a group, which NCCL sees at its end.
struct nccl_message_group {
  std::vector<std::function<ncclResult_t(ncclComm_t)>> calls = {};
  std::vector<called_message> called = {};
  std::shared_ptr<nccl_event> event = {};  // behind the end of the group
  cudaStream_t stream = nullptr;
};

}  // namespace detail

/// One rank of a channel over NCCL, on the device that is current at construction; models
/// tensor_channel. Every call waits until NCCL has enqueued the work, so that work given to the
/// stream afterwards comes behind it; it does not wait for the work. Sums are in NCCL's order.
class nccl_channel {
 public:
  using ticket = detail::nccl_ticket;
  using stream_type = cudaStream_t;
  static constexpr memory_space space = memory_space::device;

  /// To be called by all ranks with the same id and size. Throws invalid_input unless rank < size,
  /// and communication_error when the ranks do not find each other.
  nccl_channel(const ncclUniqueId& id, std::size_t rank, std::size_t size,
               const nccl_channel_options& options = {})
      : options_(options), state_(std::make_shared<detail::nccl_channel_state>()) {
    if (size > INT_MAX) throw invalid_input("size", size, "must fit an int");
    detail::require_rank("rank", rank, size);
    ncclConfig_t config = make_config();
    ncclComm_t made = nullptr;
    const ncclResult_t result =
        ncclCommInitRankConfig(&made, to_int(size), id, to_int(rank), &config);
    adopt(detail::nccl_handle(made, true, options.deadline), rank, size);
    settle(result, "init");
  }

  /// Over a communicator that a trainer has made and will destroy after the channel. An abort ends
  /// it.
  explicit nccl_channel(ncclComm_t lent, const nccl_channel_options& options = {})
      : options_(options), state_(std::make_shared<detail::nccl_channel_state>()) {
    if (lent == nullptr) throw invalid_input("communicator", "null", "must be one of NCCL");
    adopt(detail::nccl_handle(lent, false, options.deadline), 0, 1);
    read_rank();
  }
  nccl_channel(nccl_channel&&) noexcept = default;
  nccl_channel& operator=(nccl_channel&&) = delete;
  ~nccl_channel() {
    if (!state_) return;
    state_->handle.close();
    state_->is_closed = true;
  }

  /// Checked mode: from now on, ranks send each other 16 bytes over `control` before each
  /// operation, with what they call, its type and counts. Where they differ, all get an error
  /// before NCCL sees the operation; the channel and the control are aborted. Called by all ranks;
  /// `control` has the same ranks, is used for nothing else meanwhile, and outlives the channel. An
  /// operation then waits for the other ranks, so checked mode is for finding out why a program
  /// hangs. Channels that are split off are not checked. Throws invalid_input for a control of
  /// other ranks.
  template <communicator Communicator>
  void check_over(Communicator& control) {
    if (control.rank() != rank() || control.size() != size())
      throw invalid_input("control", detail::on_rank(control.rank()),
                          "must have the ranks of the channel: this is " + detail::on_rank(rank()) +
                              " of " + std::to_string(size()));
    check_ = detail::call_check(control);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return state_->rank; }
  [[nodiscard]] std::size_t size() const noexcept { return state_->size; }
  /// Null once the channel was aborted.
  [[nodiscard]] ncclComm_t handle() const noexcept { return state_->handle.get(); }

  ticket send(const_tensor_view sent, std::size_t to, cudaStream_t stream) {
    detail::require_peer("to", to, rank(), size());
    return message(channel_operation::send, sent, to, sent_[to]++, stream, [=](ncclComm_t handle) {
      return ncclSend(sent.data, sent.count, detail::nccl_type_of(sent.type), to_int(to), handle,
                      stream);
    });
  }

  ticket receive(tensor_view received, std::size_t from, cudaStream_t stream) {
    detail::require_peer("from", from, rank(), size());
    return message(channel_operation::receive, received, from, received_[from]++, stream,
                   [=](ncclComm_t handle) {
                     return ncclRecv(received.data, received.count,
                                     detail::nccl_type_of(received.type), to_int(from), handle,
                                     stream);
                   });
  }

  ticket all_reduce(tensor_view values, reduction how, cudaStream_t stream) {
    detail::require_reducible(values.type);
    return collective(channel_operation::all_reduce, values, values.count, {}, stream, [&] {
      return ncclAllReduce(values.data, values.data, values.count,
                           detail::nccl_type_of(values.type), detail::nccl_operation_of(how),
                           handle(), stream);
    });
  }

  /// Counts that differ are one reduction per rank, in a group.
  ticket reduce_scatter(const_tensor_view sent, tensor_view received,
                        std::span<const std::size_t> counts, reduction how, cudaStream_t stream) {
    detail::require_reducible(sent.type);
    detail::require_same_type(sent, received);
    detail::require_counts("counts", counts, size(), sent.count);
    require_own_count(counts, received.count, "received");
    return collective(
        channel_operation::reduce_scatter, sent, sent.count, {}, stream,
        [&] {
          nccl_group group;
          std::size_t first = 0;
          for (std::size_t r = 0; r < size(); first += counts[r++])
            if (counts[r] > 0)
              group.add(ncclReduce(sent.part(first, counts[r]).data,
                                   r == rank() ? received.data : nullptr, counts[r],
                                   detail::nccl_type_of(sent.type), detail::nccl_operation_of(how),
                                   to_int(r), handle(), stream));
          return group.end();
        },
        {.of_all = counts});
  }

  ticket all_gather(const_tensor_view sent, tensor_view received,
                    std::span<const std::size_t> counts, cudaStream_t stream) {
    detail::require_same_type(sent, received);
    detail::require_counts("counts", counts, size(), received.count);
    require_own_count(counts, sent.count, "sent");
    return collective(channel_operation::all_gather, received, received.count, {}, stream,
                      [&] { return exchange(sent, {}, received, counts, stream); },
                      {.of_all = counts});
  }

  ticket broadcast(tensor_view values, std::size_t root, cudaStream_t stream) {
    detail::require_rank("root", root, size());
    return collective(channel_operation::broadcast, values, values.count, root, stream, [&] {
      return ncclBroadcast(values.data, values.data, values.count,
                           detail::nccl_type_of(values.type), to_int(root), handle(), stream);
    });
  }

  ticket all_to_all(const_tensor_view sent, std::span<const std::size_t> sent_counts,
                    tensor_view received, std::span<const std::size_t> received_counts,
                    cudaStream_t stream) {
    detail::require_same_type(sent, received);
    detail::require_counts("sent_counts", sent_counts, size(), sent.count);
    detail::require_counts("received_counts", received_counts, size(), received.count);
    if (sent_counts[rank()] != received_counts[rank()])
      throw invalid_input(
          "received_counts", rank(), received_counts[rank()],
          "must be what this rank sends itself, " + std::to_string(sent_counts[rank()]));
    return collective(
        channel_operation::all_to_all, sent, 0, {}, stream,
        [&] { return exchange(sent, sent_counts, received, received_counts, stream); },
        {.sent = sent_counts, .received = received_counts});
  }

  /// All messages of a group have the same stream. NCCL sees them at the end of the group.
  void begin_group() {
    if (group_) throw invalid_input("begin_group", "called twice", "end the group before");
    require_open("group");
    group_.emplace();
  }

  ticket end_group() {
    if (!group_) throw invalid_input("end_group", "called alone", "begin a group before");
    const detail::nccl_message_group group = *std::exchange(group_, std::nullopt);
    require_open("group");
    if (check_) compare("group", [&] { check_.group(group.called); });
    const detail::device_guard guard(state_->handle.device());
    nccl_group messages;
    for (const auto& each : group.calls) messages.add(each(handle()));
    settle(messages.end(), "group");
    if (group.event) require(group.event->record(group.stream), "group");
    return {state_, group.event, channel_operation::send, sequence_ == 0 ? 0 : sequence_ - 1};
  }

  [[nodiscard]] std::optional<nccl_channel> split(std::optional<int> color, int key) {
    detail::require_color(color);
    require_open("split");
    const detail::device_guard guard(state_->handle.device());
    ncclConfig_t config = make_config();
    ncclComm_t made = nullptr;
    const ncclResult_t result =
        ncclCommSplit(handle(), color.value_or(NCCL_SPLIT_NOCOLOR), key, &made, &config);
    detail::nccl_handle child(made, true, options_.deadline);
    settle(result, "split");
    state_->handle.settle_child(child, rank(), sequence_);
    if (!color) return std::nullopt;
    return nccl_channel(std::move(child), options_);
  }

  /// Ends this rank's operations; those of other ranks end at their deadlines.
  void abort(std::string_view reason) noexcept {
    state_->set_failure(reason);
    state_->handle.abort(reason);
  }

  [[nodiscard]] flight_log log() const { return state_->log(); }

  [[nodiscard]] channel_watch_point watch_point() const {
    return {.log = [state = state_] { return state->log(); },
            .oldest_unfinished = [state = state_] { return state->recorder.oldest_unfinished(); },
            .abort = [state = state_](std::string_view reason) { state->request_abort(reason); },
            .is_closed = [state = state_] { return state->is_closed.load(); }};
  }

 private:
  nccl_channel(detail::nccl_handle child, const nccl_channel_options& options)
      : options_(options), state_(std::make_shared<detail::nccl_channel_state>()) {
    adopt(std::move(child), 0, 1);
    read_rank();
  }

  void adopt(detail::nccl_handle handle, std::size_t rank, std::size_t size) {
    state_->handle = std::move(handle);
    state_->rank = rank;
    state_->size = size;
    state_->name = options_.name;
  }

  void read_rank() {
    int rank = 0;
    int size = 0;
    settle(ncclCommUserRank(handle(), &rank), "open");
    settle(ncclCommCount(handle(), &size), "open");
    state_->rank = static_cast<std::size_t>(rank);
    state_->size = static_cast<std::size_t>(size);
  }

  [[nodiscard]] static int to_int(std::size_t number) noexcept { return static_cast<int>(number); }

  [[nodiscard]] ncclConfig_t make_config() const noexcept {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    return config;
  }

  void require_open(std::string_view operation) const {
    state_->require_open(operation, sequence_);
  }

  void settle(ncclResult_t result, std::string_view operation) {
    try {
      state_->handle.settle(result, rank(), operation, sequence_);
    } catch (const communication_error& error) {
      state_->set_failure(error.what());
      throw;
    }
  }

  void require_own_count(std::span<const std::size_t> counts, std::size_t own,
                         std::string_view view) const {
    if (counts[rank()] != own)
      throw invalid_input("counts", rank(), counts[rank()],
                          "must be the count of " + std::string(view) + ", " + std::to_string(own));
  }

  std::uint64_t note(channel_operation operation, const_tensor_view view, std::size_t count,
                     std::optional<std::uint64_t> peer, std::uint64_t order) {
    require_open(name_of(operation));
    state_->recorder.issue({.sequence = sequence_,
                            .operation = operation,
                            .type = view.type,
                            .count = count,
                            .bytes = view.bytes(),
                            .peer = peer,
                            .order = order});
    return sequence_++;
  }

  template <typename Call>
  ticket collective(channel_operation operation, const_tensor_view view, std::size_t count,
                    std::optional<std::uint64_t> root, cudaStream_t stream, const Call& enqueue,
                    const detail::counts_by_rank& counts = {}) {
    if (group_)
      throw invalid_input("group", name_of(operation), "groups hold sends and receives alone");
    const std::uint64_t order = collectives_++;
    const std::uint64_t sequence = note(operation, view, count, root, order);
    if (check_) compare_collective(header_of(operation, order, view, count), root, counts);
    return call(operation, sequence, stream, true, enqueue);
  }

  // ---- checked mode ----

  [[nodiscard]] static detail::call_header header_of(channel_operation operation,
                                                     std::uint64_t order, const_tensor_view view,
                                                     std::size_t count) {
    return {.order = static_cast<std::uint32_t>(order),
            .operation = operation,
            .type = view.type,
            .count = count};
  }

  void compare_collective(detail::call_header called, std::optional<std::uint64_t> root,
                          const detail::counts_by_rank& counts) {
    if (root) called.root = static_cast<std::uint16_t>(*root);
    if (!counts.of_all.empty()) called.count = detail::hash_of(counts.of_all);
    std::vector<detail::call_header> own(size(), called);
    std::vector<detail::call_header> expected(size(), called);
    for (std::size_t r = 0; r < counts.sent.size(); ++r) {
      own[r].count = counts.sent[r];
      expected[r].count = counts.received[r];
    }
    compare(name_of(called.operation), [&] { check_.collective(own, expected); });
  }

  /// Ranks that differ never reach NCCL.
  template <typename Compare>
  void compare(std::string_view operation, const Compare& compare_calls) {
    try {
      compare_calls();
    } catch (const std::runtime_error& difference) {
      state_->set_failure(difference.what());
      state_->handle.fail(difference.what(), rank(), operation, sequence_ - 1);
    }
  }

  // ---- calls of NCCL ----

  /// At once, or with its group.
  template <typename Call>
  ticket message(channel_operation operation, const_tensor_view view, std::size_t peer,
                 std::uint64_t order, cudaStream_t stream, const Call& enqueue) {
    const detail::called_message called{.peer = peer,
                                        .sends = operation == channel_operation::send,
                                        .call = header_of(operation, order, view, view.count)};
    if (group_) require_one_stream(stream);
    const std::uint64_t sequence = note(operation, view, view.count, peer, order);
    if (!group_) {
      if (check_) compare(name_of(operation), [&] { check_.message(called); });
      return call(operation, sequence, stream, view.count > 0, [&] { return enqueue(handle()); });
    }
    state_->recorder.start(sequence);
    if (!group_->event) group_->event = make_event();
    group_->stream = stream;
    group_->called.push_back(called);
    if (view.count > 0) group_->calls.push_back(enqueue);
    return {state_, group_->event, operation, sequence};
  }

  void require_one_stream(cudaStream_t stream) const {
    if (group_->event && stream != group_->stream)
      throw invalid_input("stream", "another one", "messages of a group have the same stream");
  }

  /// Enqueues the work and an event behind it.
  template <typename Call>
  ticket call(channel_operation operation, std::uint64_t sequence, cudaStream_t stream,
              bool is_work, const Call& enqueue) {
    const detail::device_guard guard(state_->handle.device());
    state_->recorder.start(sequence);
    if (is_work) settle(enqueue(), name_of(operation));
    const std::shared_ptr<detail::nccl_event> event = make_event();
    require(event->record(stream), name_of(operation));
    return {state_, event, operation, sequence};
  }

  [[nodiscard]] std::shared_ptr<detail::nccl_event> make_event() {
    const detail::device_guard guard(state_->handle.device());
    cudaEvent_t event = nullptr;
    require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
    return std::make_shared<detail::nccl_event>(event, state_->handle.device());
  }

  void require(cudaError_t error, std::string_view operation) {
    state_->handle.require(error, rank(), operation, sequence_);
  }

  /// Sends and receives as one grouped operation; without counts all of `sent` goes to every rank.
  /// The part for this rank is copied.
  [[nodiscard]] ncclResult_t exchange(const_tensor_view sent,
                                      std::span<const std::size_t> sent_counts,
                                      tensor_view received,
                                      std::span<const std::size_t> received_counts,
                                      cudaStream_t stream) {
    nccl_group group;
    const ncclDataType_t type = detail::nccl_type_of(sent.type);
    std::size_t first_sent = 0;
    std::size_t first_received = 0;
    for (std::size_t r = 0; r < size(); ++r) {
      const auto source = sent_counts.empty() ? sent : sent.part(first_sent, sent_counts[r]);
      const auto target = received.part(first_received, received_counts[r]);
      if (r == rank()) copy(source, target, stream);
      if (r != rank() && source.count > 0)
        group.add(ncclSend(source.data, source.count, type, to_int(r), handle(), stream));
      if (r != rank() && target.count > 0)
        group.add(ncclRecv(target.data, target.count, type, to_int(r), handle(), stream));
      first_sent += source.count;
      first_received += target.count;
    }
    return group.end();
  }

  void copy(const_tensor_view from, tensor_view to, cudaStream_t stream) {
    if (from.count == 0 || from.data == to.data) return;
    require(cudaMemcpyAsync(to.data, from.data, from.bytes(), cudaMemcpyDefault, stream), "copy");
  }

  nccl_channel_options options_;
  std::shared_ptr<detail::nccl_channel_state> state_;
  std::uint64_t sequence_ = 0;
  std::uint64_t collectives_ = 0;
  std::map<std::size_t, std::uint64_t> sent_;      // messages by peer
  std::map<std::size_t, std::uint64_t> received_;  // messages by peer
  detail::call_check check_;
  std::optional<detail::nccl_message_group> group_;
};

}  // namespace omnibal::inline v0
