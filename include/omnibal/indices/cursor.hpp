// SPDX-License-Identifier: Apache-2.0
/// @file
/// A row of packed documents and what one slot of it knows. Every array with an entry per slot is a
/// function of this *cursor*: a struct of raw pointers and constants with a const call operator,
/// which a host loop, a parallel algorithm and a device kernel can all run. Does not need CUDA.
///
/// Document d has `length` tokens, 0 allowed, and owns the slots cu_seqlens_padded[d] …
/// cu_seqlens_padded[d + 1] − 1: its tokens first, then its padding. Slots after the last document
/// are the tail. The document of a slot is the number of documents that end at or before it, so
/// empty documents own nothing and the tail has the number of documents.
#pragma once

#include <cstddef>
#include <cstdint>

#include <omnibal/config.hpp>

namespace omnibal::inline v0::indices {

/// Where documents lie in a row of slots. Both offset arrays have at least documents + 1 entries
/// and ascend; without padding they are the same array.
struct document_row {
  const std::int32_t* cu_seqlens = nullptr;         ///< cumulated lengths
  const std::int32_t* cu_seqlens_padded = nullptr;  ///< where the slots of each document begin
  std::int32_t documents = 0;
  std::int64_t slots = 0;  ///< tail included
};

/// What one slot knows of its document.
struct token_cursor {
  std::int64_t slot = 0;
  std::int64_t begin = 0;     ///< first slot of the document, or of the tail
  std::int64_t end = 0;       ///< one past its last slot
  std::int64_t length = 0;    ///< tokens of the document; 0 in the tail
  std::int32_t document = 0;  ///< `documents` of the row in the tail
  bool in_tail = false;

  /// The position in the document.
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t offset() const noexcept { return slot - begin; }
  /// Whether the slot holds no token.
  [[nodiscard]] OMNIBAL_HD constexpr bool is_padding() const noexcept { return offset() >= length; }
};

/// The place of the first of `count` ascending values that is greater than `value`. O(log count).
template <typename Integer>
[[nodiscard]] OMNIBAL_HD constexpr std::int32_t first_greater(const Integer* values,
                                                              std::int32_t count,
                                                              std::int64_t value) noexcept {
  std::int32_t low = 0;
  std::int32_t high = count;
  while (low < high) {
    const std::int32_t middle = low + (high - low) / 2;
    if (static_cast<std::int64_t>(values[middle]) <= value)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// The cursor of a slot whose document and its slots begin … end − 1 are known. O(1).
[[nodiscard]] OMNIBAL_HD constexpr token_cursor cursor_between(const document_row& row,
                                                               std::int64_t slot,
                                                               std::int32_t document,
                                                               std::int64_t begin,
                                                               std::int64_t end) noexcept {
  const bool in_tail = document >= row.documents;
  return {.slot = slot,
          .begin = begin,
          .end = end,
          .length = in_tail ? 0 : row.cu_seqlens[document + 1] - row.cu_seqlens[document],
          .document = document,
          .in_tail = in_tail};
}

/// The cursor of a slot whose document is known. O(1).
[[nodiscard]] OMNIBAL_HD constexpr token_cursor cursor_in(const document_row& row,
                                                          std::int32_t document,
                                                          std::int64_t slot) noexcept {
  return cursor_between(row, slot, document, row.cu_seqlens_padded[document],
                        document < row.documents ? row.cu_seqlens_padded[document + 1] : row.slots);
}

/// The cursor of slot 0 … row.slots − 1. O(log documents).
[[nodiscard]] OMNIBAL_HD constexpr token_cursor cursor_at(const document_row& row,
                                                          std::int64_t slot) noexcept {
  return cursor_in(row, first_greater(row.cu_seqlens_padded + 1, row.documents, slot), slot);
}

/// A function of a cursor as a function of a slot: what a kernel or std::transform calls.
template <typename Function>
struct by_slot {
  document_row row;
  Function function;

  [[nodiscard]] OMNIBAL_HD constexpr auto operator()(std::int64_t slot) const noexcept {
    return function(cursor_at(row, slot));
  }
};

}  // namespace omnibal::inline v0::indices
