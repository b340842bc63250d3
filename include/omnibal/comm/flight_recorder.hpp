// SPDX-License-Identifier: Apache-2.0
/// @file
/// The flight recorder: the last operations of a channel, kept in memory and written as JSON when
/// something fails or somebody asks. From the records of all ranks first_difference() finds the
/// first operation in which they differ, which is mostly why a step hangs; `omnibal trace --flight`
/// does so for files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

enum class channel_operation : std::uint8_t {
  send,
  receive,
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,
  all_to_all,
  barrier
};

inline constexpr std::array<std::string_view, 8> channel_operation_names = {
    "send",       "receive",   "all_reduce", "reduce_scatter",
    "all_gather", "broadcast", "all_to_all", "barrier"};

[[nodiscard]] constexpr std::string_view name_of(channel_operation operation) noexcept {
  return channel_operation_names[static_cast<std::size_t>(operation)];
}

/// One operation of a channel as one rank called it.
struct flight_entry {
  std::uint64_t sequence = 0;  ///< operations that the rank called on this channel before
  channel_operation operation = channel_operation::send;
  element_type type = element_type::byte;
  /// Elements of the message; of a collective operation those that are the same on all ranks, or 0.
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;                 ///< that this rank sends or receives
  std::optional<std::uint64_t> peer = {};  ///< of a message the other rank, of a broadcast the root
  std::optional<reduction> how = {};       ///< of an all_reduce and a reduce_scatter
  /// Of a message the number of messages before it from sender to receiver, of a collective
  /// operation that of collective operations before it: equal on all ranks that take part.
  std::uint64_t order = 0;
  /// Nanoseconds on the clock of the machine; 0 for what has not happened.
  std::int64_t issued = 0;
  std::int64_t started = 0;
  std::int64_t ended = 0;

  friend bool operator==(const flight_entry&, const flight_entry&) = default;
};

/// The record of one rank on one channel, oldest operation first.
struct flight_log {
  std::string channel = "channel";
  std::size_t rank = 0;
  std::size_t size = 1;
  std::string failure = {};  ///< why the channel failed; empty if it has not
  std::vector<flight_entry> entries = {};
};

/// "send #7 of 1024 f32, 4096 bytes, to rank 2", "all_reduce #8 of 1024 f32, sum, 4096 bytes".
[[nodiscard]] std::string describe(const flight_entry& entry);

/// The last operations of a channel. Safe to read from another thread.
class flight_recorder {
 public:
  static constexpr std::size_t capacity = 1024;

  flight_recorder();

  void issue(const flight_entry& entry);
  void start(std::uint64_t sequence);
  void end(std::uint64_t sequence);

  /// Oldest first.
  [[nodiscard]] std::vector<flight_entry> entries() const;

  /// The oldest operation that has not ended. At a cost that is constant an operation, whatever the
  /// number of calls.
  [[nodiscard]] std::optional<flight_entry> oldest_unfinished() const;

  [[nodiscard]] static std::int64_t now();

 private:
  void mark(std::uint64_t sequence, std::int64_t flight_entry::*when);

  mutable std::mutex mutex_;
  std::vector<flight_entry> ring_;
  std::uint64_t issued_ = 0;
  mutable std::uint64_t unfinished_ = 0;  // all operations before have ended
};

/// The record as one JSON object; docs/communication.md describes its keys.
[[nodiscard]] std::string to_json(const flight_log& log);

/// The first operation in which ranks differ.
struct flight_difference {
  std::string channel = {};
  std::size_t rank = 0;          ///< the lowest rank that called it
  std::uint64_t sequence = 0;    ///< of the operation on that rank
  std::string explanation = {};  ///< one line: what each called
};

/// Compares the records of the ranks of one channel and returns the first operation, by its number
/// on the lowest rank that called it, that others called otherwise or not at all; std::nullopt
/// where none differs. Records of some ranks may be absent. O(n log n) for n operations in all.
[[nodiscard]] std::optional<flight_difference> first_difference(std::span<const flight_log> logs);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/flight_recorder.ipp>
#endif
