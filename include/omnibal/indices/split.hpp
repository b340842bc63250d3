// SPDX-License-Identifier: Apache-2.0
/// @file
/// Splits of a row over the ranks of context parallelism, each a closed form with its inverse: the
/// global slot of a rank's local slot, and the rank and local slot of a global one. No table is
/// needed, so a local slot reads its label from the global row without communication.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

/// Where a global slot went.
struct rank_slot {
  std::int64_t rank = 0;
  std::int64_t slot = 0;
  friend constexpr bool operator==(const rank_slot&, const rank_slot&) noexcept = default;
};

/// No split: one rank has the whole row.
struct whole {
  std::int64_t slots = 0;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept { return slots; }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t /*rank*/,
                                                         std::int64_t local) const noexcept {
    return local;
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    return {0, slot};
  }
};

/// Rank r has the r-th part. `slots` is a multiple of `ranks`.
struct contiguous {
  std::int64_t slots = 0;
  std::int64_t ranks = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept {
    return slots / ranks;
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t rank,
                                                         std::int64_t local) const noexcept {
    return rank * local_slots() + local;
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    return {slot / local_slots(), slot % local_slots()};
  }
};

/// Rank r has every `ranks`-th slot from r on. `slots` is a multiple of `ranks`.
struct striped {
  std::int64_t slots = 0;
  std::int64_t ranks = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept {
    return slots / ranks;
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t rank,
                                                         std::int64_t local) const noexcept {
    return local * ranks + rank;
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    return {slot % ranks, slot / ranks};
  }
};

/// Of 2 · ranks chunks of the row, rank r has chunks r and 2 · ranks − 1 − r, in this order: equal
/// work under a causal mask. `slots` is a multiple of 2 · ranks.
struct zigzag_row {
  std::int64_t slots = 0;
  std::int64_t ranks = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept {
    return slots / ranks;
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t rank,
                                                         std::int64_t local) const noexcept {
    const std::int64_t chunk = slots / (2 * ranks);
    return local < chunk ? rank * chunk + local : (2 * ranks - 1 - rank) * chunk + (local - chunk);
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    const std::int64_t chunk = slots / (2 * ranks);
    const std::int64_t number = slot / chunk;
    const bool early = number < ranks;
    return {early ? number : 2 * ranks - 1 - number, (early ? 0 : chunk) + slot % chunk};
  }
};

/// zigzag_row over rings of which each place is `ulysses` ranks: rank r has part r mod ulysses of
/// ring place r / ulysses. `slots` is a multiple of 2 · ring · ulysses.
struct zigzag_ring_ulysses {
  std::int64_t slots = 0;
  std::int64_t ring = 1;
  std::int64_t ulysses = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept {
    return slots / (ring * ulysses);
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t rank,
                                                         std::int64_t local) const noexcept {
    return zigzag_row{slots, ring}.global(rank / ulysses, rank % ulysses * local_slots() + local);
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    const rank_slot place = zigzag_row{slots, ring}.local(slot);
    return {place.rank * ulysses + place.slot / local_slots(), place.slot % local_slots()};
  }
};

/// zigzag_row of each document by itself. The padded lengths are multiples of 2 · ranks, and the
/// row ends with its last document.
struct zigzag {
  document_row row;
  std::int64_t ranks = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t local_slots() const noexcept {
    return row.slots / ranks;
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t global(std::int64_t rank,
                                                         std::int64_t local) const noexcept {
    // A document begins at 1/ranks of its global begin, so its end bounds local slots alike.
    const token_cursor at = cursor_at(row, local * ranks);
    return at.begin + zigzag_row{at.end - at.begin, ranks}.global(rank, local - at.begin / ranks);
  }
  [[nodiscard]] OMNIBAL_HD constexpr rank_slot local(std::int64_t slot) const noexcept {
    const token_cursor at = cursor_at(row, slot);
    const rank_slot place = zigzag_row{at.end - at.begin, ranks}.local(at.offset());
    return {place.rank, at.begin / ranks + place.slot};
  }
};

/// Global slot → its place in the row of all slots, ordered by rank: the inverse of global(rank,
/// local).
template <typename Split>
struct place_among_ranks {
  Split split;
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t slot) const noexcept {
    const rank_slot place = split.local(slot);
    return place.rank * split.local_slots() + place.slot;
  }
};

/// Tokens (no padding) of a document of `length` tokens and `padded` slots that zigzag gives to a
/// rank.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t zigzag_tokens(std::int64_t length,
                                                              std::int64_t padded,
                                                              std::int64_t ranks,
                                                              std::int64_t rank) noexcept {
  const std::int64_t chunk = padded / (2 * ranks);
  const std::int64_t early = length - rank * chunk;
  const std::int64_t late = length - (2 * ranks - 1 - rank) * chunk;
  return (early < 0       ? 0
          : early < chunk ? early
                          : chunk) +
         (late < 0       ? 0
          : late < chunk ? late
                         : chunk);
}

/// Document → its tokens that zigzag gives to a rank.
struct zigzag_tokens_of {
  document_row row;
  std::int64_t ranks = 1;
  std::int64_t rank = 0;
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t operator()(std::int64_t document) const noexcept {
    const token_cursor at = cursor_in(row, static_cast<std::int32_t>(document), 0);
    return static_cast<std::int32_t>(zigzag_tokens(at.length, at.end - at.begin, ranks, rank));
  }
};

/// cu_seqlens of the tokens (no padding) of a rank. O(documents).
[[nodiscard]] inline std::vector<std::int32_t> zigzag_cu_seqlens(const zigzag& split,
                                                                 std::int64_t rank) {
  const zigzag_tokens_of tokens{split.row, split.ranks, rank};
  std::vector<std::int32_t> offsets{0};
  for (std::int32_t document = 0; document < split.row.documents; ++document)
    offsets.push_back(offsets.back() + tokens(document));
  return offsets;
}

/// The number, in the row, of chunk n of the zigzag order in which ranks hold chunks (rank 0's two,
/// rank 1's two, …), 0 ≤ n < 2 · ranks.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t zigzag_chunk(std::int64_t n,
                                                             std::int64_t ranks) noexcept {
  return n % 2 == 0 ? n / 2 : 2 * ranks - 1 - n / 2;
}

/// The inverse of zigzag_chunk.
[[nodiscard]] OMNIBAL_HD constexpr std::int64_t zigzag_chunk_place(std::int64_t chunk,
                                                                   std::int64_t ranks) noexcept {
  return chunk < ranks ? 2 * chunk : 2 * (2 * ranks - 1 - chunk) + 1;
}

/// Fills `place` [slots] by place_among_ranks. O(slots), times log(documents) for zigzag.
template <typename Split>
void invert_split(const Split& split, std::span<std::int64_t> place) {
  detail::tabulate(place, place_among_ranks<Split>{split});
}

namespace detail {

/// Refuses a row that does not divide into `parts` equal parts.
inline void require_divisible(std::int64_t slots, std::int64_t parts, std::string_view field) {
  if (slots % parts != 0)
    throw invalid_input(field, slots,
                        "must be a multiple of " + std::to_string(parts) + "; the next is " +
                            std::to_string(round_up(slots, parts)));
}

}  // namespace detail

}  // namespace omnibal::inline v0::indices
