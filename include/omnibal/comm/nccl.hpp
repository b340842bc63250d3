// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator over NCCL, whose ranks are GPUs. Include it only when the target omnibal::nccl is
/// linked; needs NCCL 2.18 or newer.
///
/// NCCL waits forever for a missing rank. This communicator never blocks inside NCCL: every wait
/// has a deadline, after which the communicator is aborted and the error names rank, operation,
/// sequence number and NCCL's last error. NCCL does not compare what ranks call: without
/// check_over(), ranks that differ in an operation or a size reach the deadline, or get wrong
/// bytes. Control belongs to threads or MPI where there is one of them; tensors go through
/// nccl_channel.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/nccl_calls.hpp>
#include <omnibal/comm/detail/nccl_device.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/detail/nccl_host_copies.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/nccl_group.hpp>
#include <omnibal/comm/nccl_id.hpp>
#include <omnibal/comm/nccl_set.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>

namespace omnibal::inline v0 {

struct nccl_communicator_options {
  /// How long to wait for NCCL and for the device before the communicator is aborted: 0 or more,
  /// max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// How long NCCL may take to abort; after that the process ends with a message, its device lost.
  std::chrono::milliseconds abort_deadline = std::chrono::seconds(10);
  /// Communicators of this rank that fail together; those that are split off join it.
  std::shared_ptr<nccl_communicator_set> set = {};
};

/// One rank of an NCCL communicator, which it owns, on the device that is current at construction.
/// Destroyed while an exception passes, it aborts; otherwise it waits for the other ranks.
///
/// The `enqueue_` operations take device memory and return when the work is enqueued on the stream;
/// wait() waits for it with the deadline. The `_bytes` operations take host memory and block; with
/// them this class models communicator. They are for counts and plans, not for bulk data.
class nccl_communicator {
 public:
  /// To be called by all ranks with the same id and size. Throws invalid_input unless rank < size
  /// and for a negative deadline, communication_error when the ranks do not find each other.
  nccl_communicator(const ncclUniqueId& id, std::size_t rank, std::size_t size,
                    const nccl_communicator_options& options = {})
      : rank_(rank), size_(size) {
    detail::require_nccl_rank(rank, size);
    require_waiting_time("deadline", options.deadline);
    require_waiting_time("abort_deadline", options.abort_deadline);
    ncclConfig_t config = detail::nccl_configuration();
    ncclComm_t made = nullptr;
    const ncclResult_t result =
        ncclCommInitRankConfig(&made, detail::to_int(size), id, detail::to_int(rank), &config);
    handle_ =
        detail::nccl_handle(made, true, {options.deadline, options.abort_deadline, options.set});
    handle_.settle(result, place("init"));
    handle_.require(copies_.open(), place("init"));
    handle_.join_set();
  }
  nccl_communicator(nccl_communicator&& other) noexcept = default;
  nccl_communicator& operator=(nccl_communicator&&) = delete;
  ~nccl_communicator() = default;

  /// Checked mode, as of nccl_channel: ranks that differ all get an error that says what each
  /// called, before NCCL sees the operation. `control` has the same ranks and outlives this.
  template <communicator Communicator>
  void check_over(Communicator& control) {
    check_.open(control, rank_, size_);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// For NCCL calls that have no wrapper here; null once the communicator was aborted.
  [[nodiscard]] ncclComm_t handle() const noexcept { return handle_.get(); }

  /// To be called by all ranks: those that pass the same color (≥ 0) form a new communicator,
  /// ordered by key. A rank that passes no color gets std::nullopt.
  [[nodiscard]] std::optional<nccl_communicator> split(std::optional<int> color, int key) {
    detail::require_color(color);
    ncclConfig_t config = detail::nccl_configuration();
    ncclComm_t made = nullptr;
    detail::nccl_handle child;
    const detail::nccl_place at = place("split");
    handle_.call(at, [&](ncclComm_t comm) {
      const ncclResult_t result =
          ncclCommSplit(comm, color.value_or(NCCL_SPLIT_NOCOLOR), key, &made, &config);
      child = detail::nccl_handle(made, true, handle_.limits());
      return result;
    });
    detail::nccl_handle::settle_child(child, at);
    ++sequence_;
    if (!color) return std::nullopt;
    return nccl_communicator(std::move(child));
  }

  /// Ends this rank's operations, and those on all communicators of its set; those of other ranks
  /// end at their deadlines. From any thread.
  void abort(std::string_view reason) noexcept { handle_.abort(reason); }

  /// Copies the root's device memory to that of all ranks. Sizes must be equal.
  void enqueue_broadcast(std::span<std::byte> buffer, std::size_t root, cudaStream_t stream) {
    detail::require_rank("root", root, size_);
    compare(channel_operation::broadcast, buffer.size(), root);
    collective("broadcast", [&](ncclComm_t comm) {
      return ncclBroadcast(buffer.data(), buffer.data(), buffer.size(), ncclInt8,
                           detail::to_int(root), comm, stream);
    });
  }

  /// Gathers the device memory of all ranks, in rank order, `counts[r]` bytes from rank r; counts
  /// may be zero.
  void enqueue_all_gather(std::span<const std::byte> sent, std::span<std::byte> received,
                          std::span<const std::size_t> counts, cudaStream_t stream) {
    detail::require_all_gather(sent, received, counts, rank_, size_);
    compare(channel_operation::all_gather, received.size(), {}, {.of_all = counts});
    if (detail::are_equal(counts))
      return collective("all_gather", [&](ncclComm_t comm) {
        return ncclAllGather(sent.data(), received.data(), sent.size(), ncclInt8, comm, stream);
      });
    exchange("all_gather",
             {.sent = view_of(sent), .received = view_of(received), .received_counts = counts},
             stream);
  }

  /// Sends one part of device memory to each rank and receives the parts sent to this one; sizes
  /// may be zero.
  void enqueue_all_to_all(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                          std::span<std::byte> received,
                          std::span<const std::size_t> received_counts, cudaStream_t stream) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size_);
    detail::require_own_part(sent_counts, received_counts, rank_);
    compare(channel_operation::all_to_all, 0, {},
            {.sent = sent_counts, .received = received_counts});
    exchange("all_to_all",
             {.sent = view_of(sent),
              .sent_counts = sent_counts,
              .received = view_of(received),
              .received_counts = received_counts},
             stream);
  }

  /// Reduces `count` values of device memory over the ranks; `received` may equal `sent`. In
  /// checked mode types and reductions are not compared.
  void enqueue_all_reduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                          ncclRedOp_t combine, cudaStream_t stream) {
    compare(channel_operation::all_reduce, count);
    collective("all_reduce", [&](ncclComm_t comm) {
      return ncclAllReduce(sent, received, count, type, combine, comm, stream);
    });
  }

  /// Enqueues device memory for another rank.
  void enqueue_send(std::span<const std::byte> sent, std::size_t to, cudaStream_t stream) {
    detail::require_peer("to", to, rank_, size_);
    handle_.require_open(place("send"));
    compare_message(channel_operation::send, sent.size(), to);
    if (sent.empty()) return;
    handle_.call(place("send"), [&](ncclComm_t comm) {
      return ncclSend(sent.data(), sent.size(), ncclInt8, detail::to_int(to), comm, stream);
    });
  }

  void enqueue_receive(std::span<std::byte> received, std::size_t from, cudaStream_t stream) {
    detail::require_peer("from", from, rank_, size_);
    handle_.require_open(place("receive"));
    compare_message(channel_operation::receive, received.size(), from);
    if (received.empty()) return;
    handle_.call(place("receive"), [&](ncclComm_t comm) {
      return ncclRecv(received.data(), received.size(), ncclInt8, detail::to_int(from), comm,
                      stream);
    });
  }

  /// Blocks until all work on the stream has ended. When it does not end by the deadline, or NCCL
  /// reports an error, aborts the communicator and throws communication_error.
  void wait(cudaStream_t stream, std::string_view operation = "wait") {
    handle_.wait(stream, place(operation));
  }

  void send_bytes(std::span<const std::byte> sent, std::size_t to) {
    detail::require_peer("to", to, rank_, size_);
    const auto device = copies_.stage(handle_, place("send"), sent.size());
    copies_.to_device(handle_, place("send"), sent, device);
    enqueue_send(device, to, copies_.stream());
    wait(copies_.stream(), "send");
  }

  void receive_bytes(std::span<std::byte> received, std::size_t from) {
    detail::require_peer("from", from, rank_, size_);
    const auto device = copies_.stage(handle_, place("receive"), received.size());
    enqueue_receive(device, from, copies_.stream());
    wait(copies_.stream(), "receive");
    copies_.to_host(handle_, place("receive"), device, received);
  }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size_);
    const auto device = copies_.stage(handle_, place("broadcast"), buffer.size());
    if (rank_ == root) copies_.to_device(handle_, place("broadcast"), buffer, device);
    enqueue_broadcast(device, root, copies_.stream());
    wait(copies_.stream(), "broadcast");
    copies_.to_host(handle_, place("broadcast"), device, buffer);
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank_, size_);
    on_device("all_gather", sent, received, [&](auto device_sent, auto device_received) {
      enqueue_all_gather(device_sent, device_received, counts, copies_.stream());
    });
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size_);
    on_device("all_to_all", sent, received, [&](auto device_sent, auto device_received) {
      enqueue_all_to_all(device_sent, sent_counts, device_received, received_counts,
                         copies_.stream());
    });
  }

 private:
  /// Takes ownership of the communicator that a split created.
  explicit nccl_communicator(detail::nccl_handle child) : handle_(std::move(child)) {
    int rank = 0;
    int size = 0;
    handle_.call(place("split"), [&](ncclComm_t comm) { return ncclCommUserRank(comm, &rank); });
    handle_.call(place("split"), [&](ncclComm_t comm) { return ncclCommCount(comm, &size); });
    rank_ = static_cast<std::size_t>(rank);
    size_ = static_cast<std::size_t>(size);
    handle_.require(copies_.open(), place("split"));
  }

  [[nodiscard]] detail::nccl_place place(std::string_view operation) const {
    return {rank_, operation, sequence_};
  }

  template <typename Call>
  void collective(std::string_view operation, const Call& call) {
    handle_.call(place(operation), call);
    ++sequence_;
  }

  void exchange(std::string_view operation, const detail::nccl_parts& parts, cudaStream_t stream) {
    const detail::device_guard guard(handle_.device());
    handle_.require_open(place(operation));
    handle_.require(detail::copy_own_part(parts, rank_, stream), place(operation));
    collective(operation,
               [&](ncclComm_t comm) { return detail::exchange_parts(parts, rank_, comm, stream); });
  }

  /// Calls body on copies of host memory on the device.
  template <typename Body>
  void on_device(std::string_view operation, std::span<const std::byte> sent,
                 std::span<std::byte> received, const Body& body) {
    const auto device = copies_.stage(handle_, place(operation), sent.size() + received.size());
    const auto device_sent = device.first(sent.size());
    const auto device_received = device.subspan(sent.size());
    copies_.to_device(handle_, place(operation), sent, device_sent);
    body(device_sent, device_received);
    wait(copies_.stream(), operation);
    copies_.to_host(handle_, place(operation), device_received, received);
  }

  void compare(channel_operation operation, std::size_t count,
               std::optional<std::uint64_t> root = {}, const detail::counts_by_rank& counts = {}) {
    handle_.require_open(place(name_of(operation)));
    check_.collective(handle_, place(name_of(operation)),
                      detail::header_of(operation, sequence_, element_type::byte, count), root,
                      counts);
  }

  void compare_message(channel_operation operation, std::size_t count, std::size_t peer) {
    check_.message(handle_, place(name_of(operation)),
                   {.peer = peer,
                    .sends = operation == channel_operation::send,
                    .call = detail::header_of(operation, 0, element_type::byte, count)});
  }

  detail::nccl_host_copies copies_;  // before the handle: freed once the handle is closed
  detail::nccl_handle handle_;
  std::size_t rank_ = 0;
  std::size_t size_ = 1;
  std::uint64_t sequence_ = 0;
  detail::nccl_call_check check_;
};

}  // namespace omnibal::inline v0
