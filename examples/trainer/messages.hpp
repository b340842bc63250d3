// SPDX-License-Identifier: Apache-2.0
/// @file
/// Buffers of what passes between neighbouring stages, activations or their gradients, and the
/// messages that bring it or take it away. A buffer lives from the operation that fills it, or from
/// its receive, until it has been sent or read.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <time.h>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::trainer {

/// When an item of a plan began and ended: nanoseconds of the steady clock. A message begins when
/// it is issued.
struct item_times {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  /// Nanoseconds that the thread of the rank computed in between: less than the duration where
  /// other programs, or ranks that share the core, had their turn.
  std::int64_t computed = 0;

  [[nodiscard]] std::int64_t duration() const noexcept { return end - begin; }
};

[[nodiscard]] inline std::int64_t steady_nanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// What the calling thread has computed so far.
[[nodiscard]] inline std::int64_t thread_nanoseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// An edge of the pipeline, between a stage and the next, for one micro-batch.
struct pipeline_edge {
  std::uint32_t stage = 0;  ///< The one before the edge.
  std::uint32_t microbatch = 0;

  friend auto operator<=>(const pipeline_edge&, const pipeline_edge&) = default;
};

/// Buffers in one direction, on one rank. To be used by the thread of the channel.
template <tensor_channel Channel>
class message_buffers {
 public:
  explicit message_buffers(Channel& channel) : channel_(&channel) {}

  /// A buffer of zeros for an operation to fill.
  [[nodiscard]] std::span<float> make(const pipeline_edge& edge, std::int64_t bytes) {
    if (bytes % std::int64_t{sizeof(float)} != 0)
      throw invalid_input("bytes after stage " + std::to_string(edge.stage), bytes,
                          "must be a multiple of 4: floats pass between stages");
    if (buffers_.contains(edge))
      throw invalid_input("micro-batch after stage " + std::to_string(edge.stage), edge.microbatch,
                          "has a buffer already");
    held_bytes_ += bytes;
    auto& values = buffers_[edge].values;
    values.resize(static_cast<std::size_t>(bytes) / sizeof(float));
    return values;
  }

  /// Issues the send of a buffer that was filled. The end of the message goes to `times`.
  void send(const pipeline_edge& edge, std::size_t to, item_times& times) {
    buffer& sent = buffers_.at(edge);
    sent.message = channel_->send(view_of(std::as_const(sent.values)), to);
    sent.times = &times;
    sent.is_sent = true;
  }

  /// Issues a receive into a new buffer.
  void receive(const pipeline_edge& edge, std::int64_t bytes, std::size_t from, item_times& times) {
    const std::span<float> values = make(edge, bytes);
    buffer& received = buffers_.at(edge);
    received.message = channel_->receive(view_of(values), from);
    received.times = &times;
  }

  /// The contents of a buffer; waits for its message. Empty where there is no buffer, since nothing
  /// of 0 bytes is sent.
  [[nodiscard]] std::span<const float> read(const pipeline_edge& edge) {
    const auto found = buffers_.find(edge);
    if (found == buffers_.end()) return {};
    wait(found->second);
    return found->second.values;
  }

  /// Releases a buffer that was read, if there is one.
  void drop(const pipeline_edge& edge) {
    const auto found = buffers_.find(edge);
    if (found == buffers_.end()) return;
    held_bytes_ -= bytes_of(found->second);
    buffers_.erase(found);
  }

  /// Notes which messages have ended, and releases what was sent.
  void poll() {
    for (auto& [edge, each] : buffers_)
      if (each.times != nullptr && each.message->done()) end(each);
    std::erase_if(buffers_, [&](const auto& entry) {
      const bool released = entry.second.is_sent && entry.second.times == nullptr;
      if (released) held_bytes_ -= bytes_of(entry.second);
      return released;
    });
  }

  /// Waits for all messages.
  void finish() {
    for (auto& [edge, each] : buffers_) wait(each);
    poll();
  }

  /// Of all buffers, now.
  [[nodiscard]] std::int64_t held_bytes() const noexcept { return held_bytes_; }
  [[nodiscard]] bool empty() const noexcept { return buffers_.empty(); }

 private:
  struct buffer {
    std::vector<float> values = {};
    std::optional<typename Channel::ticket> message = {};
    item_times* times = nullptr;  // while the message is under way
    bool is_sent = false;
  };

  [[nodiscard]] static std::int64_t bytes_of(const buffer& each) {
    return static_cast<std::int64_t>(each.values.size() * sizeof(float));
  }

  static void wait(buffer& each) {
    if (each.times == nullptr) return;
    each.message->wait();
    end(each);
  }

  static void end(buffer& each) { std::exchange(each.times, nullptr)->end = steady_nanoseconds(); }

  Channel* channel_;
  std::map<pipeline_edge, buffer> buffers_;
  std::int64_t held_bytes_ = 0;
};

}  // namespace omnibal::trainer
