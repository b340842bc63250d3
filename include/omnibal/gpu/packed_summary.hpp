// SPDX-License-Identifier: Apache-2.0
/// @file
/// The definition of packed-attention indices per document and per token: functions that the device
/// kernels and the host tests share. Does not need CUDA.
///
/// A pack of B documents (sub-sequences) with lengths l₀ … l_B₋₁ occupies one row of token slots:
/// document d the slots cu_seqlens[d] … cu_seqlens[d + 1] − 1. Slots after the last document are
/// padding, which counts as one more document, number B.
#pragma once

#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::gpu {

/// A summary of consecutive documents of a pack. The summary of all documents contains whether
/// their lengths were valid, so that device code and graphs can check it without the host.
struct packed_summary {
  std::int64_t tokens = 0;           ///< Σ lengths; a negative one counts as 0.
  std::int32_t max_seqlen = 0;       ///< The longest length.
  std::int32_t first_negative = -1;  ///< The first document with a negative length, or −1.
};

/// Whether the lengths were valid: none negative, and all tokens fit into `slots` and int32.
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid(const packed_summary& pack,
                                                 std::int64_t slots) noexcept {
  return pack.first_negative < 0 && pack.tokens <= INT32_MAX && pack.tokens <= slots;
}

namespace detail {

/// Document number → the summary of this document alone. Lengths are an address, or hold the
/// lengths themselves.
template <typename Lengths = const std::int32_t*>
struct summarize_document {
  Lengths lengths;

  [[nodiscard]] OMNIBAL_HD constexpr packed_summary operator()(
      std::int64_t document) const noexcept {
    const std::int32_t length = lengths[document];
    if (length < 0) return {.first_negative = static_cast<std::int32_t>(document)};
    return {.tokens = length, .max_seqlen = length};
  }
};

/// The summary of some documents and those that follow them. Associative; {} is its identity.
/// 2³¹ documents of 2³¹ tokens do not overflow it.
struct append_summary {
  [[nodiscard]] OMNIBAL_HD constexpr packed_summary operator()(
      const packed_summary& before, const packed_summary& after) const noexcept {
    return {
        .tokens = before.tokens + after.tokens,
        .max_seqlen = before.max_seqlen < after.max_seqlen ? after.max_seqlen : before.max_seqlen,
        .first_negative =
            before.first_negative >= 0 ? before.first_negative : after.first_negative};
  }
};

/// Receives the summary of documents 0 … d for each d and stores cu_seqlens and the final summary.
/// Too many tokens are stored as the largest int32, so that offsets stay ascending and readers in
/// bounds.
struct store_summary {
  std::int32_t* cu_seqlens;
  packed_summary* summary;
  std::int32_t documents;

  OMNIBAL_HD constexpr void operator()(std::ptrdiff_t document,
                                       const packed_summary& pack) const noexcept {
    cu_seqlens[document + 1] =
        pack.tokens < INT32_MAX ? static_cast<std::int32_t>(pack.tokens) : INT32_MAX;
    if (document == 0) cu_seqlens[0] = 0;
    if (document + 1 == documents) *summary = pack;
  }

  /// Where there are no documents.
  OMNIBAL_HD constexpr void finish(const packed_summary& /*all*/, unsigned thread,
                                   unsigned /*threads*/) const noexcept {
    if (documents != 0 || thread != 0) return;
    cu_seqlens[0] = 0;
    *summary = {};
  }
};

/// The document of a slot: the number of documents that end at or before it; `documents` for the
/// padding. O(log documents).
[[nodiscard]] OMNIBAL_HD constexpr std::int32_t document_of(const std::int32_t* cu_seqlens,
                                                            std::int32_t documents,
                                                            std::int64_t slot) noexcept {
  std::int32_t low = 0;
  std::int32_t high = documents;
  while (low < high) {
    const std::int32_t middle = low + (high - low) / 2;
    if (cu_seqlens[middle + 1] <= slot)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// Stores the position and the document of a slot in the arrays there are.
template <typename Position>
struct store_token {
  Position* position_ids;
  std::int32_t* sequence_index;

  /// The document's slots are begin … end − 1.
  OMNIBAL_HD constexpr void operator()(std::int64_t slot, std::int32_t document, std::int64_t begin,
                                       std::int64_t /*end*/) const noexcept {
    if (position_ids != nullptr) position_ids[slot] = static_cast<Position>(slot - begin);
    if (sequence_index != nullptr) sequence_index[slot] = document;
  }
};

}  // namespace detail

}  // namespace omnibal::inline v0::gpu
