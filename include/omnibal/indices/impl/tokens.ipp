// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::indices::detail {

OMNIBAL_INLINE void check_tokens(const document_row& row, std::int64_t local_slots,
                                 const token_inputs& inputs, const token_arrays& arrays) {
  const auto local = static_cast<std::size_t>(local_slots);
  const auto slots = static_cast<std::size_t>(row.slots);
  require_size(arrays.position_ids, local, "position_ids");
  require_size(arrays.position_ids_int32, local, "position_ids_int32");
  require_size(arrays.sequence_index, local, "sequence_index");
  require_size(arrays.padding_mask, local, "padding_mask");
  require_size(arrays.source_slot, local, "source_slot");
  require_size(arrays.global_slot, local, "global_slot");
  require_size(arrays.labels, local, "output labels");
  require_size(arrays.loss_weights, local, "loss_weights");
  require_size(arrays.first_query, local, "first_query");
  require_size(arrays.limit_query, local, "limit_query");
  const bool wants_labels = !arrays.labels.empty() || !arrays.loss_weights.empty();
  if (wants_labels && inputs.labels.size() != slots)
    throw invalid_input("labels", inputs.labels.size(), "entries are given: must be one a slot");
  require_size(inputs.document_weight, static_cast<std::size_t>(row.documents), "document_weight");
  require_size(inputs.image_first, slots, "image_first");
  if (arrays.first_query.empty() && arrays.limit_query.empty()) return;
  if (has_parameter(inputs.mask))
    require_at_least(inputs.mask_parameter, inputs.mask == mask_kind::causal_chunk ? 1 : 0,
                     "mask_parameter");
  if (has_parameter(inputs.mask))
    static_cast<void>(narrow(inputs.mask_parameter, "mask_parameter"));
}

}  // namespace omnibal::inline v0::indices::detail
