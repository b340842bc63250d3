// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/weights.hpp>

namespace omnibal::inline v0::indices {

OMNIBAL_INLINE weight_sums weigh_documents(const document_row& row,
                                           std::span<const std::int64_t> labels,
                                           const label_policy& policy, loss_weighting weighting,
                                           const document_weights& arrays) {
  const auto documents = static_cast<std::size_t>(row.documents);
  if (labels.size() != static_cast<std::size_t>(row.slots))
    throw invalid_input("labels", labels.size(), "entries are given: must be one a slot");
  detail::require_size(arrays.label_count, documents, "label_count");
  detail::require_size(arrays.weight, documents, "weight");
  const label_of label{labels.data(), policy};
  weight_sums sums;
  for (std::int32_t document = 0; document < row.documents; ++document) {
    token_cursor at = cursor_in(row, document, 0);
    std::int64_t count = 0;
    std::int64_t in_slot_0 = 0;
    for (at.slot = at.begin; at.slot < at.begin + at.length; ++at.slot) {
      const bool counts = label(at) != ignored_label;
      count += counts ? 1 : 0;
      in_slot_0 += counts && at.slot == 0 ? 1 : 0;
    }
    const float weight = weight_of_document(weighting, count);
    sums.all += double{weight} * static_cast<double>(count);
    sums.after_slot_0 += double{weight} * static_cast<double>(count - in_slot_0);
    if (!arrays.label_count.empty())
      arrays.label_count[static_cast<std::size_t>(document)] = static_cast<std::int32_t>(count);
    if (!arrays.weight.empty()) arrays.weight[static_cast<std::size_t>(document)] = weight;
  }
  return sums;
}

}  // namespace omnibal::inline v0::indices
