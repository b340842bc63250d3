// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/packed_batch.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::indices {

namespace detail {

[[nodiscard]] OMNIBAL_INLINE std::vector<std::int64_t> lengths_of_pack(
    std::span<const std::uint32_t> pack, std::span<const std::int64_t> tokens) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < pack.size(); ++i) {
    if (pack[i] >= tokens.size())
      throw invalid_input("pack", i, pack[i],
                          "must be a sample, of which there are " + std::to_string(tokens.size()));
    lengths.push_back(tokens[pack[i]]);
  }
  return lengths;
}

OMNIBAL_INLINE void check_consumer(const packed_batch_options& options) {
  require_at_least(options.ranks, 1, "ranks");
  require_at_least(options.rank, 0, "rank");
  if (options.rank >= options.ranks)
    throw invalid_input("rank", options.rank, "must be less than the number of ranks");
  if (!options.image_first.empty() &&
      (options.consumer != batch_consumer::flex_attention || !has_images(options.mask)))
    throw invalid_input("image_first", options.image_first.size(),
                        "entries are given: only masks with images for flex_attention take them");
  if (options.ranks == 1) return;
  if (options.consumer != batch_consumer::megatron)
    throw invalid_input("ranks", options.ranks, "must be 1: only megatron's row is split");
  if (options.ranks > 1 << 20) throw invalid_input("ranks", options.ranks, "must be at most 2^20");
  require_divisible(options.multiple, 2 * options.ranks, "multiple");
  require_divisible(options.slots, 2 * options.ranks, "slots");
}

/// The arrays with an entry per slot of the rank.
template <typename Split>
void fill_batch(packed_batch& batch, const document_row& row, const Split& split,
                const packed_batch_options& options, std::span<const std::int64_t> labels) {
  using enum batch_consumer;
  const batch_consumer consumer = options.consumer;
  const auto local = static_cast<std::size_t>(split.local_slots());
  const bool weighs = weighs_losses(consumer);
  batch.position_ids.resize(local);
  batch.source_slot.resize(local);
  if (consumer != flash_attention) batch.sequence_index.resize(local);
  if (consumer == megatron) batch.padding_mask.resize(local), batch.global_slot.resize(local);
  token_arrays arrays{.position_ids = batch.position_ids,
                      .sequence_index = batch.sequence_index,
                      .padding_mask = batch.padding_mask,
                      .source_slot = batch.source_slot,
                      .global_slot = batch.global_slot};
  token_inputs inputs{.mask = options.mask, .mask_parameter = options.mask_parameter};
  std::vector<std::int64_t> label_of_slot;
  std::vector<float> weight(static_cast<std::size_t>(row.documents));
  if (takes_labels(consumer)) {
    label_of_slot.assign(static_cast<std::size_t>(row.slots), ignored_label);
    const by_slot<source_of> source{row, {row.cu_seqlens}};
    for (std::int64_t slot = 0; slot < row.slots; ++slot)
      if (const std::int64_t token = source(slot); token >= 0)
        label_of_slot[static_cast<std::size_t>(slot)] = labels[static_cast<std::size_t>(token)];
    batch.labels.resize(local);
    inputs.labels = label_of_slot;
    if (consumer == megatron) inputs.label.shift = label_shift::shifted;
    arrays.labels = batch.labels;
  }
  if (weighs) {
    batch.loss_weights.resize(local);
    arrays.loss_weights = batch.loss_weights;
    batch.loss_weight_sum =
        weigh_documents(row, label_of_slot, inputs.label, options.weighting, {.weight = weight})
            .all;
    inputs.document_weight = weight;
  }
  fill_tokens(row, split, options.rank, inputs, arrays);
}

}  // namespace detail

OMNIBAL_INLINE packed_batch make_packed_batch(std::span<const std::uint32_t> pack,
                                              std::span<const std::int64_t> tokens,
                                              std::span<const std::int64_t> labels,
                                              const packed_batch_options& options) {
  detail::check_consumer(options);
  const std::vector<std::int64_t> lengths = detail::lengths_of_pack(pack, tokens);
  const document_layout layout{
      .documents = options.documents, .slots = options.slots, .multiple = options.multiple};
  packed_batch batch{.summary = lay_documents(lengths, layout)};
  if (takes_labels(options.consumer) &&
      static_cast<std::int64_t>(labels.size()) != batch.summary.tokens)
    throw invalid_input("number of labels", labels.size(),
                        "must be the tokens of the pack, " + std::to_string(batch.summary.tokens));
  batch.cu_seqlens.resize(offset_count(layout));
  batch.cu_seqlens_padded.resize(offset_count(layout));
  lay_documents(lengths, layout, {batch.cu_seqlens, batch.cu_seqlens_padded});
  batch.max_seqlen = std::max(batch.summary.longest, batch.summary.tail);

  const document_row row{.cu_seqlens = batch.cu_seqlens.data(),
                         .cu_seqlens_padded = batch.cu_seqlens_padded.data(),
                         .documents = static_cast<std::int32_t>(lengths.size()),
                         .slots = options.slots};
  if (options.ranks > 1) {
    // The tail is split as one more document.
    document_row with_tail = row;
    ++with_tail.documents;
    detail::fill_batch(batch, row, zigzag{with_tail, options.ranks}, options, labels);
    batch.cu_seqlens_rank = zigzag_cu_seqlens({row, options.ranks}, options.rank);
  } else {
    detail::fill_batch(batch, row, whole{options.slots}, options, labels);
  }
  if (options.consumer == batch_consumer::flex_attention) {
    std::vector<std::int32_t> first(static_cast<std::size_t>(options.slots));
    std::vector<std::int32_t> limit(first.size());
    fill_tokens(row,
                {.image_first = options.image_first,
                 .mask = options.mask,
                 .mask_parameter = options.mask_parameter},
                {.first_query = first, .limit_query = limit});
    batch.blocks = list_blocks(first, limit, options.block, options.block);
  }
  return batch;
}

}  // namespace omnibal::inline v0::indices
