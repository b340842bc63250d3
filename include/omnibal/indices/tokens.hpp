// SPDX-License-Identifier: Apache-2.0
/// @file
/// Arrays with an entry per slot: position ids, sequence index, padding mask, source slots, labels,
/// loss weights and key intervals, for a whole row or for a rank's part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/split.hpp>

namespace omnibal::inline v0::indices {

/// The label that losses ignore.
inline constexpr std::int64_t ignored_label = -100;

/// Slot → its position in its document, running on through the document's padding, or 0 there. The
/// tail restarts at 0.
struct position_of {
  bool zero_in_padding = false;
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(
      const token_cursor& at) const noexcept {
    return zero_in_padding && at.is_padding() ? 0 : at.offset();
  }
};

/// Slot → its document; the number of documents in the tail.
struct sequence_of {
  [[nodiscard]] OMNIBAL_HD constexpr std::int32_t operator()(
      const token_cursor& at) const noexcept {
    return at.document;
  }
};

/// Slot → 1 where it holds no token, else 0.
struct padding_of {
  [[nodiscard]] OMNIBAL_HD constexpr std::uint8_t operator()(
      const token_cursor& at) const noexcept {
    return at.is_padding() ? 1 : 0;
  }
};

/// Slot → its token's place among the tokens of all documents, −1 where it holds none: the gather
/// that pads, the scatter that unpads (move_rows.hpp).
struct source_of {
  const std::int32_t* cu_seqlens = nullptr;
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(
      const token_cursor& at) const noexcept {
    return at.is_padding() ? -1 : cu_seqlens[at.document] + at.offset();
  }
};

/// Whether a slot's label is its own token, and the model shifts (transformers, InternVL), or the
/// next token of its document (Megatron).
enum class label_shift : std::int32_t { unshifted, shifted };

/// What becomes of the first label of a document that is unshifted. The model's shift makes it the
/// target of the document before: `masked` is right; the others are for comparison with trainers
/// that keep it.
enum class first_label : std::int32_t { masked, kept_in_slot_0, kept };

/// How labels are written.
struct label_policy {
  label_shift shift = label_shift::unshifted;
  first_label first = first_label::masked;      ///< for unshifted labels
  std::int64_t boundary_label = ignored_label;  ///< at a document's first (last, shifted) slot
};

/// Slot → its label. `labels` has an entry per slot of the row: the token at the slot, or
/// ignored_label. Padding and the tail have ignored_label.
struct label_of {
  const std::int64_t* labels = nullptr;
  label_policy policy = {};

  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t operator()(
      const token_cursor& at) const noexcept {
    if (at.is_padding()) return ignored_label;
    if (policy.shift == label_shift::shifted)
      return at.offset() + 1 < at.length ? labels[at.slot + 1] : policy.boundary_label;
    const bool keep = policy.first == first_label::kept ||
                      (policy.first == first_label::kept_in_slot_0 && at.slot == 0);
    return at.offset() == 0 && !keep ? policy.boundary_label : labels[at.slot];
  }
};

/// Slot → the weight of its loss: that of its document where it has a label, else 0.
struct loss_weight_of {
  label_of label;
  const float* document_weight = nullptr;  ///< [documents] (weights.hpp), or null: 1

  [[nodiscard]] OMNIBAL_HD constexpr float operator()(const token_cursor& at) const noexcept {
    if (label(at) == ignored_label) return 0.0F;
    return document_weight == nullptr ? 1.0F : document_weight[at.document];
  }
};

/// What fill_tokens reads besides the row.
struct token_inputs {
  std::span<const std::int64_t> labels = {};    ///< [slots]; for labels and loss_weights
  std::span<const float> document_weight = {};  ///< [documents], or empty: weights are 1
  std::span<const std::int32_t> image_first =
      {};                        ///< [slots]; for masks with images; empty: there are none
  bool zero_in_padding = false;  ///< position_of
  label_policy label = {};
  mask_kind mask = mask_kind::causal;
  std::int64_t mask_parameter = 0;
};

/// Outputs of fill_tokens, [split.local_slots()] each, each optional: an empty span is not written.
struct token_arrays {
  std::span<std::int64_t> position_ids = {};
  std::span<std::int32_t> position_ids_int32 = {};
  std::span<std::int32_t> sequence_index = {};
  std::span<std::uint8_t> padding_mask = {};
  std::span<std::int64_t> source_slot = {};  ///< source_of
  std::span<std::int64_t> global_slot = {};  ///< of each local slot
  std::span<std::int64_t> labels = {};
  std::span<float> loss_weights = {};
  std::span<std::int32_t> first_query = {};  ///< key_interval::first; queries are global slots
  std::span<std::int32_t> limit_query = {};  ///< key_interval::limit
};

namespace detail {

/// output[local] = function(cursor of its global slot). Walks documents where the split is `whole`.
template <typename Split, typename Value, typename Function>
void fill(const document_row& row, const Split& split, std::int64_t rank, std::span<Value> output,
          const Function& function) {
  for (std::size_t i = 0; i < output.size(); ++i)
    output[i] = static_cast<Value>(
        function(cursor_at(row, split.global(rank, static_cast<std::int64_t>(i)))));
}

template <typename Value, typename Function>
void fill(const document_row& row, const whole& /*split*/, std::int64_t /*rank*/,
          std::span<Value> output, const Function& function) {
  if (output.empty()) return;
  for (std::int32_t document = 0; document <= row.documents; ++document) {
    token_cursor at = cursor_in(row, document, 0);
    for (at.slot = at.begin; at.slot < at.end; ++at.slot)
      output[static_cast<std::size_t>(at.slot)] = static_cast<Value>(function(at));
  }
}

void check_tokens(const document_row& row, std::int64_t local_slots, const token_inputs& inputs,
                  const token_arrays& arrays);

}  // namespace detail

/// Fills the arrays of rank `rank` under a split of the row. Throws invalid_input for an input or
/// output of the wrong size and a mask without its parameter. O(slots) for whole, O(local slots ·
/// log(documents)) for the others, times the arrays wanted.
template <typename Split>
void fill_tokens(const document_row& row, const Split& split, std::int64_t rank,
                 const token_inputs& inputs, const token_arrays& arrays) {
  detail::check_tokens(row, split.local_slots(), inputs, arrays);
  const auto fill = [&](auto output, const auto& function) {
    detail::fill(row, split, rank, output, function);
  };
  const position_of position{inputs.zero_in_padding};
  const label_of label{inputs.labels.data(), inputs.label};
  const interval_of_key interval{inputs.mask, inputs.mask_parameter,
                                 inputs.image_first.empty() ? nullptr : inputs.image_first.data()};
  fill(arrays.position_ids, position);
  fill(arrays.position_ids_int32, position);
  fill(arrays.sequence_index, sequence_of{});
  fill(arrays.padding_mask, padding_of{});
  fill(arrays.source_slot, source_of{row.cu_seqlens});
  fill(arrays.global_slot, [](const token_cursor& at) { return at.slot; });
  fill(arrays.labels, label);
  fill(arrays.loss_weights,
       loss_weight_of{label,
                      inputs.document_weight.empty() ? nullptr : inputs.document_weight.data()});
  fill(arrays.first_query, [&](const token_cursor& at) { return interval(at).first; });
  fill(arrays.limit_query, [&](const token_cursor& at) { return interval(at).limit; });
}

/// fill_tokens of the whole row.
inline void fill_tokens(const document_row& row, const token_inputs& inputs,
                        const token_arrays& arrays) {
  fill_tokens(row, whole{row.slots}, 0, inputs, arrays);
}

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/tokens.ipp>
#endif
