// SPDX-License-Identifier: Apache-2.0
/// @file
/// The communicator concept, for control: blocking operations on bytes of host memory, by which
/// ranks agree on plans, counts and ids, and report to each other that one of them has failed.
/// Models: thread_communicator (ranks are threads of one process), mpi_communicator,
/// nccl_communicator. Typed operations are in collectives.hpp; tensors go through a tensor_channel.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// A fixed set of ranks 0 … size() − 1 that call the same collective operations in the same order.
/// Buffers are host memory, sizes are in bytes and may be zero, and `sent` must not overlap
/// `received`. All operations block until `received` is complete.
///
/// - `broadcast_bytes(buffer, root)`: copies the buffer of `root` to all ranks, of equal sizes.
/// - `all_gather_bytes(sent, received, counts)`: `received` becomes the `sent` of all ranks, in
///   rank order; `counts`, the same on every rank, is the size of `sent` by rank.
/// - `all_to_all_bytes(sent, sent_counts, received, received_counts)`: `sent` consists of one part
///   per rank, of the sizes `sent_counts`; `received` becomes the parts sent to this rank, in rank
///   order. The size sent from rank i to rank j must be equal on both.
/// - `send_bytes(sent, to)` and `receive_bytes(received, from)` are a pair on two different ranks,
///   of equal sizes. A send returns once its bytes are received: two ranks that both send first
///   wait for each other until the deadline.
/// - `split(color, key)`: ranks that pass the same color, which is not negative, form a
///   communicator of their own, ordered by key and then by rank. A rank without color gets
///   std::nullopt.
/// - `abort(reason)`: this and every later operation of every rank fails with the reason. Whether
///   that ends communicators that were split off, each model says.
///
/// A rank that is destroyed leaves the others: what waits for it is an error, at once where the
/// model can know and else at the deadline. docs/communication.md says what each model detects.
///
/// An argument that is invalid by itself throws invalid_input before anything is sent; errors
/// between ranks throw communication_error.
template <typename Type>
concept communicator = requires(Type& ranks, std::span<std::byte> received,
                                std::span<const std::byte> sent,
                                std::span<const std::size_t> counts, std::size_t root,
                                std::optional<int> color, int key, std::string_view reason) {
  { std::as_const(ranks).rank() } -> std::same_as<std::size_t>;
  { std::as_const(ranks).size() } -> std::same_as<std::size_t>;
  { ranks.broadcast_bytes(received, root) } -> std::same_as<void>;
  { ranks.all_gather_bytes(sent, received, counts) } -> std::same_as<void>;
  { ranks.all_to_all_bytes(sent, counts, received, counts) } -> std::same_as<void>;
  { ranks.send_bytes(sent, root) } -> std::same_as<void>;
  { ranks.receive_bytes(received, root) } -> std::same_as<void>;
  { ranks.split(color, key) } -> std::same_as<std::optional<Type>>;
  { ranks.abort(reason) }
  noexcept->std::same_as<void>;
};

/// Thrown when communication fails: ranks call different operations or pass sizes that do not
/// match, a rank is missing at the deadline, or the underlying library reports an error. `what()`
/// names place and reason: `rank 2, all_gather #7: rank 0 called broadcast, rank 1 called
/// all_gather`. The communicator that threw it cannot be used again.
class communication_error : public std::runtime_error {
 public:
  /// `sequence` is the number of collective operations that this communicator completed before; of
  /// a send or a receive the number of messages before it from the one rank to the other.
  communication_error(std::size_t rank, std::string_view operation, std::uint64_t sequence,
                      std::string_view reason);

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] const std::string& operation() const noexcept { return operation_; }
  [[nodiscard]] std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  std::size_t rank_;
  std::string operation_;
  std::uint64_t sequence_;
};

namespace detail {

void require_rank(std::string_view field, std::size_t rank, std::size_t size);

void require_peer(std::string_view field, std::size_t peer, std::size_t rank, std::size_t size);

void require_color(std::optional<int> color);

[[nodiscard]] std::string on_rank(std::size_t rank);

/// "rank 1 sends 4 bytes to rank 2, which expects 8".
[[nodiscard]] std::string size_mismatch(std::size_t from, std::uint64_t sent, std::size_t to,
                                        std::uint64_t expected);

/// Ascending, each once.
[[nodiscard]] std::vector<std::size_t> sorted_ranks(std::vector<std::size_t> ranks);

/// "rank 2" or "ranks 1, 2"; empty for no ranks.
[[nodiscard]] std::string list_ranks(std::span<const std::size_t> ranks);

/// Throws unless there is one count per rank and they add up to `bytes`.
void require_counts(std::string_view field, std::span<const std::size_t> counts, std::size_t size,
                    std::size_t bytes);

void require_all_gather(std::span<const std::byte> sent, std::span<std::byte> received,
                        std::span<const std::size_t> counts, std::size_t rank, std::size_t size);

void require_all_to_all(std::span<const std::byte> sent, std::span<const std::size_t> sent_counts,
                        std::span<std::byte> received, std::span<const std::size_t> received_counts,
                        std::size_t size);

}  // namespace detail

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/communicator.ipp>
#endif
