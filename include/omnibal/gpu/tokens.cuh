// SPDX-License-Identifier: Apache-2.0
/// @file
/// Arrays with an entry per slot of a packed row, or of a rank's part of it, in one kernel:
/// position ids, sequence index, padding mask, source slots, labels, loss weights and key
/// intervals. The device form of indices/tokens.hpp; each entry is computed by the functors of that
/// header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::gpu {

/// Fills the arrays of rank `rank` under a split of the row, as indices::fill_tokens does. The
/// row's offsets, inputs and outputs are device memory; the number of documents in the row is that
/// of the lengths given to lay_documents. Enqueues one kernel on `stream`, which may start while
/// the kernel before it ends; allocates nothing and may be captured.
///
/// Returns cudaErrorInvalidValue for what indices::fill_tokens refuses. O(slots) for `whole`,
/// O(local slots · log(documents)) for other splits.
template <typename Split>
cudaError_t fill_tokens_async(const indices::document_row& row, const Split& split,
                              std::int64_t rank, const indices::token_inputs& inputs,
                              const indices::token_arrays& arrays, cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input and cuda_error.
template <typename Split>
void fill_tokens(const indices::document_row& row, const Split& split, std::int64_t rank,
                 const indices::token_inputs& inputs, const indices::token_arrays& arrays,
                 cudaStream_t stream = nullptr);

/// Fills `place` [slots] as indices::invert_split does: each global slot's place among the slots of
/// all ranks. One kernel. Returns cudaErrorInvalidValue for more than 2³¹ − 1 slots.
template <typename Split>
cudaError_t invert_split_async(const Split& split, std::span<std::int64_t> place,
                               cudaStream_t stream) noexcept;
template <typename Split>
void invert_split(const Split& split, std::span<std::int64_t> place, cudaStream_t stream = nullptr);

namespace detail {

template <typename Split>
struct store_place_among_ranks {
  indices::place_among_ranks<Split> among;
  std::int64_t* place;
  OMNIBAL_HD constexpr void operator()(std::int64_t slot) const noexcept {
    place[slot] = among(slot);
  }
};

/// The arrays of a rank that are wanted, and the functions that fill them.
struct store_slot {
  indices::position_of position;
  indices::source_of source;
  indices::label_of label;
  indices::loss_weight_of loss_weight;
  indices::interval_of_key interval;

  std::int64_t* position_ids;
  std::int32_t* position_ids_int32;
  std::int32_t* sequence_index;
  std::uint8_t* padding_mask;
  std::int64_t* source_slot;
  std::int64_t* global_slot;
  std::int64_t* labels;
  float* loss_weights;
  std::int32_t* first_query;
  std::int32_t* limit_query;

  OMNIBAL_HD constexpr void operator()(std::int64_t local,
                                       const indices::token_cursor& at) const noexcept {
    put(position_ids, local, at, position);
    put(position_ids_int32, local, at, position);
    put(sequence_index, local, at, indices::sequence_of{});
    put(padding_mask, local, at, indices::padding_of{});
    put(source_slot, local, at, source);
    if (global_slot != nullptr) global_slot[local] = at.slot;
    put(labels, local, at, label);
    put(loss_weights, local, at, loss_weight);
    if (first_query == nullptr && limit_query == nullptr) return;
    const indices::key_interval seen = interval(at);
    if (first_query != nullptr) first_query[local] = static_cast<std::int32_t>(seen.first);
    if (limit_query != nullptr) limit_query[local] = static_cast<std::int32_t>(seen.limit);
  }

 private:
  template <typename Value, typename Function>
  OMNIBAL_HD static constexpr void put(Value* array, std::int64_t local,
                                       const indices::token_cursor& at,
                                       const Function& function) noexcept {
    if (array != nullptr) array[local] = static_cast<Value>(function(at));
  }
};

[[nodiscard]] inline store_slot store_slot_of(const indices::document_row& row,
                                              const indices::token_inputs& inputs,
                                              const indices::token_arrays& arrays) noexcept {
  const indices::label_of label{inputs.labels.data(), inputs.label};
  return {.position = {inputs.zero_in_padding},
          .source = {row.cu_seqlens},
          .label = label,
          .loss_weight = {label, wanted(inputs.document_weight)},
          .interval = {inputs.mask, inputs.mask_parameter, wanted(inputs.image_first)},
          .position_ids = wanted(arrays.position_ids),
          .position_ids_int32 = wanted(arrays.position_ids_int32),
          .sequence_index = wanted(arrays.sequence_index),
          .padding_mask = wanted(arrays.padding_mask),
          .source_slot = wanted(arrays.source_slot),
          .global_slot = wanted(arrays.global_slot),
          .labels = wanted(arrays.labels),
          .loss_weights = wanted(arrays.loss_weights),
          .first_query = wanted(arrays.first_query),
          .limit_query = wanted(arrays.limit_query)};
}

/// A slot of the whole row, whose document the kernel knows.
struct visit_slot {
  indices::document_row row;
  store_slot store;

  OMNIBAL_HD constexpr void operator()(std::int64_t slot, std::int32_t document, std::int64_t begin,
                                       std::int64_t end) const noexcept {
    store(slot, indices::cursor_between(row, slot, document, begin, end));
  }
};

/// A local slot of a rank, which looks up its document.
template <typename Split>
struct visit_local_slot {
  indices::document_row row;
  Split split;
  std::int64_t rank;
  store_slot store;

  OMNIBAL_HD constexpr void operator()(std::int64_t local) const noexcept {
    store(local, indices::cursor_at(row, split.global(rank, local)));
  }
};

}  // namespace detail

template <typename Split>
cudaError_t fill_tokens_async(const indices::document_row& row, const Split& split,
                              std::int64_t rank, const indices::token_inputs& inputs,
                              const indices::token_arrays& arrays, cudaStream_t stream) noexcept {
  const std::int64_t local_slots = split.local_slots();
  const cudaError_t checked =
      detail::code_of([&] { indices::detail::check_tokens(row, local_slots, inputs, arrays); });
  if (checked != cudaSuccess) return checked;
  const detail::store_slot store = detail::store_slot_of(row, inputs, arrays);
  if constexpr (std::is_same_v<Split, indices::whole>)
    return detail::fill_async(detail::start::overlapping,
                              {row.cu_seqlens_padded, row.documents, row.slots},
                              detail::visit_slot{row, store}, stream);
  else
    return detail::for_each_async(detail::start::overlapping, local_slots,
                                  detail::visit_local_slot<Split>{row, split, rank, store}, stream);
}

template <typename Split>
void fill_tokens(const indices::document_row& row, const Split& split, std::int64_t rank,
                 const indices::token_inputs& inputs, const indices::token_arrays& arrays,
                 cudaStream_t stream) {
  indices::detail::check_tokens(row, split.local_slots(), inputs, arrays);
  detail::wait_for(fill_tokens_async(row, split, rank, inputs, arrays, stream), stream,
                   "fill_tokens");
}

template <typename Split>
cudaError_t invert_split_async(const Split& split, std::span<std::int64_t> place,
                               cudaStream_t stream) noexcept {
  if (place.size() > INT32_MAX) return cudaErrorInvalidValue;
  return detail::for_each_async(detail::start::overlapping, static_cast<std::int64_t>(place.size()),
                                detail::store_place_among_ranks<Split>{{split}, place.data()},
                                stream);
}

template <typename Split>
void invert_split(const Split& split, std::span<std::int64_t> place, cudaStream_t stream) {
  detail::wait_for(invert_split_async(split, place, stream), stream, "invert_split");
}

}  // namespace omnibal::inline v0::gpu
