// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets of the documents of a row: cu_seqlens, plain and padded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

/// Outputs of lay_documents, each optional: an empty span is not written.
struct document_arrays {
  std::span<std::int32_t> cu_seqlens = {};         ///< [offset_count(layout)]
  std::span<std::int32_t> cu_seqlens_padded = {};  ///< [offset_count(layout)]
};

/// What the host knows of a row.
struct document_summary {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;          ///< Σ lengths
  std::int64_t slots_used = 0;      ///< Σ padded lengths
  std::int64_t tail = 0;            ///< slots − slots_used
  std::int64_t longest = 0;         ///< of the lengths; 0 without documents
  std::int64_t longest_padded = 0;  ///< of the padded lengths
};

/// Lays documents into a row, one after the other. cu_seqlens: [0, l₀, l₀ + l₁, …];
/// cu_seqlens_padded: the same of the lengths rounded up to the layout's multiple. With the tail
/// counted, both go on with the tail's slots as one more document. Then the last value is repeated
/// to the end.
///
/// Throws invalid_input for more documents than the layout has, a negative length, documents that
/// need more slots than the layout has, and a layout of more than 2³¹ − 1 slots.
/// O(layout.documents).
document_summary lay_documents(std::span<const std::int64_t> lengths, const document_layout& layout,
                               const document_arrays& arrays = {});

/// A row with its offsets: lengths laid without a capacity and without the tail among the offsets.
struct laid_documents {
  std::vector<std::int32_t> cu_seqlens = {};         ///< [documents + 1]
  std::vector<std::int32_t> cu_seqlens_padded = {};  ///< [documents + 1]
  document_summary summary = {};

  /// A view of the row, valid as long as this object.
  [[nodiscard]] document_row row() const noexcept;
};

/// lay_documents into vectors. `slots` as in the layout; without it, the row has no tail.
[[nodiscard]] laid_documents lay_row(std::span<const std::int64_t> lengths,
                                     std::optional<std::int64_t> slots = std::nullopt,
                                     std::int64_t multiple = 1);

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/documents.ipp>
#endif
