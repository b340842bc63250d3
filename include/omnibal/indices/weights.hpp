// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weights of documents in the loss: each token alike, each document alike, or in between
/// (InternVL's token, sample and square averaging). A document's weight needs the count of its
/// labels, hence the first of two passes; loss_weight_of (tokens.hpp) is the second.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/tokens.hpp>

namespace omnibal::inline v0::indices {

/// The weight of a token in a document with x labels.
enum class loss_weighting : std::int32_t {
  token,        ///< 1
  sample,       ///< 1 / x
  square_root,  ///< 1 / √x
};

/// x → the weight; 0 for x = 0.
[[nodiscard]] OMNIBAL_HD inline float weight_of_document(loss_weighting weighting,
                                                         std::int64_t x) noexcept {
  if (x <= 0) return 0.0F;
  const auto labels = static_cast<double>(x);
  switch (weighting) {
    case loss_weighting::token: return 1.0F;
    case loss_weighting::sample: return static_cast<float>(1.0 / labels);
    case loss_weighting::square_root: return static_cast<float>(1.0 / std::sqrt(labels));
  }
  return 0.0F;
}

/// Outputs of weigh_documents, [documents] each, each optional: an empty span is not written.
struct document_weights {
  std::span<std::int32_t> label_count = {};  ///< x
  std::span<float> weight = {};
};

/// Divisors of the loss.
struct weight_sums {
  double all = 0;           ///< Σ of the weights of all slots with a label
  double after_slot_0 = 0;  ///< the same without slot 0, nobody's target where labels are unshifted
};

/// Counts the labels that `policy` leaves to each document of the row, and weighs the documents.
///
/// A masked first label is not counted, since no slot of its document predicts it. InternVL counts
/// it: first_label::kept gives its weights. Sums are made in the order of documents: the same bits
/// every run. Throws invalid_input for sizes that are wrong. O(slots).
weight_sums weigh_documents(const document_row& row, std::span<const std::int64_t> labels,
                            const label_policy& policy, loss_weighting weighting,
                            const document_weights& arrays = {});

}  // namespace omnibal::inline v0::indices

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/indices/impl/weights.ipp>
#endif
