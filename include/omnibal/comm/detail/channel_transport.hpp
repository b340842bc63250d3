// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a channel over host memory needs of its transport: messages between this rank and others,
/// one phase of an operation at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/comm/detail/message_header.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// One message of a phase: header.bytes bytes from or to a peer.
struct channel_message {
  std::size_t peer = 0;
  const std::byte* sent = nullptr;
  std::byte* received = nullptr;  // where it is not a send
  message_header header = {};

  [[nodiscard]] bool receives() const noexcept { return sent == nullptr; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return static_cast<std::size_t>(header.bytes);
  }
};

/// Moves the messages of one phase at a time. Used by the thread of its rank, apart from report()
/// where reports_from_any_thread().
class channel_transport {
 public:
  channel_transport() = default;
  channel_transport(const channel_transport&) = delete;
  channel_transport& operator=(const channel_transport&) = delete;
  virtual ~channel_transport() = default;

  [[nodiscard]] virtual std::size_t rank() const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
  virtual void start(std::span<const channel_message> messages) = 0;
  /// Whether the messages have ended. Throws std::runtime_error when one of them fails, or comes
  /// with another header than the receiver's.
  [[nodiscard]] virtual bool test() = 0;
  /// The ranks whose messages have not ended, ascending.
  [[nodiscard]] virtual std::vector<std::size_t> missing() const = 0;
  /// Waits a moment between two tests.
  virtual void pause() = 0;
  /// The memory of the messages is the caller's again. Where that cannot be had the process ends
  /// with the reason.
  virtual void give_up(std::string_view reason) = 0;
  /// This rank calls nothing any more.
  virtual void leave() = 0;
  /// Reports a failure to the other ranks.
  virtual void report(std::string_view reason) = 0;
  [[nodiscard]] virtual bool reports_from_any_thread() const noexcept = 0;
  /// The reason that another rank has reported to this one.
  [[nodiscard]] virtual std::optional<std::string> reported() = 0;
};

}  // namespace omnibal::inline v0::detail
