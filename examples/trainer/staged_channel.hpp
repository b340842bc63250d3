// SPDX-License-Identifier: Apache-2.0
/// @file
/// A channel for host memory over one whose memory is a device's: what stages pass to each other
/// and gradients are on the host, NCCL reads and writes GPUs.
///
///     staged_channel world(nccl_channel(id, rank, ranks), std::make_shared<gpu_staging>());
///     world.all_reduce(view_of(gradients), reduction::sum).wait();
///
/// Every operation has device memory of its own until it ends: what it reads is copied there before
/// it is enqueued, and what it received is copied to the host when a ticket of the channel is asked
/// after it has ended. Calls do not wait for other ranks, but for those that read what an operation
/// before them receives.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>

namespace omnibal::trainer {

/// Memory of a device, and copies that do not wait for messages.
/// - `allocate(bytes)`, at least 1, and `release(memory)`, which does not throw.
/// - `copy_in(to, from, bytes)`: work of stream() that follows sees the copy; `from` may change.
/// - `copy_out(to, from, bytes)`: done when it returns.
/// - `stream()`: of the operations.
template <typename Type, typename Stream>
concept staging_memory = requires(Type& type, std::byte* device, const std::byte* constant,
                                  std::size_t bytes) {
  { type.allocate(bytes) } -> std::same_as<std::byte*>;
  { type.release(device) }
  noexcept->std::same_as<void>;
  type.copy_in(device, constant, bytes);
  type.copy_out(device, constant, bytes);
  { type.stream() } -> std::same_as<Stream>;
};

namespace detail {

/// Device memory of an operation.
template <typename Memory>
class staged_buffer {
 public:
  staged_buffer() = default;
  staged_buffer(std::shared_ptr<Memory> memory, std::size_t bytes)
      : memory_(std::move(memory)), data_(memory_->allocate(bytes > 0 ? bytes : 1)) {}
  staged_buffer(staged_buffer&& from) noexcept
      : memory_(std::move(from.memory_)), data_(std::exchange(from.data_, nullptr)) {}
  staged_buffer& operator=(staged_buffer&& from) noexcept {
    std::swap(memory_, from.memory_);
    std::swap(data_, from.data_);
    return *this;
  }
  ~staged_buffer() {
    if (data_ != nullptr) memory_->release(data_);
  }

  [[nodiscard]] std::byte* data() const noexcept { return data_; }

 private:
  std::shared_ptr<Memory> memory_;
  std::byte* data_ = nullptr;
};

/// An operation that may not have ended.
template <typename Channel, typename Memory>
struct staged_operation {
  std::optional<typename Channel::ticket> ticket = {};
  staged_buffer<Memory> sent = {};
  staged_buffer<Memory> received = {};
  tensor_view target = {};  ///< On the host; empty where nothing is received.
  bool is_in_open_group = false;
  bool has_ended = false;
};

/// What the tickets of a channel share with it. Operations end in their order.
template <typename Channel, typename Memory>
struct staged_state {
  Channel channel;
  std::shared_ptr<Memory> memory;
  std::deque<std::shared_ptr<staged_operation<Channel, Memory>>> open = {};
  bool has_open_group = false;

  /// Waits for the operations that receive what is going to be read: operations on the same memory
  /// are in order.
  void settle(const_tensor_view read) {
    for (std::size_t i = open.size(); i-- > 0;) {
      const tensor_view& target = open[i]->target;
      if (target.count == 0 || !std::less<>()(read.data, target.data + target.bytes()) ||
          !std::less<>()(target.data, read.data + read.bytes()))
        continue;
      open[i]->ticket->wait();
      return look();
    }
  }

  /// Completes the operations that have ended.
  void look() {
    while (!open.empty() && !open.front()->is_in_open_group && open.front()->ticket->done()) {
      staged_operation<Channel, Memory>& first = *open.front();
      if (first.target.count > 0)
        memory->copy_out(first.target.data, first.received.data(), first.target.bytes());
      first.sent = {};
      first.received = {};
      first.has_ended = true;
      open.pop_front();
    }
  }
};

}  // namespace detail

/// Models tensor_channel. Used by one thread at a time.
template <tensor_channel Channel, staging_memory<typename Channel::stream_type> Memory>
class staged_channel {
  using operation = detail::staged_operation<Channel, Memory>;
  using state = detail::staged_state<Channel, Memory>;
  using staged = detail::staged_buffer<Memory>;

 public:
  static constexpr memory_space space = memory_space::host;
  using stream_type = host_stream;

  class ticket {
   public:
    ticket(std::shared_ptr<state> of, std::shared_ptr<operation> which)
        : of_(std::move(of)), which_(std::move(which)) {}

    [[nodiscard]] bool done() {
      if (!which_->has_ended && which_->ticket->done()) of_->look();
      return which_->has_ended;
    }
    void wait() {
      complete([](auto& below) { below.wait(); });
    }
    void wait(std::chrono::milliseconds deadline) {
      complete([=](auto& below) { below.wait(deadline); });
    }
    void after(host_stream) { wait(); }

   private:
    template <typename Wait>
    void complete(const Wait& wait_for) {
      if (which_->has_ended) return;
      wait_for(*which_->ticket);
      of_->look();
    }

    std::shared_ptr<state> of_;
    std::shared_ptr<operation> which_;
  };

  staged_channel(Channel channel, std::shared_ptr<Memory> memory)
      : state_(new state{.channel = std::move(channel), .memory = std::move(memory)}) {}

  [[nodiscard]] std::size_t rank() const noexcept { return state_->channel.rank(); }
  [[nodiscard]] std::size_t size() const noexcept { return state_->channel.size(); }

  ticket send(const_tensor_view sent, std::size_t to, host_stream = {}) {
    operation made{.sent = copied(sent)};
    made.ticket = below().send(view(made.sent, sent), to, stream());
    return opened(std::move(made));
  }

  ticket receive(tensor_view received, std::size_t from, host_stream = {}) {
    operation made{.received = space_for(received), .target = received};
    made.ticket = below().receive(view(made.received, received), from, stream());
    return opened(std::move(made));
  }

  ticket all_reduce(tensor_view values, reduction how, host_stream = {}) {
    operation made{.received = copied(values), .target = values};
    made.ticket = below().all_reduce(view(made.received, values), how, stream());
    return opened(std::move(made));
  }

  ticket reduce_scatter(const_tensor_view sent, tensor_view received,
                        std::span<const std::size_t> counts, reduction how, host_stream = {}) {
    operation made{.sent = copied(sent), .received = space_for(received), .target = received};
    made.ticket = below().reduce_scatter(view(made.sent, sent), view(made.received, received),
                                         counts, how, stream());
    return opened(std::move(made));
  }

  ticket all_gather(const_tensor_view sent, tensor_view received,
                    std::span<const std::size_t> counts, host_stream = {}) {
    operation made{.sent = copied(sent), .received = space_for(received), .target = received};
    made.ticket =
        below().all_gather(view(made.sent, sent), view(made.received, received), counts, stream());
    return opened(std::move(made));
  }

  ticket broadcast(tensor_view values, std::size_t root, host_stream = {}) {
    operation made{.received = copied(values), .target = values};
    made.ticket = below().broadcast(view(made.received, values), root, stream());
    return opened(std::move(made));
  }

  ticket all_to_all(const_tensor_view sent, std::span<const std::size_t> sent_counts,
                    tensor_view received, std::span<const std::size_t> received_counts,
                    host_stream = {}) {
    operation made{.sent = copied(sent), .received = space_for(received), .target = received};
    made.ticket = below().all_to_all(view(made.sent, sent), sent_counts,
                                     view(made.received, received), received_counts, stream());
    return opened(std::move(made));
  }

  void begin_group() {
    below().begin_group();
    state_->has_open_group = true;
  }
  ticket end_group() {
    operation made{.ticket = below().end_group()};
    state_->has_open_group = false;
    for (const auto& each : state_->open) each->is_in_open_group = false;
    return opened(std::move(made));
  }

  [[nodiscard]] std::optional<staged_channel> split(std::optional<int> color, int key) {
    std::optional<Channel> part = below().split(color, key);
    if (!part) return std::nullopt;
    return staged_channel(std::move(*part), state_->memory);
  }

  void abort(std::string_view reason) noexcept { below().abort(reason); }
  [[nodiscard]] flight_log log() const { return state_->channel.log(); }
  [[nodiscard]] channel_watch_point watch_point() const { return state_->channel.watch_point(); }

 private:
  [[nodiscard]] Channel& below() noexcept { return state_->channel; }
  [[nodiscard]] auto stream() const { return state_->memory->stream(); }

  [[nodiscard]] staged space_for(const_tensor_view values) const {
    omnibal::detail::require_memory("view", values);
    return {state_->memory, values.bytes()};
  }
  [[nodiscard]] staged copied(const_tensor_view values) const {
    state_->settle(values);
    staged made = space_for(values);
    if (values.count > 0) state_->memory->copy_in(made.data(), values.data, values.bytes());
    return made;
  }
  template <typename View>
  [[nodiscard]] static View view(const staged& in, const View& like) {
    return {in.data(), like.count, like.type};
  }

  ticket opened(operation made) {
    made.is_in_open_group = state_->has_open_group;
    auto shared = std::make_shared<operation>(std::move(made));
    state_->open.push_back(shared);
    return {state_, std::move(shared)};
  }

  std::shared_ptr<state> state_;
};

}  // namespace omnibal::trainer
