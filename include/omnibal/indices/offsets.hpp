// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets that single consumers derive from the lengths: cuDNN's ragged tensors, FlashInfer's
/// indptr arrays, chunks of linear attention, FlashAttention 4's tile-padded offsets, and the
/// queries and keys of a rank whose keys are gathered.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>

namespace omnibal::inline v0::indices {

/// How q, k and v lie in memory: apart (hd_hd_hd), all in one tensor (packed_qkv: 3hd, h3d), or k
/// and v in one (packed_kv: hd_2hd, hd_h2d).
enum class qkv_layout : std::int32_t { apart, packed_qkv, packed_kv };

/// The attention whose offsets cuDNN takes.
struct attention_shape {
  qkv_layout layout = qkv_layout::apart;
  std::int64_t heads = 1;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 1;
  std::int64_t v_head_dim = 1;
};

/// Elements of one token in each ragged tensor.
struct ragged_multipliers {
  std::int64_t q = 1;
  std::int64_t k = 1;
  std::int64_t v = 1;
  std::int64_t o = 1;
  std::int64_t stats = 1;
};
[[nodiscard]] ragged_multipliers multipliers_of(const attention_shape& shape);

/// Documents for which TransformerEngine builds one cuDNN graph: 32, then powers of two up to 512,
/// then multiples of 512.
[[nodiscard]] std::int64_t cudnn_batch_capacity(std::int64_t documents);

/// The same for tokens: 1024, powers of two up to 32768, then multiples of 32768.
[[nodiscard]] std::int64_t cudnn_token_capacity(std::int64_t tokens);

/// Whether an offset of q, k, v or o may pass int32 at these capacities.
[[nodiscard]] bool cudnn_needs_int64(const ragged_multipliers& elements,
                                     std::int64_t q_token_capacity,
                                     std::int64_t kv_token_capacity) noexcept;

/// Entry → element offset: multiplier · cu_seqlens_padded[min(entry, documents)].
struct ragged_offset {
  const std::int32_t* cu_seqlens_padded = nullptr;
  std::int32_t documents = 0;
  std::int64_t multiplier = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t entry) const noexcept {
    return multiplier * cu_seqlens_padded[entry < documents ? entry : documents];
  }
};

/// FlashInfer's arrays. It plans on the host: give it these, not device memory.
struct flashinfer_offsets {
  std::vector<std::int32_t> qo_indptr = {};      ///< cumulated lengths
  std::vector<std::int32_t> kv_indptr = {};      ///< cumulated kv lengths
  std::vector<std::int32_t> mask_indptr = {};    ///< cumulated length · kv length
  std::vector<std::int32_t> page_indptr = {};    ///< cumulated pages, ⌈kv length / page⌉
  std::vector<std::int32_t> last_page_len = {};  ///< keys on the last page; 0 for no keys
};
/// Throws invalid_input where a sum does not fit int32: mask_indptr does from one document of
/// 46,341 tokens on.
[[nodiscard]] flashinfer_offsets lay_flashinfer(std::span<const std::int64_t> lengths,
                                                std::span<const std::int64_t> kv_lengths,
                                                std::int64_t page);

/// Chunks of linear attention: each document is cut into chunks of `chunk` tokens, its last one
/// shorter.
struct chunk_offsets {
  std::vector<std::int32_t> offsets = {};  ///< [documents + 1] cumulated numbers of chunks
  std::vector<std::int32_t> indices = {};  ///< [chunks × 2] document, chunk in it
  std::vector<std::int32_t> split_cu_seqlens =
      {};  ///< [chunks + 1] where chunks start, then the total
};
[[nodiscard]] chunk_offsets lay_chunks(std::span<const std::int64_t> lengths, std::int64_t chunk);

/// Document → where it begins in FlashAttention 4's tile-padded tensors.
struct tile_padded_offset {
  const std::int32_t* cu_seqlens = nullptr;
  std::int64_t tile = 1;

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(std::int64_t document) const noexcept {
    return (cu_seqlens[document] + document * tile) / tile * tile;
  }
};

/// What a rank that holds slots [lo, hi) of a row attends with when keys are gathered: the
/// documents that its slots touch, cut to them.
struct gathered_view {
  std::vector<std::int32_t> cu_seqlens_q = {};  ///< queries of the rank
  std::vector<std::int32_t> cu_seqlens_k = {};  ///< keys within [k_begin, k_end)
  std::int64_t max_seqlen_q = 0;
  std::int64_t max_seqlen_k = 0;
  std::int64_t k_begin = 0;
  std::int64_t k_end = 0;
};

/// The view of `rank` of `ranks` on a row of `documents`. Causal keys end with the last query, and
/// then queries are aligned to the end of their document's keys. Empty documents at lo are kept,
/// those at hi are not. Throws invalid_input where the tokens are no multiple of `ranks`.
/// O(log(documents) + those touched).
[[nodiscard]] gathered_view view_contiguous(std::span<const std::int32_t> cu_seqlens,
                                            std::int64_t ranks, std::int64_t rank, bool causal);

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/offsets.ipp>
#endif
