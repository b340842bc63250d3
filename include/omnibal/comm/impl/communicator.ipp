// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE communication_error::communication_error(std::size_t rank,
                                                        std::string_view operation,
                                                        std::uint64_t sequence,
                                                        std::string_view reason)
    : std::runtime_error("rank " + std::to_string(rank) + ", " + std::string(operation) + " #" +
                         std::to_string(sequence) + ": " + std::string(reason)),
      rank_(rank),
      operation_(operation),
      sequence_(sequence) {}

namespace detail {

OMNIBAL_INLINE void require_rank(std::string_view field, std::size_t rank, std::size_t size) {
  if (rank >= size)
    throw invalid_input(field, rank, "must be a rank below " + std::to_string(size));
}

OMNIBAL_INLINE void require_peer(std::string_view field, std::size_t peer, std::size_t rank,
                                 std::size_t size) {
  require_rank(field, peer, size);
  if (peer == rank) throw invalid_input(field, peer, "must be another rank");
}

OMNIBAL_INLINE void require_color(std::optional<int> color) {
  if (color && *color < 0) throw invalid_input("color", *color, "must not be negative");
}

OMNIBAL_INLINE std::string on_rank(std::size_t rank) { return "rank " + std::to_string(rank); }

OMNIBAL_INLINE std::string size_mismatch(std::size_t from, std::uint64_t sent, std::size_t to,
                                         std::uint64_t expected) {
  return on_rank(from) + " sends " + std::to_string(sent) + " bytes to " + on_rank(to) +
         ", which expects " + std::to_string(expected);
}

OMNIBAL_INLINE std::vector<std::size_t> sorted_ranks(std::vector<std::size_t> ranks) {
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

OMNIBAL_INLINE std::string list_ranks(std::span<const std::size_t> ranks) {
  std::string text;
  for (const std::size_t rank : ranks) text += (text.empty() ? "" : ", ") + std::to_string(rank);
  return text.empty() ? text : (ranks.size() == 1 ? "rank " : "ranks ") + text;
}

OMNIBAL_INLINE void require_counts(std::string_view field, std::span<const std::size_t> counts,
                                   std::size_t size, std::size_t bytes) {
  if (counts.size() != size)
    throw invalid_input(std::string(field) + ".size()", counts.size(),
                        "must be the number of ranks, " + std::to_string(size));
  std::size_t total = 0;
  for (const std::size_t count : counts) total = checked_add(total, count, field);
  if (total != bytes)
    throw invalid_input("sum of " + std::string(field), total,
                        "must be the size of the buffer, " + std::to_string(bytes));
}

OMNIBAL_INLINE void require_all_gather(std::span<const std::byte> sent,
                                       std::span<std::byte> received,
                                       std::span<const std::size_t> counts, std::size_t rank,
                                       std::size_t size) {
  require_counts("counts", counts, size, received.size());
  if (counts[rank] != sent.size())
    throw invalid_input("counts", rank, counts[rank],
                        "must be what this rank sends, " + std::to_string(sent.size()));
}

OMNIBAL_INLINE void require_all_to_all(std::span<const std::byte> sent,
                                       std::span<const std::size_t> sent_counts,
                                       std::span<std::byte> received,
                                       std::span<const std::size_t> received_counts,
                                       std::size_t size) {
  require_counts("sent_counts", sent_counts, size, sent.size());
  require_counts("received_counts", received_counts, size, received.size());
}

}  // namespace detail

}  // namespace omnibal::inline v0
