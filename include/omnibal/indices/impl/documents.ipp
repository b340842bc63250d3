// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

OMNIBAL_INLINE document_summary summarize(std::span<const std::int64_t> lengths,
                                          std::int64_t multiple) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  require_at_least(multiple, 1, "multiple");
  if (multiple > most) throw invalid_input("multiple", multiple, "must be at most 2147483647");
  document_summary row{.documents = static_cast<std::int64_t>(lengths.size())};
  for (std::size_t d = 0; d < lengths.size(); ++d) {
    if (lengths[d] < 0) throw invalid_input("lengths", d, lengths[d], "must not be negative");
    if (lengths[d] > most)
      throw invalid_input("lengths", d, lengths[d],
                          "must be at most 2147483647: offsets are int32");
    const std::int64_t padded = round_up(lengths[d], multiple);
    row.tokens += lengths[d];
    row.slots_used += padded;
    row.longest = std::max(row.longest, lengths[d]);
    row.longest_padded = std::max(row.longest_padded, padded);
    if (row.slots_used > most)
      throw invalid_input(
          "lengths", d, lengths[d],
          "makes more than 2147483647 slots with those before it: offsets are int32");
  }
  return row;
}

OMNIBAL_INLINE void cumulate_lengths(std::span<const std::int64_t> lengths, std::int64_t multiple,
                                     std::int64_t tail, std::span<std::int32_t> offsets) {
  if (offsets.empty()) return;
  std::int64_t end = 0;
  offsets[0] = 0;
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    if (i <= lengths.size())
      end += round_up(lengths[i - 1], multiple);
    else if (i == lengths.size() + 1)
      end += tail;
    offsets[i] = static_cast<std::int32_t>(end);
  }
}

}  // namespace detail

OMNIBAL_INLINE document_summary lay_documents(std::span<const std::int64_t> lengths,
                                              const document_layout& layout,
                                              const document_arrays& arrays) {
  detail::require_at_least(layout.documents, 0, "documents");
  detail::require_at_least(layout.slots, 0, "slots");
  static_cast<void>(detail::narrow(layout.documents, "documents"));
  static_cast<void>(detail::narrow(layout.slots, "slots"));
  if (lengths.size() > static_cast<std::size_t>(layout.documents))
    throw invalid_input("number of lengths", lengths.size(),
                        "must be at most the capacity, " + std::to_string(layout.documents));
  document_summary summary = detail::summarize(lengths, layout.multiple);
  if (summary.slots_used > layout.slots)
    throw invalid_input(
        "slots", layout.slots,
        "must be at least what the documents need, " + std::to_string(summary.slots_used));
  summary.tail = layout.slots - summary.slots_used;
  detail::require_size(arrays.cu_seqlens, offset_count(layout), "cu_seqlens");
  detail::require_size(arrays.cu_seqlens_padded, offset_count(layout), "cu_seqlens_padded");
  const std::int64_t counted = layout.tail == tail_policy::counted ? summary.tail : 0;
  detail::cumulate_lengths(lengths, 1, counted, arrays.cu_seqlens);
  detail::cumulate_lengths(lengths, layout.multiple, counted, arrays.cu_seqlens_padded);
  return summary;
}

OMNIBAL_INLINE document_row laid_documents::row() const noexcept {
  return {.cu_seqlens = cu_seqlens.data(),
          .cu_seqlens_padded = cu_seqlens_padded.data(),
          .documents = static_cast<std::int32_t>(summary.documents),
          .slots = summary.slots_used + summary.tail};
}

OMNIBAL_INLINE laid_documents lay_row(std::span<const std::int64_t> lengths,
                                      std::optional<std::int64_t> slots, std::int64_t multiple) {
  const document_layout layout{
      .documents = static_cast<std::int64_t>(lengths.size()),
      .slots = slots ? *slots : detail::summarize(lengths, multiple).slots_used,
      .multiple = multiple,
      .tail = tail_policy::left_out};
  laid_documents laid;
  laid.cu_seqlens.resize(offset_count(layout));
  laid.cu_seqlens_padded.resize(offset_count(layout));
  laid.summary = lay_documents(lengths, layout, {laid.cu_seqlens, laid.cu_seqlens_padded});
  return laid;
}

}  // namespace omnibal::inline v0::indices
