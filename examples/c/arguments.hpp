// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the functions of the C interface share: errors as text, pointers as spans, splits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string>

#include <omnibal/c/omnibal.h>
#include <omnibal/core.hpp>
#include <omnibal/indices.hpp>

namespace omnibal::examples {

/// 0, or 1 with the message of what was thrown.
template <typename Function>
std::int32_t guarded(omnibal_error* error, const Function& function) noexcept {
  try {
    function();
    return 0;
  } catch (const std::exception& thrown) {
    if (error != nullptr) {
      const std::size_t length = std::min(std::strlen(thrown.what()), sizeof error->text - 1);
      std::memcpy(error->text, thrown.what(), length);
      error->text[length] = '\0';
    }
    return 1;
  }
}

/// A pointer that may be null, as a span that may be empty.
template <typename Value>
std::span<Value> span_of(Value* values, std::int64_t count, const char* field) {
  if (count < 0) throw invalid_input(field, count, "entries: must not be negative");
  return values == nullptr ? std::span<Value>()
                           : std::span(values, static_cast<std::size_t>(count));
}

template <typename Value>
std::span<const Value> need_span(const Value* values, std::int64_t count, const char* field) {
  if (values == nullptr && count > 0) throw invalid_input(field, "null", "must be given");
  return span_of(values, count, field);
}

template <typename Struct>
const Struct& need(const Struct* given, const char* field) {
  if (given == nullptr) throw invalid_input(field, "null", "must be given");
  return *given;
}

/// Calls function(split) with the split of a row: of omnibal_row, or of omnibal_device_row.
template <typename Row, typename Function>
void with_split(const Row& row, const indices::document_row& documents, const Function& function) {
  if (row.ranks < 1 || row.ranks > 1 << 20)
    throw invalid_input("ranks", row.ranks, "must be at least 1 and at most 2^20");
  if (row.rank < 0 || row.rank >= row.ranks)
    throw invalid_input("rank", row.rank, "must be at least 0 and less than the number of ranks");
  const auto need_multiple = [&](std::int64_t value, const char* field, std::int64_t of) {
    if (value % of != 0)
      throw invalid_input(field, value, "must be a multiple of " + std::to_string(of));
  };
  const std::int64_t chunks = 2 * row.ranks;
  switch (row.split) {
    case OMNIBAL_WHOLE:
      if (row.ranks != 1) throw invalid_input("ranks", row.ranks, "must be 1 for a whole row");
      return function(indices::whole{row.slots});
    case OMNIBAL_CONTIGUOUS:
      need_multiple(row.slots, "slots", row.ranks);
      return function(indices::contiguous{row.slots, row.ranks});
    case OMNIBAL_STRIPED:
      need_multiple(row.slots, "slots", row.ranks);
      return function(indices::striped{row.slots, row.ranks});
    case OMNIBAL_ZIGZAG_ROW:
      need_multiple(row.slots, "slots", chunks);
      return function(indices::zigzag_row{row.slots, row.ranks});
    case OMNIBAL_ZIGZAG:
      need_multiple(row.multiple, "multiple", chunks);
      need_multiple(row.slots, "slots", chunks);
      return function(indices::zigzag{documents, row.ranks});
    default: throw invalid_input("split", row.split, "is not known");
  }
}

/// Inputs of a row: of omnibal_row, or of omnibal_device_row.
template <typename Row>
indices::token_inputs inputs_of(const omnibal_token_inputs& given, const Row& row) {
  if (given.mask < 0 || given.mask > 6) throw invalid_input("mask", given.mask, "must be 0 to 6");
  return {.labels = span_of(given.labels, row.slots, "slots"),
          .document_weight = span_of(given.document_weight, row.documents, "documents"),
          .image_first = span_of(given.image_first, row.slots, "slots"),
          .zero_in_padding = given.zero_in_padding != 0,
          .label = {.shift = given.shifted_labels != 0 ? indices::label_shift::shifted
                                                       : indices::label_shift::unshifted},
          .mask = static_cast<indices::mask_kind>(given.mask),
          .mask_parameter = given.mask_parameter};
}

/// Outputs of a rank with so many slots; those that are null are left out.
inline indices::token_arrays outputs_of(const omnibal_token_arrays& arrays, std::int64_t slots) {
  const auto local = [&](auto* values) { return span_of(values, slots, "slots"); };
  return {.position_ids = local(arrays.position_ids),
          .sequence_index = local(arrays.sequence_index),
          .padding_mask = local(arrays.padding_mask),
          .source_slot = local(arrays.source_slot),
          .global_slot = local(arrays.global_slot),
          .labels = local(arrays.labels),
          .loss_weights = local(arrays.loss_weights),
          .first_query = local(arrays.first_query),
          .limit_query = local(arrays.limit_query)};
}

inline void check_axes(std::int32_t axes) {
  if (axes != 3 && axes != 4) throw invalid_input("axes", axes, "must be 3 or 4");
}

/// Refuses what neither form of rotary positions takes.
template <typename Row>
void check_rope_arguments(const Row& row, const omnibal_rope_inputs& given) {
  if (row.split != OMNIBAL_WHOLE) throw invalid_input("split", row.split, "must be 0, a whole row");
  if (given.variant < 0 || given.variant > 3)
    throw invalid_input("variant", given.variant, "must be 0 to 3");
}

/// Refuses a capacity below 0, of which there are no offsets.
inline indices::document_layout layout_of(const omnibal_document_layout& given) {
  indices::detail::require_at_least(given.documents, 0, "documents");
  return {.documents = given.documents,
          .slots = given.slots,
          .multiple = given.multiple,
          .tail = given.tail_counted != 0 ? indices::tail_policy::counted
                                          : indices::tail_policy::left_out};
}

}  // namespace omnibal::examples
