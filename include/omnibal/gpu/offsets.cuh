// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets that single consumers derive from a row that lay_documents has laid, on the device: the
/// tokens of a rank under zigzag, chunks of linear attention, cuDNN's element offsets,
/// FlashAttention 4's tile-padded offsets. The device form of indices/offsets.hpp. What consumers
/// plan on the host (FlashInfer, gathered keys) stays there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/offsets.hpp>
#include <omnibal/indices/split.hpp>

namespace omnibal::inline v0::gpu {

/// cu_seqlens [documents + 1] of the tokens (no padding) that zigzag gives a rank. One kernel.
/// Padded lengths are multiples of 2 · ranks. Each function of this header returns
/// cudaErrorInvalidValue for what its waiting form refuses, allocates nothing and may be captured.
cudaError_t lay_rank_async(const indices::zigzag& split, std::int64_t rank,
                           std::span<std::int32_t> cu_seqlens, cudaStream_t stream) noexcept;
/// The same, and waits for it, as the other waiting forms. Throws invalid_input and cuda_error.
void lay_rank(const indices::zigzag& split, std::int64_t rank, std::span<std::int32_t> cu_seqlens,
              cudaStream_t stream = nullptr);

/// Outputs of lay_chunks in device memory, for c chunks at most: the row's slots, or documents +
/// ⌊slots / chunk⌋, are a bound that the host knows. Entries behind the last chunk are −1 in
/// `indices` and the number of tokens in `split_cu_seqlens`.
struct device_chunk_arrays {
  std::span<std::int32_t> offsets = {};           ///< [documents + 1], needed
  std::span<std::int32_t> indices = {};           ///< [c × 2] document, chunk in it
  std::span<std::int32_t> split_cu_seqlens = {};  ///< [c + 1]
};
/// Chunks of linear attention, as indices::lay_chunks. Two kernels. O(documents + c · log
/// documents).
cudaError_t lay_chunks_async(const indices::document_row& row, std::int64_t chunk,
                             const device_chunk_arrays& arrays, cudaStream_t stream) noexcept;
void lay_chunks(const indices::document_row& row, std::int64_t chunk,
                const device_chunk_arrays& arrays, cudaStream_t stream = nullptr);

/// cuDNN's element offsets in device memory, int32 or int64 (cudnn_needs_int64): any number of
/// entries, which repeat the last document's end. An empty span is not written.
template <typename Offset>
struct device_ragged_arrays {
  std::span<Offset> q = {};
  std::span<Offset> k = {};
  std::span<Offset> v = {};
  std::span<Offset> o = {};
  std::span<Offset> stats = {};
};
/// Entry n of each is its multiplier · cu_seqlens_padded[min(n, documents)]: of `q_row` for q, o
/// and stats, of `kv_row` for k and v. One kernel. Refuses int32 where a multiplier times the
/// row's slots does not fit.
template <typename Offset>
cudaError_t ragged_offsets_async(const indices::document_row& q_row,
                                 const indices::document_row& kv_row,
                                 const indices::ragged_multipliers& elements,
                                 const device_ragged_arrays<Offset>& arrays,
                                 cudaStream_t stream) noexcept;
template <typename Offset>
void ragged_offsets(const indices::document_row& q_row, const indices::document_row& kv_row,
                    const indices::ragged_multipliers& elements,
                    const device_ragged_arrays<Offset>& arrays, cudaStream_t stream = nullptr);

/// Entry d [documents] is where document d begins in FlashAttention 4's tile-padded tensors. One
/// kernel. Refuses a tile with which an offset may pass int32.
cudaError_t tile_padded_offsets_async(const indices::document_row& row, std::int64_t tile,
                                      std::span<std::int32_t> offsets,
                                      cudaStream_t stream) noexcept;
void tile_padded_offsets(const indices::document_row& row, std::int64_t tile,
                         std::span<std::int32_t> offsets, cudaStream_t stream = nullptr);

namespace detail {

struct chunks_of_document {
  indices::document_row row;
  std::int64_t chunk;
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t operator()(std::int64_t document) const noexcept {
    const std::int64_t length = row.cu_seqlens[document + 1] - row.cu_seqlens[document];
    return static_cast<std::int32_t>((length + chunk - 1) / chunk);
  }
};

struct store_chunk {
  indices::document_row row;
  std::int64_t chunk;
  const std::int32_t* offsets;
  std::int32_t* indices_of;
  std::int32_t* split_cu_seqlens;
  std::int64_t capacity;

  OMNIBAL_HD constexpr void operator()(std::int64_t n) const noexcept {
    const bool exists = n < offsets[row.documents];
    const std::int32_t document =
        exists ? indices::first_greater(offsets + 1, row.documents, n) : row.documents;
    const std::int64_t in_document = exists ? n - offsets[document] : 0;
    if (split_cu_seqlens != nullptr)
      split_cu_seqlens[n] =
          static_cast<std::int32_t>(row.cu_seqlens[document] + in_document * chunk);
    if (indices_of == nullptr || n >= capacity) return;
    indices_of[2 * n] = exists ? document : -1;
    indices_of[2 * n + 1] = exists ? static_cast<std::int32_t>(in_document) : -1;
  }
};

template <typename Offset>
struct store_ragged {
  Offset* outputs[5];
  std::int64_t entries[5];
  indices::ragged_offset offsets[5];

  OMNIBAL_HD constexpr void operator()(std::int64_t n) const noexcept {
    for (int i = 0; i < 5; ++i)
      if (n < entries[i]) outputs[i][n] = static_cast<Offset>(offsets[i](n));
  }
};

struct store_tile_padded {
  std::int32_t* outputs;
  indices::tile_padded_offset offset;
  OMNIBAL_HD constexpr void operator()(std::int64_t document) const noexcept {
    outputs[document] = static_cast<std::int32_t>(offset(document));
  }
};

inline void require_positive(std::int64_t value, std::string_view field) {
  if (value < 1 || value > INT32_MAX) throw invalid_input(field, value, "must be 1 … 2147483647");
}

inline void check_rank(const indices::zigzag& split, std::int64_t rank,
                       std::span<std::int32_t> cu_seqlens) {
  require_positive(split.ranks, "ranks");
  if (rank < 0 || rank >= split.ranks)
    throw invalid_input("rank", rank, "must be less than the number of ranks");
  require_entries(cu_seqlens.size(), static_cast<std::size_t>(split.row.documents) + 1,
                  "cu_seqlens");
}

/// Chunks that the arrays hold.
[[nodiscard]] inline std::size_t check_chunks(const indices::document_row& row, std::int64_t chunk,
                                              const device_chunk_arrays& arrays) {
  require_positive(chunk, "chunk");
  require_entries(arrays.offsets.size(), static_cast<std::size_t>(row.documents) + 1, "offsets");
  const std::size_t capacity = arrays.split_cu_seqlens.empty() ? arrays.indices.size() / 2
                                                               : arrays.split_cu_seqlens.size() - 1;
  if (!arrays.indices.empty()) require_entries(arrays.indices.size(), 2 * capacity, "indices");
  const auto most =
      static_cast<std::size_t>(row.slots / chunk) + static_cast<std::size_t>(row.documents);
  if ((!arrays.indices.empty() || !arrays.split_cu_seqlens.empty()) &&
      capacity < std::min(most, static_cast<std::size_t>(row.slots)))
    throw invalid_input(
        "capacity of chunks", capacity,
        "must be at least the row's slots, or documents + slots / chunk, " + std::to_string(most));
  return capacity;
}

template <typename Offset>
void check_ragged(const indices::document_row& q_row, const indices::document_row& kv_row,
                  const indices::ragged_multipliers& elements) {
  static_assert(std::is_same_v<Offset, std::int32_t> || std::is_same_v<Offset, std::int64_t>);
  const auto check = [](std::int64_t multiplier, std::int64_t slots, const char* field) {
    require_positive(multiplier, field);
    if (slots > std::numeric_limits<Offset>::max() / multiplier)
      throw invalid_input(field, multiplier,
                          "elements a token may pass the type of the offsets in " +
                              std::to_string(slots) + " slots");
  };
  check(elements.q, q_row.slots, "q");
  check(elements.k, kv_row.slots, "k");
  check(elements.v, kv_row.slots, "v");
  check(elements.o, q_row.slots, "o");
  check(elements.stats, q_row.slots, "stats");
}

inline void check_tile(const indices::document_row& row, std::int64_t tile,
                       std::span<std::int32_t> offsets) {
  require_positive(tile, "tile");
  require_entries(offsets.size(), static_cast<std::size_t>(row.documents), "padded_offset");
  if (row.slots + (row.documents - 1) * tile > INT32_MAX)
    throw invalid_input("tile", tile, "may give offsets beyond 2147483647: they are int32");
}

}  // namespace detail

inline cudaError_t lay_rank_async(const indices::zigzag& split, std::int64_t rank,
                                  std::span<std::int32_t> cu_seqlens,
                                  cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_rank(split, rank, cu_seqlens); });
  if (checked != cudaSuccess) return checked;
  return detail::scan_async<std::int32_t>(indices::zigzag_tokens_of{split.row, split.ranks, rank},
                                          detail::add_integers{}, split.row.documents,
                                          detail::store_sums{cu_seqlens.data()}, stream);
}

inline void lay_rank(const indices::zigzag& split, std::int64_t rank,
                     std::span<std::int32_t> cu_seqlens, cudaStream_t stream) {
  detail::check_rank(split, rank, cu_seqlens);
  detail::wait_for(lay_rank_async(split, rank, cu_seqlens, stream), stream, "lay_rank");
}

inline cudaError_t lay_chunks_async(const indices::document_row& row, std::int64_t chunk,
                                    const device_chunk_arrays& arrays,
                                    cudaStream_t stream) noexcept {
  std::size_t capacity = 0;
  const cudaError_t checked =
      detail::code_of([&] { capacity = detail::check_chunks(row, chunk, arrays); });
  if (checked != cudaSuccess) return checked;
  const cudaError_t scanned = detail::scan_async<std::int32_t>(
      detail::chunks_of_document{row, chunk}, detail::add_integers{}, row.documents,
      detail::store_sums{arrays.offsets.data()}, stream);
  if (scanned != cudaSuccess || (arrays.indices.empty() && arrays.split_cu_seqlens.empty()))
    return scanned;
  const auto chunks = static_cast<std::int64_t>(capacity);
  return detail::for_each_async(
      detail::start::overlapping, chunks + (arrays.split_cu_seqlens.empty() ? 0 : 1),
      detail::store_chunk{row, chunk, arrays.offsets.data(), detail::wanted(arrays.indices),
                          detail::wanted(arrays.split_cu_seqlens), chunks},
      stream);
}

inline void lay_chunks(const indices::document_row& row, std::int64_t chunk,
                       const device_chunk_arrays& arrays, cudaStream_t stream) {
  static_cast<void>(detail::check_chunks(row, chunk, arrays));
  detail::wait_for(lay_chunks_async(row, chunk, arrays, stream), stream, "lay_chunks");
}

template <typename Offset>
cudaError_t ragged_offsets_async(const indices::document_row& q_row,
                                 const indices::document_row& kv_row,
                                 const indices::ragged_multipliers& elements,
                                 const device_ragged_arrays<Offset>& arrays,
                                 cudaStream_t stream) noexcept {
  const cudaError_t checked =
      detail::code_of([&] { detail::check_ragged<Offset>(q_row, kv_row, elements); });
  if (checked != cudaSuccess) return checked;
  const auto of = [](const indices::document_row& row, std::int64_t multiplier) {
    return indices::ragged_offset{row.cu_seqlens_padded, row.documents, multiplier};
  };
  const std::span<Offset> outputs[5] = {arrays.q, arrays.k, arrays.v, arrays.o, arrays.stats};
  detail::store_ragged<Offset> store{
      {},
      {},
      {of(q_row, elements.q), of(kv_row, elements.k), of(kv_row, elements.v), of(q_row, elements.o),
       of(q_row, elements.stats)}};
  std::int64_t entries = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    store.outputs[i] = outputs[i].data();
    store.entries[i] = static_cast<std::int64_t>(outputs[i].size());
    entries = entries < store.entries[i] ? store.entries[i] : entries;
  }
  return detail::for_each_async(detail::start::overlapping, entries, store, stream);
}

template <typename Offset>
void ragged_offsets(const indices::document_row& q_row, const indices::document_row& kv_row,
                    const indices::ragged_multipliers& elements,
                    const device_ragged_arrays<Offset>& arrays, cudaStream_t stream) {
  detail::check_ragged<Offset>(q_row, kv_row, elements);
  detail::wait_for(ragged_offsets_async(q_row, kv_row, elements, arrays, stream), stream,
                   "ragged_offsets");
}

inline cudaError_t tile_padded_offsets_async(const indices::document_row& row, std::int64_t tile,
                                             std::span<std::int32_t> offsets,
                                             cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::check_tile(row, tile, offsets); });
  if (checked != cudaSuccess) return checked;
  return detail::for_each_async(detail::start::overlapping, row.documents,
                                detail::store_tile_padded{offsets.data(), {row.cu_seqlens, tile}},
                                stream);
}

inline void tile_padded_offsets(const indices::document_row& row, std::int64_t tile,
                                std::span<std::int32_t> offsets, cudaStream_t stream) {
  detail::check_tile(row, tile, offsets);
  detail::wait_for(tile_padded_offsets_async(row, tile, offsets, stream), stream,
                   "tile_padded_offsets");
}

}  // namespace omnibal::inline v0::gpu
