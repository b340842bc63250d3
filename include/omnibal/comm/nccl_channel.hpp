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
/// channel, a channel_watchdog does so where nobody waits for a ticket, and check_over() lets ranks
/// compare their calls ahead.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/channel_part.hpp>
#include <omnibal/comm/detail/nccl_calls.hpp>
#include <omnibal/comm/detail/nccl_channel_core.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/comm/detail/nccl_ticket.hpp>
#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/nccl_group.hpp>
#include <omnibal/comm/nccl_id.hpp>
#include <omnibal/comm/nccl_registration.hpp>
#include <omnibal/comm/nccl_set.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

struct nccl_channel_options {
  /// Of every call of NCCL, and of a ticket whose wait() has no deadline of its own: 0 or more,
  /// max() for ever.
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  /// In the flight record, and in NCCL's log from NCCL 2.27 on.
  std::string name = "channel";
  /// Where the flight record is written when the channel fails, as <channel>.<rank>.json; empty for
  /// nowhere.
  std::string log_directory = {};
  /// How long NCCL may take to abort; after that the process ends with a message, its device lost.
  std::chrono::milliseconds abort_deadline = std::chrono::seconds(10);
  /// Channels of this rank that fail together; channels that are split off join it.
  std::shared_ptr<nccl_communicator_set> set = {};
  /// Of the device's multiprocessors, at most as many are used by NCCL; 0 leaves that to NCCL.
  int most_blocks = 0;
};

/// One rank of a channel over NCCL, on the device that is current at construction; models
/// tensor_channel. Every call waits until NCCL has enqueued the work, so that work given to the
/// stream afterwards comes behind it; it does not wait for the work. Sums are in NCCL's order.
///
/// A channel that is destroyed while an exception passes, or within a group, aborts; otherwise it
/// waits for the other ranks.
class nccl_channel {
 public:
  using ticket = detail::nccl_ticket;
  using stream_type = cudaStream_t;
  static constexpr memory_space space = memory_space::device;

  /// To be called by all ranks with the same id and size. Throws invalid_input unless rank < size
  /// and for a negative deadline, communication_error when the ranks do not find each other.
  nccl_channel(const ncclUniqueId& id, std::size_t rank, std::size_t size,
               const nccl_channel_options& options = {})
      : options_(checked(options)),
        core_(make(id, rank, size, options), rank, size, options.name, options.log_directory) {
    core_.handle().join_set();
  }

  /// Over a communicator that a trainer has made and will destroy after the channel. An abort ends
  /// it.
  explicit nccl_channel(ncclComm_t lent, const nccl_channel_options& options = {})
      : options_(checked(options)),
        core_(detail::nccl_handle(lent, false, limits(options)), 0, 1, options.name,
              options.log_directory) {
    if (lent == nullptr) throw invalid_input("communicator", "null", "must be one of NCCL");
    core_.read_rank();
    core_.handle().join_set();
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
    core_.check_over(control);
  }

  [[nodiscard]] std::size_t rank() const noexcept { return core_.rank(); }
  [[nodiscard]] std::size_t size() const noexcept { return core_.size(); }
  /// Null once the channel was aborted, which another thread may do at any time.
  [[nodiscard]] ncclComm_t handle() const noexcept { return core_.handle().get(); }

  ticket send(const_tensor_view sent, std::size_t to, cudaStream_t stream) {
    detail::require_peer("to", to, rank(), size());
    detail::require_memory("sent", sent);
    return core_.message(channel_operation::send, sent, to, stream, [=](ncclComm_t comm) {
      return ncclSend(sent.data, sent.count, detail::nccl_type_of(sent.type), detail::to_int(to),
                      comm, stream);
    });
  }

  ticket receive(tensor_view received, std::size_t from, cudaStream_t stream) {
    detail::require_peer("from", from, rank(), size());
    detail::require_memory("received", received);
    return core_.message(channel_operation::receive, received, from, stream, [=](ncclComm_t comm) {
      return ncclRecv(received.data, received.count, detail::nccl_type_of(received.type),
                      detail::to_int(from), comm, stream);
    });
  }

  ticket all_reduce(tensor_view values, reduction how, cudaStream_t stream) {
    detail::require_reducible(values.type);
    detail::require_memory("values", values);
    return core_.collective({.operation = channel_operation::all_reduce,
                             .view = values,
                             .count = values.count,
                             .how = how},
                            stream, [&](ncclComm_t comm) {
                              return ncclAllReduce(values.data, values.data, values.count,
                                                   detail::nccl_type_of(values.type),
                                                   detail::nccl_operation_of(how), comm, stream);
                            });
  }

  /// Counts that differ are one reduction per rank, in a group.
  ticket reduce_scatter(const_tensor_view sent, tensor_view received,
                        std::span<const std::size_t> counts, reduction how, cudaStream_t stream) {
    detail::require_reducible(sent.type);
    detail::require_views(sent, received);
    detail::require_counts("counts", counts, size(), sent.count);
    require_own_count(counts, received.count, "received");
    return core_.collective(
        {.operation = channel_operation::reduce_scatter,
         .view = sent,
         .count = sent.count,
         .how = how,
         .counts = {.of_all = counts}},
        stream, [&](ncclComm_t comm) {
          return detail::reduce_parts(
              {.sent = sent, .received = received, .counts = counts, .how = how}, rank(), comm,
              stream);
        });
  }

  /// Counts that differ are sends and receives, in a group.
  ticket all_gather(const_tensor_view sent, tensor_view received,
                    std::span<const std::size_t> counts, cudaStream_t stream) {
    detail::require_views(sent, received);
    detail::require_counts("counts", counts, size(), received.count);
    require_own_count(counts, sent.count, "sent");
    const detail::nccl_collective called{.operation = channel_operation::all_gather,
                                         .view = received,
                                         .count = received.count,
                                         .counts = {.of_all = counts}};
    if (detail::are_equal(counts))
      return core_.collective(called, stream, [&](ncclComm_t comm) {
        return ncclAllGather(sent.data, received.data, sent.count, detail::nccl_type_of(sent.type),
                             comm, stream);
      });
    return exchange(called, {.sent = sent, .received = received, .received_counts = counts},
                    stream);
  }

  ticket broadcast(tensor_view values, std::size_t root, cudaStream_t stream) {
    detail::require_rank("root", root, size());
    detail::require_memory("values", values);
    return core_.collective({.operation = channel_operation::broadcast,
                             .view = values,
                             .count = values.count,
                             .root = root},
                            stream, [&](ncclComm_t comm) {
                              return ncclBroadcast(values.data, values.data, values.count,
                                                   detail::nccl_type_of(values.type),
                                                   detail::to_int(root), comm, stream);
                            });
  }

  ticket all_to_all(const_tensor_view sent, std::span<const std::size_t> sent_counts,
                    tensor_view received, std::span<const std::size_t> received_counts,
                    cudaStream_t stream) {
    detail::require_views(sent, received);
    detail::require_counts("sent_counts", sent_counts, size(), sent.count);
    detail::require_counts("received_counts", received_counts, size(), received.count);
    detail::require_own_part(sent_counts, received_counts, rank());
    return exchange({.operation = channel_operation::all_to_all,
                     .view = sent,
                     .counts = {.sent = sent_counts, .received = received_counts}},
                    {.sent = sent,
                     .sent_counts = sent_counts,
                     .received = received,
                     .received_counts = received_counts},
                    stream);
  }

  /// All messages of a group have the same stream. NCCL sees them at the end of the group; until
  /// then their tickets throw invalid_input.
  void begin_group() { core_.begin_group(); }
  ticket end_group() { return core_.end_group(); }

  [[nodiscard]] std::optional<nccl_channel> split(std::optional<int> color, int key) {
    detail::require_color(color);
    core_.require_no_group("split");
    nccl_channel_options options = options_;
    if (color) options.name = detail::part_name(options_.name, splits_, *color);
    ncclConfig_t config = detail::nccl_configuration(options.most_blocks, options.name.c_str());
    ncclComm_t made = nullptr;
    detail::nccl_handle child;
    const detail::nccl_place at = core_.place("split");
    core_.handle().call(at, [&](ncclComm_t comm) {
      const ncclResult_t result =
          ncclCommSplit(comm, color.value_or(NCCL_SPLIT_NOCOLOR), key, &made, &config);
      child = detail::nccl_handle(made, true, limits(options_));
      return result;
    });
    detail::nccl_handle::settle_child(child, at);
    ++splits_;
    if (!color) return std::nullopt;
    return nccl_channel(std::move(child), options);
  }

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
  /// A channel of the ranks that stay when others are lost, in their order, to go on after a fault
  /// or with fewer GPUs. Called by all that stay, with the same ranks, and by none that are lost.
  /// Operations under way end without a result, and this channel is aborted; others of its set go
  /// on. Only a channel that was not aborted can do this: the loss has to be known before a
  /// deadline or a watchdog has ended it. The new channel is named <name>-of-<ranks>. Throws
  /// invalid_input, and nothing is changed, unless `lost` has other ranks, each once, and at least
  /// one; communication_error where not all that stay come by the deadline.
  [[nodiscard]] nccl_channel without(std::span<const std::size_t> lost) {
    std::vector<int> excluded = lost_ranks(lost);
    core_.require_no_group("without");
    const std::size_t stay = size() - excluded.size();
    nccl_channel_options options = options_;
    options.name += "-of-" + std::to_string(stay);
    ncclConfig_t config = detail::nccl_configuration(options.most_blocks, options.name.c_str());
    const std::string reason =
        "replaced by a channel of " + std::to_string(stay) + " of its " + std::to_string(size());
    return nccl_channel(core_.handle().replace(core_.place("without"), reason + " ranks",
                                               [&](ncclComm_t comm, ncclComm_t* made) {
                                                 return ncclCommShrink(
                                                     comm, excluded.data(),
                                                     detail::to_int(excluded.size()), made, &config,
                                                     NCCL_SHRINK_ABORT);
                                               }),
                        options);
  }
#endif

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 19, 0)
  /// Tells NCCL of memory that operations of this channel use again and again, such as a buffer of
  /// gradients, until the result is destroyed. NCCL asks that all ranks do so, at the same offset
  /// from the begin of what was allocated, and profits where the memory is from ncclMemAlloc.
  /// Throws invalid_input for memory without bytes.
  [[nodiscard]] nccl_registration register_memory(tensor_view memory) {
    return {core_.shared_state(), memory};
  }
#endif

  /// Ends this rank's operations, and those on all channels of its set; those of other ranks end at
  /// their deadlines. From any thread.
  void abort(std::string_view reason) noexcept { core_.handle().abort(reason); }

  [[nodiscard]] flight_log log() const { return core_.state().log(); }

  /// Its abort returns at once: the channel is ended by threads of its own, whatever its rank does.
  [[nodiscard]] channel_watch_point watch_point() const {
    return {.log = [state = core_.shared_state()] { return state->log(); },
            .oldest_unfinished =
                [state = core_.shared_state()] { return state->operations.oldest_unfinished(); },
            .abort = [state = core_.shared_state()](
                         std::string_view reason) { state->handle.begin_abort(reason); },
            .is_closed = [state = core_.shared_state()] { return state->is_closed.load(); }};
  }

 private:
  nccl_channel(detail::nccl_handle child, const nccl_channel_options& options)
      : options_(options), core_(std::move(child), 0, 1, options.name, options.log_directory) {
    core_.read_rank();
  }

  [[nodiscard]] static const nccl_channel_options& checked(const nccl_channel_options& options) {
    require_waiting_time("deadline", options.deadline);
    require_waiting_time("abort_deadline", options.abort_deadline);
    return options;
  }

  [[nodiscard]] static detail::nccl_limits limits(const nccl_channel_options& options) {
    return {options.deadline, options.abort_deadline, options.set};
  }

  [[nodiscard]] static detail::nccl_handle make(const ncclUniqueId& id, std::size_t rank,
                                                std::size_t size,
                                                const nccl_channel_options& options) {
    detail::require_nccl_rank(rank, size);
    ncclConfig_t config = detail::nccl_configuration(options.most_blocks, options.name.c_str());
    ncclComm_t made = nullptr;
    const ncclResult_t result =
        ncclCommInitRankConfig(&made, detail::to_int(size), id, detail::to_int(rank), &config);
    detail::nccl_handle handle(made, true, limits(options));
    handle.settle(result, {rank, "init", 0});
    return handle;
  }

  /// As NCCL takes them.
  [[nodiscard]] std::vector<int> lost_ranks(std::span<const std::size_t> lost) const {
    if (lost.empty()) throw invalid_input("lost", "no rank", "must have at least one");
    std::vector<int> ranks;
    for (std::size_t i = 0; i < lost.size(); ++i) {
      if (lost[i] >= size() || lost[i] == rank())
        throw invalid_input("lost", i, lost[i],
                            "must be another rank, below " + std::to_string(size()));
      if (std::ranges::find(ranks, detail::to_int(lost[i])) != ranks.end())
        throw invalid_input("lost", i, lost[i], "is there twice");
      ranks.push_back(detail::to_int(lost[i]));
    }
    return ranks;
  }

  void require_own_count(std::span<const std::size_t> counts, std::size_t own,
                         std::string_view view) const {
    if (counts[rank()] != own)
      throw invalid_input("counts", rank(), counts[rank()],
                          "must be the count of " + std::string(view) + ", " + std::to_string(own));
  }

  ticket exchange(const detail::nccl_collective& called, const detail::nccl_parts& parts,
                  cudaStream_t stream) {
    return core_.collective(
        called, stream, [&] { return detail::copy_own_part(parts, rank(), stream); },
        [&](ncclComm_t comm) { return detail::exchange_parts(parts, rank(), comm, stream); });
  }

  nccl_channel_options options_;
  detail::nccl_channel_core core_;
  std::uint64_t splits_ = 0;
};

}  // namespace omnibal::inline v0
