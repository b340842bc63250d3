// SPDX-License-Identifier: Apache-2.0
/// @file
/// The phases of collective operations over host memory, as one rank carries them out.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <omnibal/comm/detail/channel_transport.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>

namespace omnibal::inline v0::detail {

/// Messages at once, and what is computed when they have all ended.
struct channel_phase {
  std::vector<channel_message> messages = {};
  std::function<void()> then = [] {};
};

[[nodiscard]] inline const std::byte* not_null(const std::byte* data) noexcept {
  static constexpr std::byte nothing{};
  return data == nullptr ? &nothing : data;
}

[[nodiscard]] inline channel_message message_to(std::size_t peer, const_tensor_view sent) {
  return {.peer = peer,
          .sent = not_null(sent.data),
          .header = {.bytes = sent.bytes(), .type = sent.type}};
}
[[nodiscard]] inline channel_message message_from(std::size_t peer, tensor_view received) {
  return {.peer = peer,
          .received = received.data,
          .header = {.bytes = received.bytes(), .type = received.type}};
}

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

}  // namespace omnibal::inline v0::detail
