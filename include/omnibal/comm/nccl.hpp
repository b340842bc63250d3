// SPDX-License-Identifier: Apache-2.0
/// @file
/// A communicator over NCCL, whose ranks are GPUs. Include it only when the target omnibal::nccl is
/// linked; needs NCCL 2.18 or newer.
///
/// NCCL waits forever for a missing rank. This communicator never blocks inside NCCL: every wait
/// has a deadline, after which the communicator is aborted and the error names rank, operation,
/// sequence number and NCCL's last error. NCCL does not compare what ranks call: ranks that differ
/// in an operation or a size reach the deadline, or get wrong bytes. Control belongs to threads or
/// MPI where there is one of them; tensors go through nccl_channel.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct nccl_communicator_options {
  /// How long to wait for NCCL and for the device before the communicator is aborted: 0 or more,
  /// max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
};

/// The id by which ranks find each other: created by one rank and sent to all others by other
/// means. Throws communication_error when NCCL cannot create one.
[[nodiscard]] inline ncclUniqueId make_nccl_id() {
  ncclUniqueId id{};
  if (const ncclResult_t result = ncclGetUniqueId(&id); result != ncclSuccess)
    throw communication_error(0, "make_nccl_id", 0, ncclGetErrorString(result));
  return id;
}

/// Groups NCCL calls into one operation, which starts at end(). Stores the first failure, since an
/// exception between start and end would leave NCCL waiting for the remaining calls.
class nccl_group {
 public:
  nccl_group() { add(ncclGroupStart()); }
  nccl_group(nccl_group&&) = delete;
  nccl_group& operator=(nccl_group&&) = delete;
  ~nccl_group() {
    if (open_) ncclGroupEnd();
  }

  void add(ncclResult_t result) noexcept {
    if (result_ == ncclSuccess || result_ == ncclInProgress) result_ = result;
  }

  /// Starts the operation; returns the first failure of the group, or success or ncclInProgress.
  [[nodiscard]] ncclResult_t end() noexcept {
    open_ = false;
    add(ncclGroupEnd());
    return result_;
  }

 private:
  ncclResult_t result_ = ncclSuccess;
  bool open_ = true;
};

namespace detail {

struct destroy_stream {
  void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};

/// A stream and growing device memory, through which messages in host memory are sent. The memory
/// is allocated in the order of the stream: cudaMalloc may wait for a kernel that waits for this
/// rank.
class device_staging {
 public:
  device_staging() = default;
  device_staging(device_staging&& other) noexcept
      : stream_(std::move(other.stream_)),
        memory_(std::exchange(other.memory_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  device_staging& operator=(device_staging&&) = delete;
  ~device_staging() {
    if (memory_ != nullptr) cudaFreeAsync(memory_, stream_.get());
  }

  [[nodiscard]] cudaStream_t stream() const noexcept { return stream_.get(); }
  [[nodiscard]] std::byte* memory() const noexcept { return static_cast<std::byte*>(memory_); }

  /// Allocates at least `bytes`; the previous contents are lost.
  [[nodiscard]] cudaError_t reserve(std::size_t bytes) {
    if (!stream_)
      if (const auto error = create_stream(); error != cudaSuccess) return error;
    if (bytes <= capacity_) return cudaSuccess;
    if (memory_ != nullptr) cudaFreeAsync(std::exchange(memory_, nullptr), stream_.get());
    capacity_ = 0;
    if (const auto error = cudaMallocAsync(&memory_, bytes, stream_.get()); error != cudaSuccess)
      return error;
    capacity_ = bytes;
    return cudaSuccess;
  }

 private:
  [[nodiscard]] cudaError_t create_stream() {
    cudaStream_t created = nullptr;
    const auto error = cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking);
    stream_.reset(created);
    return error;
  }

  std::unique_ptr<CUstream_st, destroy_stream> stream_;
  void* memory_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace detail

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
      : rank_(rank), size_(size), options_(options) {
    if (size > INT_MAX) throw invalid_input("size", size, "must fit an int");
    detail::require_rank("rank", rank, size);
    require_waiting_time("deadline", options.deadline);
    ncclConfig_t config = non_blocking();
    ncclComm_t handle = nullptr;
    const ncclResult_t result =
        ncclCommInitRankConfig(&handle, to_int(size), id, to_int(rank), &config);
    handle_ = detail::nccl_handle(handle, true, options.deadline);
    assign(result, "init");
    require(staging_.reserve(first_staging), "init");
  }
  nccl_communicator(nccl_communicator&& other) noexcept = default;
  nccl_communicator& operator=(nccl_communicator&&) = delete;
  ~nccl_communicator() = default;

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// For NCCL calls that have no wrapper here; null once the communicator was aborted.
  [[nodiscard]] ncclComm_t handle() const noexcept { return handle_.get(); }

  /// To be called by all ranks: those that pass the same color (≥ 0) form a new communicator,
  /// ordered by key. A rank that passes no color gets std::nullopt.
  [[nodiscard]] std::optional<nccl_communicator> split(std::optional<int> color, int key) {
    if (color && *color < 0) throw invalid_input("color", *color, "must not be negative");
    require_open("split");
    const detail::device_guard guard(handle_.device());
    ncclConfig_t config = non_blocking();
    ncclComm_t made = nullptr;
    const ncclResult_t result =
        ncclCommSplit(handle_.get(), color.value_or(NCCL_SPLIT_NOCOLOR), key, &made, &config);
    detail::nccl_handle child(made, true, options_.deadline);
    assign(result, "split");
    handle_.settle_child(child, rank_, sequence_);
    ++sequence_;
    if (!color) return std::nullopt;
    return nccl_communicator(std::move(child), *this);
  }

  /// Ends this rank's operations; those of other ranks end at their deadlines.
  void abort(std::string_view reason) noexcept { handle_.abort(reason); }

  /// Copies the root's device memory to that of all ranks. Sizes must be equal.
  void enqueue_broadcast(std::span<std::byte> buffer, std::size_t root, cudaStream_t stream) {
    detail::require_rank("root", root, size_);
    require_open("broadcast");
    const detail::device_guard guard(handle_.device());
    assign(ncclBroadcast(buffer.data(), buffer.data(), buffer.size(), ncclInt8, to_int(root),
                         handle_.get(), stream),
           "broadcast");
    ++sequence_;
  }

  /// Gathers the device memory of all ranks, in rank order, `counts[r]` bytes from rank r; counts
  /// may be zero.
  void enqueue_all_gather(std::span<const std::byte> sent, std::span<std::byte> received,
                          std::span<const std::size_t> counts, cudaStream_t stream) {
    detail::require_all_gather(sent, received, counts, rank_, size_);
    require_open("all_gather");
    const detail::device_guard guard(handle_.device());
    const bool equal = std::ranges::all_of(counts, [&](auto count) { return count == counts[0]; });
    assign(equal ? ncclAllGather(sent.data(), received.data(), sent.size(), ncclInt8, handle_.get(),
                                 stream)
                 : exchange(sent, {}, received, counts, stream),
           "all_gather");
    ++sequence_;
  }

  /// Sends one part of device memory to each rank and receives the parts sent to this one; sizes
  /// may be zero.
  void enqueue_all_to_all(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                          std::span<std::byte> received,
                          std::span<const std::size_t> received_counts, cudaStream_t stream) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size_);
    require_open("all_to_all");
    const detail::device_guard guard(handle_.device());
    assign(exchange(sent, sent_counts, received, received_counts, stream), "all_to_all");
    ++sequence_;
  }

  /// Reduces `count` values of device memory over the ranks; `received` may equal `sent`.
  void enqueue_all_reduce(const void* sent, void* received, std::size_t count, ncclDataType_t type,
                          ncclRedOp_t combine, cudaStream_t stream) {
    require_open("all_reduce");
    const detail::device_guard guard(handle_.device());
    assign(ncclAllReduce(sent, received, count, type, combine, handle_.get(), stream),
           "all_reduce");
    ++sequence_;
  }

  /// Blocks until all work on the stream has ended. When it does not end by the deadline, or NCCL
  /// reports an error, aborts the communicator and throws communication_error.
  void wait(cudaStream_t stream, std::string_view operation = "wait") {
    const detail::device_guard guard(handle_.device());
    handle_.wait(stream, rank_, operation, sequence_);
  }

  /// Enqueues device memory for another rank.
  void enqueue_send(std::span<const std::byte> sent, std::size_t to, cudaStream_t stream) {
    detail::require_peer("to", to, rank_, size_);
    require_open("send");
    const detail::device_guard guard(handle_.device());
    if (!sent.empty())
      assign(ncclSend(sent.data(), sent.size(), ncclInt8, to_int(to), handle_.get(), stream),
             "send");
  }

  void enqueue_receive(std::span<std::byte> received, std::size_t from, cudaStream_t stream) {
    detail::require_peer("from", from, rank_, size_);
    require_open("receive");
    const detail::device_guard guard(handle_.device());
    if (!received.empty())
      assign(
          ncclRecv(received.data(), received.size(), ncclInt8, to_int(from), handle_.get(), stream),
          "receive");
  }

  void send_bytes(std::span<const std::byte> sent, std::size_t to) {
    detail::require_peer("to", to, rank_, size_);
    const auto device = stage(sent.size(), "send");
    copy(sent, device, "send");
    enqueue_send(device, to, staging_.stream());
    wait(staging_.stream(), "send");
  }

  void receive_bytes(std::span<std::byte> received, std::size_t from) {
    detail::require_peer("from", from, rank_, size_);
    const auto device = stage(received.size(), "receive");
    enqueue_receive(device, from, staging_.stream());
    wait(staging_.stream(), "receive");
    copy(device, received, "receive");
  }

  void broadcast_bytes(std::span<std::byte> buffer, std::size_t root) {
    detail::require_rank("root", root, size_);
    const auto device = stage(buffer.size(), "broadcast");
    if (rank_ == root) copy(buffer, device, "broadcast");
    enqueue_broadcast(device, root, staging_.stream());
    wait(staging_.stream(), "broadcast");
    copy(device, buffer, "broadcast");
  }

  void all_gather_bytes(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts) {
    detail::require_all_gather(sent, received, counts, rank_, size_);
    const auto device = stage(sent.size() + received.size(), "all_gather");
    const auto device_sent = device.first(sent.size());
    const auto device_received = device.subspan(sent.size());
    copy(sent, device_sent, "all_gather");
    enqueue_all_gather(device_sent, device_received, counts, staging_.stream());
    wait(staging_.stream(), "all_gather");
    copy(device_received, received, "all_gather");
  }

  void all_to_all_bytes(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received,
                        std::span<const std::size_t> received_counts) {
    detail::require_all_to_all(sent, sent_counts, received, received_counts, size_);
    const auto device = stage(sent.size() + received.size(), "all_to_all");
    const auto device_sent = device.first(sent.size());
    const auto device_received = device.subspan(sent.size());
    copy(sent, device_sent, "all_to_all");
    enqueue_all_to_all(device_sent, sent_counts, device_received, received_counts,
                       staging_.stream());
    wait(staging_.stream(), "all_to_all");
    copy(device_received, received, "all_to_all");
  }

 private:
  static constexpr std::size_t first_staging = std::size_t{64} << 10U;

  /// Takes ownership of the communicator that a split created.
  nccl_communicator(detail::nccl_handle child, const nccl_communicator& parent)
      : handle_(std::move(child)),
        rank_(parent.rank_),
        size_(parent.size_),
        options_(parent.options_) {
    int rank = 0;
    int size = 0;
    assign(ncclCommUserRank(handle_.get(), &rank), "split");
    assign(ncclCommCount(handle_.get(), &size), "split");
    rank_ = static_cast<std::size_t>(rank);
    size_ = static_cast<std::size_t>(size);
    require(staging_.reserve(first_staging), "split");
  }

  [[nodiscard]] static int to_int(std::size_t number) noexcept { return static_cast<int>(number); }

  [[nodiscard]] static ncclConfig_t non_blocking() noexcept {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    return config;
  }

  /// Sends and receives as one grouped operation. Without counts all of `sent` goes to every rank.
  [[nodiscard]] ncclResult_t exchange(std::span<const std::byte> sent,
                                      std::span<const std::size_t> sent_counts,
                                      std::span<std::byte> received,
                                      std::span<const std::size_t> received_counts,
                                      cudaStream_t stream) {
    nccl_group group;
    const std::byte* source = sent.data();
    std::byte* target = received.data();
    for (std::size_t r = 0; r < size_; ++r) {
      const std::size_t count = sent_counts.empty() ? sent.size() : sent_counts[r];
      if (r == rank_)
        copy_own_part({source, count}, {target, received_counts[r]}, stream);
      else if (count > 0)
        group.add(ncclSend(source, count, ncclInt8, to_int(r), handle_.get(), stream));
      if (!sent_counts.empty()) source += count;
      if (r != rank_ && received_counts[r] > 0)
        group.add(ncclRecv(target, received_counts[r], ncclInt8, to_int(r), handle_.get(), stream));
      target += received_counts[r];
    }
    return group.end();
  }

  void copy_own_part(std::span<const std::byte> from, std::span<std::byte> to,
                     cudaStream_t stream) {
    if (from.size() != to.size())
      throw communication_error(rank_, "exchange", sequence_,
                                "this rank sends itself " + std::to_string(from.size()) +
                                    " bytes and expects " + std::to_string(to.size()));
    if (from.empty() || from.data() == to.data()) return;
    require(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDefault, stream),
            "exchange");
  }

  void assign(ncclResult_t result, std::string_view operation) {
    handle_.settle(result, rank_, operation, sequence_);
  }

  void require_open(std::string_view operation) const {
    handle_.require_open(rank_, operation, sequence_);
  }

  void require(cudaError_t error, std::string_view operation) {
    handle_.require(error, rank_, operation, sequence_);
  }

  [[nodiscard]] std::span<std::byte> stage(std::size_t bytes, std::string_view operation) {
    require_open(operation);
    const detail::device_guard guard(handle_.device());
    require(staging_.reserve(bytes), operation);
    return {staging_.memory(), bytes};
  }

  /// Copies between host and device. Precondition: the stream has no unfinished NCCL operation,
  /// since the copy would block behind a collective that never ends.
  void copy(std::span<const std::byte> from, std::span<std::byte> to, std::string_view operation) {
    if (from.empty()) return;
    const detail::device_guard guard(handle_.device());
    const auto stream = staging_.stream();
    require(cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDefault, stream),
            operation);
    require(cudaStreamSynchronize(stream), operation);
  }

  detail::device_staging staging_;  // before the handle: freed once the handle is closed
  detail::nccl_handle handle_;
  std::size_t rank_;
  std::size_t size_;
  nccl_communicator_options options_;
  std::uint64_t sequence_ = 0;
};

}  // namespace omnibal::inline v0
