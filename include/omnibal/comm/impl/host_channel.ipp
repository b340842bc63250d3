// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
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
#include <omnibal/comm/impl/channel_phases.ipp>
#include <omnibal/comm/impl/host_channel_core.ipp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>

namespace omnibal::inline v0::detail {

inline void require_own_count(std::span<const std::size_t> counts, std::size_t rank,
                              std::size_t own, std::string_view view) {
  if (counts[rank] != own)
    throw invalid_input("counts", rank, counts[rank],
                        "must be the count of " + std::string(view) + ", " + std::to_string(own));
}

OMNIBAL_INLINE bool host_ticket::done() {
  core_->require_begun(sequence_);
  if (!core_->ended(sequence_)) core_->progress(sequence_);
  return core_->ended(sequence_);
}

OMNIBAL_INLINE void host_ticket::wait() { wait(core_->deadline()); }

OMNIBAL_INLINE void host_ticket::wait(std::chrono::milliseconds deadline) {
  require_waiting_time("deadline", deadline);
  core_->wait(sequence_, deadline);
}

OMNIBAL_INLINE host_channel::host_channel(std::unique_ptr<channel_transport> transport,
                                          std::string name, std::chrono::milliseconds deadline,
                                          std::string part)
    : core_(std::make_shared<host_channel_core>(std::move(transport), std::move(name), deadline,
                                                std::move(part))) {
  require_waiting_time("deadline", deadline);
}

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
  require_memory("sent", sent);
  return core_->add_message(sent, message_to(to, sent));
}

OMNIBAL_INLINE host_ticket host_channel::receive(tensor_view received, std::size_t from,
                                                 host_stream) {
  require_peer("from", from, rank(), size());
  require_memory("received", received);
  return core_->add_message(received, message_from(from, received));
}

OMNIBAL_INLINE host_ticket host_channel::all_reduce(tensor_view values, reduction how,
                                                    host_stream) {
  require_reducible(values.type);
  require_memory("values", values);
  const phases_of_rank phases(rank(), size());
  const std::vector<std::size_t> shards = phases.even_shards(values.count);
  const tensor_view own = part_of(values, shards, rank());
  return core_->add_collective(
      {.operation = channel_operation::all_reduce,
       .view = values,
       .count = values.count,
       .how = how},
      {phases.reduce(values, own, shards, how), phases.gather(own, values, shards)});
}

OMNIBAL_INLINE host_ticket host_channel::reduce_scatter(const_tensor_view sent,
                                                        tensor_view received,
                                                        std::span<const std::size_t> counts,
                                                        reduction how, host_stream) {
  require_reducible(sent.type);
  require_views(sent, received);
  require_counts("counts", counts, size(), sent.count);
  require_own_count(counts, rank(), received.count, "received");
  return core_->add_collective(
      {.operation = channel_operation::reduce_scatter,
       .view = sent,
       .count = sent.count,
       .how = how,
       .parts = plan_hash(counts)},
      {phases_of_rank(rank(), size()).reduce(sent, received, counts, how)});
}

OMNIBAL_INLINE host_ticket host_channel::all_gather(const_tensor_view sent, tensor_view received,
                                                    std::span<const std::size_t> counts,
                                                    host_stream) {
  require_views(sent, received);
  require_counts("counts", counts, size(), received.count);
  require_own_count(counts, rank(), sent.count, "sent");
  return core_->add_collective({.operation = channel_operation::all_gather,
                                .view = received,
                                .count = received.count,
                                .parts = plan_hash(counts)},
                               {phases_of_rank(rank(), size()).gather(sent, received, counts)});
}

OMNIBAL_INLINE host_ticket host_channel::broadcast(tensor_view values, std::size_t root,
                                                   host_stream) {
  require_rank("root", root, size());
  require_memory("values", values);
  return core_->add_collective({.operation = channel_operation::broadcast,
                                .view = values,
                                .count = values.count,
                                .root = static_cast<std::uint32_t>(root)},
                               phases_of_rank(rank(), size()).broadcast(values, root));
}

OMNIBAL_INLINE host_ticket host_channel::all_to_all(const_tensor_view sent,
                                                    std::span<const std::size_t> sent_counts,
                                                    tensor_view received,
                                                    std::span<const std::size_t> received_counts,
                                                    host_stream) {
  require_views(sent, received);
  require_counts("sent_counts", sent_counts, size(), sent.count);
  require_counts("received_counts", received_counts, size(), received.count);
  if (sent_counts[rank()] != received_counts[rank()])
    throw invalid_input(
        "received_counts", rank(), received_counts[rank()],
        "must be what this rank sends itself, " + std::to_string(sent_counts[rank()]));
  return core_->add_collective(
      {.operation = channel_operation::all_to_all, .view = sent},
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

OMNIBAL_INLINE std::vector<std::size_t> host_channel::gather_part(std::optional<int> color,
                                                                  int key) {
  require_color(color);
  const std::array<std::int64_t, 2> own = {color ? *color : -1, key};
  std::vector<std::int64_t> all(2 * size());
  const std::vector<std::size_t> counts(size(), 2);
  all_gather(view_of(own), view_of(all), counts).wait();
  std::vector<std::size_t> members;
  for (std::size_t r = 0; r < size() && color; ++r)
    if (all[2 * r] == *color) members.push_back(r);
  std::ranges::stable_sort(members, {}, [&](std::size_t r) { return all[2 * r + 1]; });
  return members;
}

}  // namespace omnibal::inline v0::detail
