// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets of documents and the arrays of their slots in one kernel: lay_documents and fill_tokens
/// of a whole row. Up to most_documents_of_one_launch documents, each block scans all lengths
/// itself and keeps the offsets in shared memory, in place of waiting for a kernel that does;
/// beyond that there are two kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/launch.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::gpu {

/// Eight lengths for each thread of a block, whose offsets take 16 KiB of shared memory.
inline constexpr std::size_t most_documents_of_one_launch = 2048;

/// Lays documents into a row as lay_documents_async does, with lengths in device memory, and fills
/// the arrays of its slots as fill_tokens_async does with `whole`. Offsets are needed:
/// `cu_seqlens`, and `cu_seqlens_padded` unless the layout's multiple is 1. Enqueues one kernel on
/// `stream`, or two beyond most_documents_of_one_launch lengths; allocates nothing and may be
/// captured.
///
/// Returns cudaErrorInvalidValue for what either refuses. O(slots + documents · slots / 4096).
cudaError_t lay_and_fill_tokens_async(std::span<const std::int32_t> lengths,
                                      const indices::document_layout& layout,
                                      const device_document_arrays& documents,
                                      const indices::token_inputs& inputs,
                                      const indices::token_arrays& tokens,
                                      cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input for what is_valid() refuses and for sizes that
/// are wrong, and cuda_error.
row_summary lay_and_fill_tokens(std::span<const std::int32_t> lengths,
                                const indices::document_layout& layout,
                                const device_document_arrays& documents,
                                const indices::token_inputs& inputs,
                                const indices::token_arrays& tokens, cudaStream_t stream = nullptr);

namespace detail {

/// The offsets of a row in shared memory.
struct kept_offsets {
  shared_array<row_summary, fill_threads / warp_lanes> sums;
  std::int32_t plain[most_documents_of_one_launch + 1];
  std::int32_t padded[most_documents_of_one_launch + 1];
  std::int32_t documents_of_ends[2];
};

/// Scans the lengths by a whole block, which keeps the offsets; block 0 also stores them. A thread
/// has a few consecutive documents, whose lengths it reads twice.
template <typename Lengths>
__device__ void keep_offsets(const Lengths& lengths, const store_offsets& store,
                             kept_offsets& kept) {
  store_offsets keep = store;
  keep.cu_seqlens = kept.plain;
  keep.cu_seqlens_padded = kept.padded;
  const std::int64_t of_thread = (store.documents + fill_threads - 1) / fill_threads;
  const std::int64_t begin = threadIdx.x * of_thread;
  const std::int64_t end =
      begin + of_thread < store.documents ? begin + of_thread : store.documents;
  row_summary own{};
  for (std::int64_t document = begin; document < end; ++document)
    own = append_row{}(own, lengths(document));
  const block_sums<row_summary> sums = scan_block<fill_threads>(own, append_row{}, kept.sums);
  row_summary through = sums.before;
  for (std::int64_t document = begin; document < end; ++document) {
    through = append_row{}(through, lengths(document));
    keep(document, through);
    if (blockIdx.x == 0) store(document, through);
  }
  if (threadIdx.x == 0) kept.plain[0] = kept.padded[0] = 0;
  if (blockIdx.x == 0) store.finish(sums.all, threadIdx.x, fill_threads);
  __syncthreads();
}

/// Lays the documents, then fills the tile of this block.
template <typename Lengths>
__global__ void __launch_bounds__(fill_threads)
    lay_and_fill(Lengths lengths, store_offsets store, store_slot tokens) {
  __shared__ kept_offsets kept;
  wait_for_previous_kernel();
  keep_offsets(lengths, store, kept);
  const indices::document_row row{.cu_seqlens = kept.plain,
                                  .cu_seqlens_padded = kept.padded,
                                  .documents = static_cast<std::int32_t>(store.documents),
                                  .slots = store.slots};
  tokens.source = {kept.plain};
  const ragged_row ragged{kept.padded, row.documents, row.slots};
  const document_slice slice = documents_of_tile(ragged, kept.documents_of_ends);
  visit_slots(ragged, slice, kept.padded + slice.first, visit_slot{row, tokens});
}

inline void check_laid_tokens(std::span<const std::int32_t> lengths,
                              const indices::document_layout& layout,
                              const device_document_arrays& documents,
                              const indices::token_inputs& inputs,
                              const indices::token_arrays& tokens) {
  check_documents(lengths, layout, documents);
  const std::size_t entries = indices::offset_count(layout);
  require_entries(documents.cu_seqlens.size(), entries, "cu_seqlens");
  if (layout.multiple != 1)
    require_entries(documents.cu_seqlens_padded.size(), entries, "cu_seqlens_padded");
  indices::detail::check_tokens(row_of(documents, lengths.size(), layout.slots), layout.slots,
                                inputs, tokens);
}

}  // namespace detail

inline cudaError_t lay_and_fill_tokens_async(std::span<const std::int32_t> lengths,
                                             const indices::document_layout& layout,
                                             const device_document_arrays& documents,
                                             const indices::token_inputs& inputs,
                                             const indices::token_arrays& tokens,
                                             cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of(
      [&] { detail::check_laid_tokens(lengths, layout, documents, inputs, tokens); });
  if (checked != cudaSuccess) return checked;
  const indices::document_row row = row_of(documents, lengths.size(), layout.slots);
  if (lengths.size() > most_documents_of_one_launch) {
    const cudaError_t laid = lay_documents_async(lengths, layout, documents, stream);
    if (laid != cudaSuccess) return laid;
    return fill_tokens_async(row, indices::whole{row.slots}, 0, inputs, tokens, stream);
  }
  using given_lengths = detail::summarize_length<const std::int32_t*>;
  const std::int64_t tiles = (layout.slots + detail::fill_tile - 1) / detail::fill_tile;
  return detail::launch(
      detail::start::after_previous, static_cast<unsigned>(tiles == 0 ? 1 : tiles),
      detail::fill_threads, stream, detail::lay_and_fill<given_lengths>,
      given_lengths{lengths.data(), layout.multiple},
      detail::store_offsets_of(static_cast<std::int64_t>(lengths.size()), layout, documents),
      detail::store_slot_of(row, inputs, tokens));
}

inline row_summary lay_and_fill_tokens(std::span<const std::int32_t> lengths,
                                       const indices::document_layout& layout,
                                       const device_document_arrays& documents,
                                       const indices::token_inputs& inputs,
                                       const indices::token_arrays& tokens, cudaStream_t stream) {
  detail::check_laid_tokens(lengths, layout, documents, inputs, tokens);
  require(lay_and_fill_tokens_async(lengths, layout, documents, inputs, tokens, stream),
          "lay_and_fill_tokens");
  const row_summary row = detail::fetch(documents.summary, stream, "lay_and_fill_tokens");
  detail::require_valid(row, lengths, layout, stream, "lay_and_fill_tokens");
  return row;
}

}  // namespace omnibal::inline v0::gpu
