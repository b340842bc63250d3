// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/offsets.hpp>
#include <omnibal/indices/split.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

/// `least`, powers of two up to `doubling_limit`, then its multiples.
OMNIBAL_INLINE std::int64_t capacity_class(std::int64_t value, std::int64_t least,
                                           std::int64_t doubling_limit) {
  if (value <= least) return least;
  if (value > doubling_limit) return round_up(value, doubling_limit);
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(value)));
}

/// [0, f(0), f(0) + f(1), …] in int32.
template <typename Function>
std::vector<std::int32_t> cumulate(std::size_t count, std::string_view field, const Function& f) {
  std::vector<std::int32_t> sums(count + 1);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum = checked_add<std::int64_t>(sum, f(i), field);
    sums[i + 1] = narrow(sum, field);
  }
  return sums;
}

}  // namespace detail

OMNIBAL_INLINE ragged_multipliers multipliers_of(const attention_shape& shape) {
  detail::require_at_least(shape.heads, 1, "heads");
  detail::require_at_least(shape.kv_heads, 1, "kv_heads");
  detail::require_at_least(shape.head_dim, 1, "head_dim");
  detail::require_at_least(shape.v_head_dim, 1, "v_head_dim");
  const auto times = [](std::int64_t a, std::int64_t b) {
    return std::int64_t{detail::narrow(checked_multiply(a, b, "head_dim"), "heads x head_dim")};
  };
  const std::int64_t q = times(shape.heads, shape.head_dim);
  const std::int64_t k = times(shape.kv_heads, shape.head_dim);
  ragged_multipliers elements{.q = q,
                              .k = k,
                              .v = times(shape.kv_heads, shape.v_head_dim),
                              .o = times(shape.heads, shape.v_head_dim),
                              .stats = shape.heads};
  if (shape.layout == qkv_layout::packed_qkv) elements.q = elements.k = elements.v = 3 * q;
  if (shape.layout == qkv_layout::packed_kv) elements.k = elements.v = 2 * k;
  return elements;
}

OMNIBAL_INLINE std::int64_t cudnn_batch_capacity(std::int64_t documents) {
  return detail::capacity_class(documents, 32, 512);
}

OMNIBAL_INLINE std::int64_t cudnn_token_capacity(std::int64_t tokens) {
  return detail::capacity_class(tokens, 1024, 32768);
}

OMNIBAL_INLINE bool cudnn_needs_int64(const ragged_multipliers& elements,
                                      std::int64_t q_token_capacity,
                                      std::int64_t kv_token_capacity) noexcept {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  return std::max(elements.q, elements.o) > most / q_token_capacity ||
         std::max(elements.k, elements.v) > most / kv_token_capacity;
}

OMNIBAL_INLINE flashinfer_offsets lay_flashinfer(std::span<const std::int64_t> lengths,
                                                 std::span<const std::int64_t> kv_lengths,
                                                 std::int64_t page) {
  detail::require_at_least(page, 1, "page");
  if (kv_lengths.size() != lengths.size())
    throw invalid_input("number of kv_lengths", kv_lengths.size(), "must be that of the lengths");
  const std::size_t documents = lengths.size();
  flashinfer_offsets laid;
  laid.qo_indptr = lay_row(lengths).cu_seqlens;
  laid.kv_indptr = lay_row(kv_lengths).cu_seqlens;
  laid.mask_indptr = detail::cumulate(documents, "mask_indptr",
                                      [&](std::size_t d) { return lengths[d] * kv_lengths[d]; });
  laid.page_indptr = detail::cumulate(documents, "page_indptr", [&](std::size_t d) {
    return divide_rounding_up(kv_lengths[d], page);
  });
  for (const std::int64_t keys : kv_lengths)
    laid.last_page_len.push_back(keys == 0 ? 0 : static_cast<std::int32_t>((keys - 1) % page + 1));
  return laid;
}

OMNIBAL_INLINE chunk_offsets lay_chunks(std::span<const std::int64_t> lengths, std::int64_t chunk) {
  detail::require_at_least(chunk, 1, "chunk");
  const laid_documents row = lay_row(lengths);
  chunk_offsets chunks;
  chunks.offsets = detail::cumulate(lengths.size(), "chunk_offsets", [&](std::size_t d) {
    return divide_rounding_up(lengths[d], chunk);
  });
  for (std::size_t d = 0; d < lengths.size(); ++d)
    for (std::int32_t c = 0; c < chunks.offsets[d + 1] - chunks.offsets[d]; ++c) {
      chunks.indices.insert(chunks.indices.end(), {static_cast<std::int32_t>(d), c});
      chunks.split_cu_seqlens.push_back(static_cast<std::int32_t>(row.cu_seqlens[d] + c * chunk));
    }
  chunks.split_cu_seqlens.push_back(row.cu_seqlens.back());
  return chunks;
}

OMNIBAL_INLINE gathered_view view_contiguous(std::span<const std::int32_t> cu_seqlens,
                                             std::int64_t ranks, std::int64_t rank, bool causal) {
  if (cu_seqlens.empty()) throw invalid_input("cu_seqlens", 0, "entries: must be at least 1");
  detail::require_at_least(ranks, 1, "ranks");
  detail::require_at_least(rank, 0, "rank");
  if (rank >= ranks) throw invalid_input("rank", rank, "must be less than the number of ranks");
  detail::require_divisible(cu_seqlens.back(), ranks, "tokens");
  const std::int64_t lo = cu_seqlens.back() / ranks * rank;
  const std::int64_t hi = lo + cu_seqlens.back() / ranks;
  const auto place = [&](std::int64_t slot) {
    return std::lower_bound(cu_seqlens.begin(), cu_seqlens.end(), slot) - cu_seqlens.begin();
  };
  const auto a = static_cast<std::size_t>(place(lo)) -
                 (cu_seqlens[static_cast<std::size_t>(place(lo))] == lo ? 0U : 1U);
  const auto b = static_cast<std::size_t>(place(hi));
  gathered_view view{.k_begin = cu_seqlens[a], .k_end = causal ? hi : cu_seqlens[b]};
  for (std::size_t d = a; d <= b; ++d) {
    const std::int64_t begin = cu_seqlens[d];
    view.cu_seqlens_q.push_back(static_cast<std::int32_t>(std::clamp(begin, lo, hi) - lo));
    view.cu_seqlens_k.push_back(static_cast<std::int32_t>(begin - view.k_begin));
  }
  view.cu_seqlens_k.back() = static_cast<std::int32_t>(view.k_end - view.k_begin);
  const auto longest = [](const std::vector<std::int32_t>& offsets) {
    std::int64_t most = 0;
    for (std::size_t i = 1; i < offsets.size(); ++i)
      most = std::max<std::int64_t>(most, offsets[i] - offsets[i - 1]);
    return most;
  };
  view.max_seqlen_q = longest(view.cu_seqlens_q);
  view.max_seqlen_k = longest(view.cu_seqlens_k);
  return view;
}

}  // namespace omnibal::inline v0::indices
