// SPDX-License-Identifier: Apache-2.0
/// @file
/// What passes between pipeline stages, on one rank: activations and gradients on their way, moved
/// by the items of a message order through a tensor_channel.
///
///     pipeline_link link(channel);
///     for (const execution_item& item : items)  // of message_order() or step_of()
///       if (is_message(item.kind))
///         link.issue(item, bytes_of(item));
///       else if (item.kind == item_kind::forward) {
///         const_tensor_view input = link.input(item);  // waits for its message
///         forward(item.microbatch, input, link.output(item, output_bytes(item)));
///         link.release_input(item);
///       }
///     link.finish();
///
/// Both ends know the size of every message from the plan, so no header or shape is exchanged, and
/// no message of 0 bytes is issued. All ranks that issue in one message order cannot deadlock;
/// docs/execution.md has the proof.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <omnibal/comm/detail/give_up.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>

namespace omnibal::inline v0 {

/// Where buffers come from: allocate(bytes) returns an owner of memory in the channel's space whose
/// get() is its address, aligned for every element. On a device, memory that its owner releases may
/// still be used by work that was given to the streams before.
template <typename Type>
concept buffer_memory = std::movable<Type> && requires(Type& memory, std::size_t bytes) {
  { memory.allocate(bytes).get() } -> std::convertible_to<std::byte*>;
};

/// Buffers on the host, zero at first.
struct host_buffer_memory {
  [[nodiscard]] std::unique_ptr<std::byte[]> allocate(std::size_t bytes) const {
    return std::make_unique<std::byte[]>(bytes);
  }
};

struct pipeline_link_options {
  /// The most messages of a kind (activations or gradients, sent or received) that are under way at
  /// a time: one more waits for the oldest of them. At least 1.
  std::size_t in_flight = 2;
  /// Of all messages; equal on all ranks.
  element_type type = element_type::f32;
};

namespace detail {

/// What passes between a stage and the next for one micro-batch, in one direction.
struct pipeline_passage {
  bool is_gradient = false;
  std::uint32_t stage = 0;  // the one before the edge
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const pipeline_passage&, const pipeline_passage&) = default;
};

[[nodiscard]] std::string to_string(const pipeline_passage& passed);

/// What the item reads or receives. Of stage 0 a forward reads nothing: no buffer has its number.
[[nodiscard]] pipeline_passage passage_into(const execution_item& item);

/// What the item fills or sends.
[[nodiscard]] pipeline_passage passage_out_of(const execution_item& item);

}  // namespace detail

/// The buffers of one rank. Each lives from the operation that fills it, or from its receive, until
/// it has been sent or its reader releases it; what passes between two stages of the same rank
/// stays where it is. To be used by the thread of the channel, which outlives the link.
///
/// Errors of the channel pass through; then neither can be used any more. Destroyed with messages
/// under way, the link aborts the channel and waits until that leaves its memory alone.
template <tensor_channel Channel, buffer_memory Memory = host_buffer_memory>
class pipeline_link {
 public:
  using stream_type = typename Channel::stream_type;

  /// Messages are given to `stream`; whatever fills what is sent must be ahead of them.
  explicit pipeline_link(Channel& channel, const pipeline_link_options& options = {},
                         Memory memory = {}, stream_type stream = {})
      : channel_(&channel), options_(options), memory_(std::move(memory)), stream_(stream) {
    if (options.in_flight == 0) throw invalid_input("in_flight", 0, "must be at least 1");
  }
  pipeline_link(pipeline_link&&) = delete;
  pipeline_link& operator=(pipeline_link&&) = delete;
  ~pipeline_link() {
    for (auto& [passed, each] : buffers_)
      if (each.message)
        detail::give_up(*channel_, *each.message, "messages of a pipeline are given up");
  }

  /// Issues a send of a buffer that was filled, or a receive into a new one; nothing where bytes is
  /// 0. Waits while `in_flight` messages of its kind are under way. Calls `on_end` when the end of
  /// the message is seen, at the latest when its buffer is released.
  ///
  /// Throws invalid_input when the item is no message, when bytes are negative or no multiple of
  /// the element's size, when a send has no buffer of these bytes, and when a receive has one
  /// already.
  void issue(
      const execution_item& item, std::int64_t bytes, std::function<void()> on_end = [] {}) {
    if (!is_message(item.kind)) throw invalid_input("item", to_string(item), "must be a message");
    if (bytes == 0) return;
    std::deque<detail::pipeline_passage>& under_way = under_way_of(item.kind);
    for (; under_way.size() >= options_.in_flight; under_way.pop_front()) settle(under_way.front());
    const auto passed =
        is_send(item.kind) ? detail::passage_out_of(item) : detail::passage_into(item);
    buffer& each = is_send(item.kind) ? filled(passed, bytes) : make(passed, bytes);
    each.is_sent = is_send(item.kind);
    each.on_end = std::move(on_end);
    each.message = each.is_sent ? channel_->send(each.view, item.peer, stream_)
                                : channel_->receive(each.view, item.peer, stream_);
    under_way.push_back(passed);
  }

  /// What a forward or a backward reads: the output of the stage before, or the gradient of its own
  /// output. Work given to `reader` from now on begins after its message; on the host that means to
  /// wait. Empty where nothing passes, as into the first stage.
  [[nodiscard]] const_tensor_view input(const execution_item& item, stream_type reader = {}) {
    const auto found = buffers_.find(detail::passage_into(item));
    if (found == buffers_.end()) return {.type = options_.type};
    if (found->second.message) found->second.message->after(reader);
    found->second.is_read = true;
    (void)has_ended(found->second);
    return found->second.view;
  }

  /// A buffer for what a forward or a backward gives to its neighbour; empty where bytes is 0.
  /// Throws invalid_input as issue() does for a receive.
  [[nodiscard]] tensor_view output(const execution_item& item, std::int64_t bytes) {
    if (bytes == 0) return {.type = options_.type};
    return make(detail::passage_out_of(item), bytes).view;
  }

  /// The operation has read its input, or on a device the work that reads it has been given to the
  /// stream. Throws invalid_input, and keeps the buffer, while a message is under way that input()
  /// has not waited for: the channel would go on writing into memory that is gone, or reading it.
  void release_input(const execution_item& item) {
    const auto found = buffers_.find(detail::passage_into(item));
    if (found == buffers_.end()) return;
    if (!found->second.is_read && !has_ended(found->second))
      throw invalid_input("buffer", to_string(found->first),
                          "has a message under way; call input() before release_input()");
    release(found);
  }

  /// Notes which messages have ended and releases what was sent. A channel over host memory
  /// advances by it. Does not block.
  void poll() {
    for (auto each = buffers_.begin(); each != buffers_.end();) {
      const auto next = std::next(each);
      if (has_ended(each->second) && each->second.is_sent) release(each);
      each = next;
    }
  }

  /// Waits for all messages, at the end of a step. Throws invalid_input when a buffer is left: the
  /// items were not those of a whole step.
  void finish() {
    for (auto& [passed, each] : buffers_) settle(each);
    poll();
    for (auto& under_way : under_way_) under_way.clear();
    if (!buffers_.empty())
      throw invalid_input("step", to_string(buffers_.begin()->first),
                          "was neither sent nor read: items are missing");
  }

  /// Of all buffers, now.
  [[nodiscard]] std::int64_t held_bytes() const noexcept { return held_bytes_; }

 private:
  using owner = decltype(std::declval<Memory&>().allocate(std::size_t{}));

  struct buffer {
    owner memory;
    tensor_view view;
    std::optional<typename Channel::ticket> message = {};  // until its end is seen
    std::function<void()> on_end = {};
    bool is_sent = false;
    bool is_read = false;  // input() has waited for the message
  };
  using buffers = std::map<detail::pipeline_passage, buffer>;

  [[nodiscard]] std::deque<detail::pipeline_passage>& under_way_of(item_kind kind) {
    return under_way_[static_cast<std::size_t>(kind) -
                      static_cast<std::size_t>(item_kind::send_activation)];
  }

  buffer& make(const detail::pipeline_passage& passed, std::int64_t bytes) {
    const auto size = static_cast<std::int64_t>(size_of(options_.type));
    if (bytes < 0 || bytes % size != 0)
      throw invalid_input("bytes of " + to_string(passed), bytes,
                          "must be a multiple of " + std::to_string(size) + ", not negative");
    if (buffers_.contains(passed))
      throw invalid_input("buffer", to_string(passed), "exists already");
    const auto count = static_cast<std::size_t>(bytes / size);
    owner memory = memory_.allocate(static_cast<std::size_t>(bytes));
    const tensor_view view{memory.get(), count, options_.type};
    held_bytes_ += bytes;
    return buffers_.emplace(passed, buffer{.memory = std::move(memory), .view = view})
        .first->second;
  }

  [[nodiscard]] buffer& filled(const detail::pipeline_passage& passed, std::int64_t bytes) {
    const auto found = buffers_.find(passed);
    if (found == buffers_.end())
      throw invalid_input("buffer", to_string(passed), "was not filled by an operation");
    if (bytes_of(found->second) != bytes)
      throw invalid_input(
          "bytes of " + to_string(passed), bytes,
          "must be those of its buffer, " + std::to_string(bytes_of(found->second)));
    return found->second;
  }

  [[nodiscard]] static std::int64_t bytes_of(const buffer& each) {
    return static_cast<std::int64_t>(each.view.bytes());
  }

  [[nodiscard]] static bool has_ended(buffer& each) {
    if (each.message && each.message->done()) end(each);
    return !each.message;
  }

  static void end(buffer& each) {
    each.message.reset();
    each.on_end();
  }

  static void settle(buffer& each) {
    if (!each.message) return;
    each.message->wait();
    end(each);
  }
  void settle(const detail::pipeline_passage& passed) {
    const auto found = buffers_.find(passed);
    if (found != buffers_.end()) settle(found->second);
  }

  void release(typename buffers::iterator released) {
    if (released->second.message) end(released->second);
    held_bytes_ -= bytes_of(released->second);
    buffers_.erase(released);
  }

  Channel* channel_;
  pipeline_link_options options_;
  Memory memory_;
  stream_type stream_;
  buffers buffers_;
  std::array<std::deque<detail::pipeline_passage>, 4> under_way_;  // oldest first, by kind
  std::int64_t held_bytes_ = 0;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/pipeline_link.ipp>
#endif
