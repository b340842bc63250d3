// SPDX-License-Identifier: Apache-2.0
/// @file
/// A transformer block: attention, then feed-forward, each with a norm before it and a sum after
/// it. The vision block and the decoder block are of this form.
///
/// Saved per row, in numbers, with d columns, h heads, qkv and o columns of queries, keys and
/// values and of the heads' outputs, f of the feed-forward and i inputs per activation; the h are
/// wide:
///
///     none       4 d + qkv + o + h + (i + 1) f
///     selective  2 d + qkv + o + h + i f         norms and activations are computed again
///     full       d                               the input
///
/// From the backward to the weight gradient wait 4 d + qkv + o + (i + 1) f numbers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "block.hpp"
#include "feed_forward.hpp"
#include "self_attention.hpp"

namespace omnibal::trainer {

/// Columns of a transformer block.
struct block_shape {
  std::size_t columns = 0;
  head_shape heads = {};
  std::size_t feed_forward = 0;  ///< Inner width.
};

template <typename Real, typename Pattern, typename Activation>
class transformer_block {
 public:
  struct saved {
    typename self_attention<Real, Pattern>::saved attention;
    typename feed_forward<Real, Activation>::saved feed_forward;
  };

  transformer_block(initial_values initial, const block_shape& shape, const Pattern& pattern)
      : columns_(shape.columns),
        attention_(initial, shape.columns, shape.heads, pattern),
        feed_forward_(initial, shape.columns, shape.feed_forward) {}

  [[nodiscard]] matrix<Real> forward(placed_batch& batch, matrix<Real> x, recompute_kind kind,
                                     saved& of) {
    of.attention.input = std::move(x);
    complete(batch, of);
    matrix<Real> y = feed_forward_.output_of(*batch.on, of.feed_forward);
    attention_.forget(of.attention, kind);
    feed_forward_.forget(of.feed_forward, kind);
    return y;
  }

  [[nodiscard]] matrix<Real> backward(placed_batch& batch, matrix<Real> dy, saved& of) {
    complete(batch, of);
    return attention_.backward(
        batch, feed_forward_.backward(*batch.on, std::move(dy), of.feed_forward), of.attention);
  }

  void weight_gradient(placed_batch& batch, saved& of) {
    attention_.weight_gradient(batch, of.attention);
    feed_forward_.weight_gradient(*batch.on, of.feed_forward);
  }

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() {
    std::vector<layer_parameter<Real>*> all = attention_.parameters();
    for (layer_parameter<Real>* one : feed_forward_.parameters()) all.push_back(one);
    return all;
  }

  [[nodiscard]] std::int64_t saved_bytes(const workload& work, recompute_kind kind) const {
    return attention_.saved_bytes(work, kind) + feed_forward_.saved_bytes(rows(work), kind);
  }
  [[nodiscard]] std::int64_t waiting_bytes(const workload& work) const {
    return attention_.waiting_bytes(work) + feed_forward_.waiting_bytes(rows(work));
  }
  /// In a forward all is there that could be saved, and the output; a backward begins with as much,
  /// and the rows that it is given.
  [[nodiscard]] pass_peaks peak_bytes(const workload& work, recompute_kind kind) const {
    const std::int64_t complete =
        saved_bytes(work, recompute_kind::none) + detail::bytes_of<Real>(rows(work), columns_);
    const std::int64_t output = detail::converted_bytes<Real>(rows(work), columns_);
    return {.forward = std::max(
                {attention_.completing_bytes(work), complete, saved_bytes(work, kind) + output}),
            .backward = complete + std::max(feed_forward_.backward_workspace(rows(work)),
                                            attention_.backward_workspace(work)),
            .weight_gradient = waiting_bytes(work)};
  }

 private:
  void complete(const placed_batch& batch, saved& of) const {
    attention_.complete(batch, of.attention);
    if (!of.feed_forward.input) of.feed_forward.input = attention_.output_of(batch, of.attention);
    feed_forward_.complete(*batch.on, of.feed_forward);
  }
  [[nodiscard]] std::int64_t rows(const workload& work) const { return attention_.rows(work); }

  std::size_t columns_;
  self_attention<Real, Pattern> attention_;
  feed_forward<Real, Activation> feed_forward_;
};

}  // namespace omnibal::trainer
