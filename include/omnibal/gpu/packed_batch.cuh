// SPDX-License-Identifier: Apache-2.0
/// @file
/// All arrays that a consumer takes of a pack, on the device, in one call: the device form of
/// indices/packed_batch.hpp. All shapes follow from the options and the number of lengths, so that
/// a captured graph takes any pack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/blocks.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/gpu/documents.cuh>
#include <omnibal/gpu/laid_tokens.cuh>
#include <omnibal/gpu/offsets.cuh>
#include <omnibal/gpu/tokens.cuh>
#include <omnibal/gpu/weights.cuh>
#include <omnibal/indices/packed_batch.hpp>

namespace omnibal::inline v0::gpu {

/// The arrays of a pack in device memory. Local slots are slots / ranks.
struct device_packed_batch {
  /// Offsets [documents of the options + 2] and the summary, needed.
  device_document_arrays documents = {};
  /// [local slots] each; an empty span is not written. Key intervals belong in `first_query` below.
  indices::token_arrays tokens = {};
  /// [slots], workspace of consumers that take labels.
  std::span<std::int64_t> label_of_slot = {};
  /// [documents] with a weight and sums: internvl and megatron.
  device_document_weights weights = {};
  /// [documents + 1] tokens of the rank: megatron with ranks > 1.
  std::span<std::int32_t> cu_seqlens_rank = {};
  /// [slots] workspace and lists of blocks: flex_attention.
  std::span<std::int32_t> first_query = {};
  std::span<std::int32_t> limit_query = {};
  device_block_mask blocks = {};
};

/// Makes the arrays of a pack whose documents have these lengths; `labels` has one label for each
/// token of the pack, in its order (entries behind the last token are not read). Both are device
/// memory; [documents] are as many as lengths. Enqueues one kernel for the offsets and all arrays
/// with an entry per slot (two for consumers that take labels, more documents than
/// most_documents_of_one_launch and lengths in host memory), a memset and three more for labels
/// with weights, two for lists of blocks; allocates nothing and may be captured. max_seqlen is the
/// host's bound: the slots.
///
/// Returns cudaErrorInvalidValue for what indices::make_packed_batch refuses and for sizes that are
/// wrong. Unless is_valid(*documents.summary, layout), the lengths were not legal.
cudaError_t make_packed_batch_async(std::span<const std::int32_t> lengths,
                                    std::span<const std::int64_t> labels,
                                    const indices::packed_batch_options& options,
                                    const device_packed_batch& batch, cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input and cuda_error.
row_summary make_packed_batch(std::span<const std::int32_t> lengths,
                              std::span<const std::int64_t> labels,
                              const indices::packed_batch_options& options,
                              const device_packed_batch& batch, cudaStream_t stream = nullptr);

/// The same of lengths in host memory; labels are device memory all the same. What is_valid() would
/// refuse is refused at once, and so are more than most_host_lengths.
cudaError_t make_packed_batch_async(const host_lengths& lengths,
                                    std::span<const std::int64_t> labels,
                                    const indices::packed_batch_options& options,
                                    const device_packed_batch& batch, cudaStream_t stream) noexcept;
row_summary make_packed_batch(const host_lengths& lengths, std::span<const std::int64_t> labels,
                              const indices::packed_batch_options& options,
                              const device_packed_batch& batch, cudaStream_t stream = nullptr);

/// The layout that the options describe.
[[nodiscard]] constexpr indices::document_layout layout_of(
    const indices::packed_batch_options& options) noexcept {
  return {.documents = options.documents, .slots = options.slots, .multiple = options.multiple};
}

namespace detail {

/// A slot → the label of its token.
struct visit_label {
  indices::document_row row;
  const std::int64_t* labels;
  std::int64_t count;
  std::int64_t* label_of_slot;

  OMNIBAL_HD constexpr void operator()(std::int64_t slot, std::int32_t document, std::int64_t begin,
                                       std::int64_t end) const noexcept {
    const std::int64_t token = indices::source_of{row.cu_seqlens}(
        indices::cursor_between(row, slot, document, begin, end));
    label_of_slot[slot] = token >= 0 && token < count ? labels[token] : indices::ignored_label;
  }
};

/// Lengths are device memory, or host_lengths.
template <typename Lengths>
void check_batch(const Lengths& lengths, const indices::packed_batch_options& options,
                 const device_packed_batch& batch) {
  indices::detail::check_consumer(options);
  check_documents(lengths, layout_of(options), batch.documents);
  const std::size_t offsets = indices::offset_count(layout_of(options));
  require_entries(batch.documents.cu_seqlens.size(), offsets, "cu_seqlens");
  require_entries(batch.documents.cu_seqlens_padded.size(), offsets, "cu_seqlens_padded");
  const auto slots = static_cast<std::size_t>(options.slots);
  if (indices::takes_labels(options.consumer))
    require_entries(batch.label_of_slot.size(), slots, "label_of_slot");
  if (options.consumer != indices::batch_consumer::flex_attention) return;
  require_entries(batch.first_query.size(), slots, "first_query");
  require_entries(batch.limit_query.size(), slots, "limit_query");
  if (!options.image_first.empty())
    require_entries(options.image_first.size(), slots, "image_first");
}

/// Calls each step until one fails.
template <typename... Steps>
[[nodiscard]] cudaError_t enqueue_all(const Steps&... steps) noexcept {
  cudaError_t code = cudaSuccess;
  static_cast<void>(((code = steps(), code == cudaSuccess) && ...));
  return code;
}

/// make_packed_batch_async of lengths in either memory.
template <typename Lengths>
cudaError_t batch_async(const Lengths& lengths, std::size_t documents,
                        std::span<const std::int64_t> labels,
                        const indices::packed_batch_options& options,
                        const device_packed_batch& batch, cudaStream_t stream) noexcept {
  const cudaError_t checked = code_of([&] { check_batch(lengths, options, batch); });
  if (checked != cudaSuccess) return checked;
  using indices::batch_consumer;
  const indices::document_row row = row_of(batch.documents, documents, options.slots);
  const bool is_split = options.ranks > 1;
  const bool is_flex = options.consumer == batch_consumer::flex_attention;
  indices::token_inputs inputs{.image_first = options.image_first,
                               .mask = options.mask,
                               .mask_parameter = options.mask_parameter};
  if (options.consumer == batch_consumer::megatron)
    inputs.label.shift = indices::label_shift::shifted;
  // Consumers that take labels spread them between the two.
  constexpr bool in_device_memory = std::is_same_v<Lengths, std::span<const std::int32_t>>;
  const bool is_fused = in_device_memory && !is_split && !indices::takes_labels(options.consumer);
  const auto lay = [&] {
    if (is_fused) return cudaSuccess;
    return lay_documents_async(lengths, layout_of(options), batch.documents, stream);
  };
  const auto spread_labels = [&] {
    if (!indices::takes_labels(options.consumer)) return cudaSuccess;
    inputs.labels = batch.label_of_slot;
    return fill_async(start::overlapping, {row.cu_seqlens_padded, row.documents, row.slots},
                      visit_label{row, labels.data(), static_cast<std::int64_t>(labels.size()),
                                  batch.label_of_slot.data()},
                      stream);
  };
  const auto weigh = [&] {
    if (!indices::weighs_losses(options.consumer)) return cudaSuccess;
    inputs.document_weight = batch.weights.weight;
    return weigh_documents_async(row, batch.label_of_slot, inputs.label, options.weighting,
                                 batch.weights, stream);
  };
  const auto fill = [&] {
    indices::token_arrays arrays = batch.tokens;
    if (is_flex) {
      arrays.first_query = batch.first_query;
      arrays.limit_query = batch.limit_query;
    }
    if constexpr (in_device_memory)
      if (is_fused)
        return lay_and_fill_tokens_async(lengths, layout_of(options), batch.documents, inputs,
                                         arrays, stream);
    if (!is_split)
      return fill_tokens_async(row, indices::whole{row.slots}, 0, inputs, arrays, stream);
    // The tail is split as one more document.
    indices::document_row with_tail = row;
    ++with_tail.documents;
    return fill_tokens_async(row, indices::zigzag{with_tail, options.ranks}, options.rank, inputs,
                             arrays, stream);
  };
  const auto lay_local = [&] {
    if (!is_split) return cudaSuccess;
    return lay_rank_async({row, options.ranks}, options.rank, batch.cu_seqlens_rank, stream);
  };
  const auto list = [&] {
    if (!is_flex) return cudaSuccess;
    return list_blocks_async(batch.first_query, batch.limit_query, options.block, options.block,
                             batch.blocks, stream);
  };
  return enqueue_all(lay, spread_labels, weigh, fill, lay_local, list);
}

}  // namespace detail

inline cudaError_t make_packed_batch_async(std::span<const std::int32_t> lengths,
                                           std::span<const std::int64_t> labels,
                                           const indices::packed_batch_options& options,
                                           const device_packed_batch& batch,
                                           cudaStream_t stream) noexcept {
  return detail::batch_async(lengths, lengths.size(), labels, options, batch, stream);
}

inline cudaError_t make_packed_batch_async(const host_lengths& lengths,
                                           std::span<const std::int64_t> labels,
                                           const indices::packed_batch_options& options,
                                           const device_packed_batch& batch,
                                           cudaStream_t stream) noexcept {
  return detail::batch_async(lengths, lengths.lengths.size(), labels, options, batch, stream);
}

inline row_summary make_packed_batch(std::span<const std::int32_t> lengths,
                                     std::span<const std::int64_t> labels,
                                     const indices::packed_batch_options& options,
                                     const device_packed_batch& batch, cudaStream_t stream) {
  detail::check_batch(lengths, options, batch);
  require(make_packed_batch_async(lengths, labels, options, batch, stream), "make_packed_batch");
  const row_summary row = detail::fetch(batch.documents.summary, stream, "make_packed_batch");
  detail::require_valid(row, lengths, layout_of(options), stream, "make_packed_batch");
  return row;
}

inline row_summary make_packed_batch(const host_lengths& lengths,
                                     std::span<const std::int64_t> labels,
                                     const indices::packed_batch_options& options,
                                     const device_packed_batch& batch, cudaStream_t stream) {
  detail::check_batch(lengths, options, batch);
  require(make_packed_batch_async(lengths, labels, options, batch, stream), "make_packed_batch");
  return detail::fetch(batch.documents.summary, stream, "make_packed_batch");
}

}  // namespace omnibal::inline v0::gpu
