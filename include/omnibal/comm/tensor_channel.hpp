// SPDX-License-Identifier: Apache-2.0
/// @file
/// The tensor_channel concept: messages and collective operations on typed memory that do not block
/// the caller. Models: thread_channel, mpi_channel (host memory), nccl_channel (device memory).
///
///     auto gradient_sum = channel.all_reduce(view_of(gradient), reduction::sum);
///     compute_something_else();
///     gradient_sum.wait();
///
/// A channel carries out the operations of its rank one after the other, in the order of the calls,
/// as NCCL does: an operation begins when those before it have ended. Hence ranks that call in
/// orders that do not fit wait for each other, and a deadline says so.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <omnibal/comm/flight_recorder.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Which memory a channel reads and writes.
enum class memory_space : std::uint8_t { host, device };

/// The stream of work on host memory: the caller's own program. Work before a call has been done
/// when it is made.
struct host_stream {};

/// What an operation returned. Copyable; may be dropped, the operation goes on.
///
/// - `done()`: whether the operation has ended. Does not block.
/// - `wait()`, `wait(deadline)`: blocks until it has ended. Throws communication_error, and aborts
///   the channel, when it does not end within the deadline or fails. A deadline is 0 or more, max()
///   for ever; a negative one throws invalid_input.
/// - `after(stream)`: work that is given to the stream from now on begins after the operation. On a
///   host stream that means to wait; on a device stream it returns at once.
template <typename Type, typename Stream>
concept channel_ticket = std::copyable<Type> &&
    requires(Type& ticket, std::chrono::milliseconds deadline, Stream stream) {
  { ticket.done() } -> std::same_as<bool>;
  { ticket.wait() } -> std::same_as<void>;
  { ticket.wait(deadline) } -> std::same_as<void>;
  { ticket.after(stream) } -> std::same_as<void>;
};

/// How another thread looks at a channel and ends it, while the channel is moved, used or
/// destroyed.
struct channel_watch_point {
  std::function<flight_log()> log;
  std::function<std::optional<flight_entry>()> oldest_unfinished;
  /// The thread of the channel ends its operations when it looks next.
  std::function<void(std::string_view)> abort;
  std::function<bool()> is_closed;
};

/// A fixed set of ranks 0 … size() − 1. Collective operations are called by all of them in the same
/// order, messages by their two ranks in an order that fits. Views stay valid, and what is received
/// untouched, until the ticket is done. Counts are in elements, may be zero and need not fit 31
/// bits. Every operation takes a stream last: it begins after the work given to that stream before.
///
/// - `send(sent, to)`, `receive(received, from)`: equal types and counts; between two calls of
///   begin_group() and end_group() all messages are one operation, so that ranks may call them in
///   any order, and end_group() returns its ticket. Tickets of its messages throw invalid_input
///   until the group has ended, and a channel that is destroyed within a group aborts.
/// - `all_reduce(values, how)`: in place.
/// - `reduce_scatter(sent, received, counts, how)`: rank r receives the reduced part r, of
///   counts[r] elements. `counts` is the same on all ranks.
/// - `all_gather(sent, received, counts)`: `sent` may be its part of `received`.
/// - `broadcast(values, root)`.
/// - `all_to_all(sent, sent_counts, received, received_counts)`.
/// - `split(color, key)`: as for a communicator; blocks. The part is named <name>/<split>/<color>,
///   with the number of splits before, so that its flight records are told from those of others.
/// - `abort(reason)`: every operation of every rank ends with an error. Over MPI the thread of the
///   channel reports it to the other ranks: at once, or when it looks next if another one aborts.
/// - `log()`: the last operations. `watch_point()`: the channel for other threads, as watchdog.hpp
///   has one.
///
/// Arguments that are invalid by themselves, views without the memory of their elements too, throw
/// invalid_input, and the channel remains usable. Tickets of a channel that has ended as it should
/// are done.
template <typename Type>
concept tensor_channel = channel_ticket<typename Type::ticket, typename Type::stream_type> &&
    requires(Type& channel, const Type& constant, tensor_view received, const_tensor_view sent,
             std::size_t rank, std::span<const std::size_t> counts, reduction how,
             typename Type::stream_type stream, std::optional<int> color, int key,
             std::string_view reason) {
  { Type::space } -> std::convertible_to<memory_space>;
  { constant.rank() } -> std::same_as<std::size_t>;
  { constant.size() } -> std::same_as<std::size_t>;
  { channel.send(sent, rank, stream) } -> std::same_as<typename Type::ticket>;
  { channel.receive(received, rank, stream) } -> std::same_as<typename Type::ticket>;
  { channel.all_reduce(received, how, stream) } -> std::same_as<typename Type::ticket>;
  {
    channel.reduce_scatter(sent, received, counts, how, stream)
    } -> std::same_as<typename Type::ticket>;
  { channel.all_gather(sent, received, counts, stream) } -> std::same_as<typename Type::ticket>;
  { channel.broadcast(received, rank, stream) } -> std::same_as<typename Type::ticket>;
  {
    channel.all_to_all(sent, counts, received, counts, stream)
    } -> std::same_as<typename Type::ticket>;
  { channel.begin_group() } -> std::same_as<void>;
  { channel.end_group() } -> std::same_as<typename Type::ticket>;
  { channel.split(color, key) } -> std::same_as<std::optional<Type>>;
  { channel.abort(reason) }
  noexcept->std::same_as<void>;
  { constant.log() } -> std::same_as<flight_log>;
  { constant.watch_point() } -> std::same_as<channel_watch_point>;
};

/// Calls body(), whose messages become one operation. Returns its ticket.
template <tensor_channel Channel, std::invocable Body>
typename Channel::ticket in_group(Channel& channel, const Body& body) {
  channel.begin_group();
  try {
    body();
  } catch (...) {
    // The messages before the exception are on their way: their ranks must not wait for the others.
    channel.abort("an exception within a group");
    throw;
  }
  return channel.end_group();
}

}  // namespace omnibal::inline v0
