// SPDX-License-Identifier: Apache-2.0
/// @file
/// All arrays that a consumer takes of a pack, in one call: from the samples of a pack to offsets,
/// positions, labels, weights and lists of mask blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/weights.hpp>

namespace omnibal::inline v0::indices {

/// Who takes the arrays.
enum class batch_consumer : std::int32_t {
  flash_attention,  ///< cu_seqlens, position_ids
  transformers,     ///< these, sequence_index, labels unshifted
  internvl,         ///< these, and loss_weights
  megatron,  ///< the arrays of a rank: labels shifted, loss_weights, padding_mask, global_slot
  flex_attention,  ///< those of flash_attention and sequence_index, and a block mask
};

/// What make_packed_batch is asked for.
struct packed_batch_options {
  batch_consumer consumer = batch_consumer::flash_attention;
  std::int64_t slots = 0;      ///< of the row, tail included
  std::int64_t documents = 0;  ///< capacity; all packs of it have offsets of one shape
  std::int64_t multiple = 1;   ///< padding of each document
  std::int64_t ranks = 1;      ///< of context parallelism (zigzag), for megatron
  std::int64_t rank = 0;       ///< whose arrays
  loss_weighting weighting = loss_weighting::token;  ///< for internvl and megatron
  mask_kind mask = mask_kind::causal;                ///< for flex_attention
  std::int64_t mask_parameter = 0;
  /// [slots], for masks with images: fill_image_groups; empty: no images.
  std::span<const std::int32_t> image_first = {};
  std::int64_t block = 128;  ///< for flex_attention
};

/// The arrays of a pack; those that the consumer does not take are empty.
struct packed_batch {
  document_summary summary = {};
  std::vector<std::int32_t> cu_seqlens = {};         ///< [documents + 2] with the tail
  std::vector<std::int32_t> cu_seqlens_padded = {};  ///< [documents + 2]
  /// The longest sequence that cu_seqlens describe, tail included: a host number, no
  /// synchronisation.
  std::int64_t max_seqlen = 0;
  std::vector<std::int64_t> position_ids = {};  ///< [local slots], as all below
  std::vector<std::int32_t> sequence_index = {};
  std::vector<std::uint8_t> padding_mask = {};
  std::vector<std::int64_t> source_slot = {};  ///< token of the pack at each slot, −1 for none
  std::vector<std::int64_t> global_slot = {};
  std::vector<std::int64_t> labels = {};
  std::vector<float> loss_weights = {};
  double loss_weight_sum = 0;                      ///< over the whole row: the divisor of the loss
  std::vector<std::int32_t> cu_seqlens_rank = {};  ///< megatron: tokens of the rank
  std::optional<block_mask> blocks = std::nullopt;
};

/// Makes the arrays of a pack. `pack` has numbers of samples, as a packing's result does; `tokens`
/// the tokens of every sample; `labels` one label for each token of the pack, in the order of the
/// pack, the token itself or −100 (needed by transformers, internvl and megatron).
///
/// Throws invalid_input for a sample that is not there, what lay_documents refuses, labels of the
/// wrong number, options that the consumer does not have, and, for megatron, a multiple or slots
/// that are no multiple of 2 · ranks. O(slots · log(documents)), and for flex_attention (slots /
/// block)².
[[nodiscard]] packed_batch make_packed_batch(std::span<const std::uint32_t> pack,
                                             std::span<const std::int64_t> tokens,
                                             std::span<const std::int64_t> labels,
                                             const packed_batch_options& options);

/// Whether a consumer takes labels, and whether their losses have weights.
[[nodiscard]] constexpr bool weighs_losses(batch_consumer consumer) noexcept {
  return consumer == batch_consumer::internvl || consumer == batch_consumer::megatron;
}
[[nodiscard]] constexpr bool takes_labels(batch_consumer consumer) noexcept {
  return consumer == batch_consumer::transformers || weighs_losses(consumer);
}

namespace detail {

/// Refuses ranks of a consumer whose row is not split, and rows that do not divide.
void check_consumer(const packed_batch_options& options);

}  // namespace detail

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/packed_batch.ipp>
#endif
