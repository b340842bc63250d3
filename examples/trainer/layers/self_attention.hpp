// SPDX-License-Identifier: Apache-2.0
/// @file
/// The attention half of a transformer block: y = x + attention(norm(x)) · w. Which rows see each
/// other and whether positions are rotary is a parameter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "attention.hpp"
#include "block.hpp"
#include "fused_attention.hpp"
#include "operations.hpp"

namespace omnibal::trainer {

/// Attention of the patches of each tile among themselves, without positions.
struct tile_attention {
  std::size_t patches = 0;  ///< Of a tile.

  [[nodiscard]] std::int64_t rows(const workload& work) const noexcept {
    return work.tiles * static_cast<std::int64_t>(patches);
  }
  [[nodiscard]] within_tile mask(const placed_batch&) const noexcept { return {patches}; }
  [[nodiscard]] row_groups groups(const placed_batch& batch) const {
    row_groups tiles{.begin = std::vector<std::int32_t>(batch.tiles() + 1)};
    for (std::size_t i = 0; i < tiles.begin.size(); ++i)
      tiles.begin[i] = static_cast<std::int32_t>(i * patches);
    return tiles;
  }
  template <typename Real>
  void turn(const placed_batch&, matrix<Real>&, const head_shape&, wide<Real>) const {}
};

/// Causal attention within documents, with rotary positions.
struct document_attention {
  double rotary_base = 10'000;

  [[nodiscard]] std::int64_t rows(const workload& work) const noexcept { return work.tokens; }
  [[nodiscard]] causal_in_document mask(const placed_batch& batch) const noexcept {
    return {batch.document_begin.data(), batch.query_limit.data()};
  }
  [[nodiscard]] row_groups groups(const placed_batch& batch) const {
    return {.begin = batch.cu_seqlens, .is_causal = true};
  }
  /// Turns queries and keys by their positions, or back where direction is −1.
  template <typename Real>
  void turn(const placed_batch& batch, matrix<Real>& qkv, const head_shape& shape,
            wide<Real> direction) const {
    rotate(*batch.on, qkv, shape, batch.position_ids, rotary_base, direction);
  }
};

template <typename Real, typename Pattern>
class self_attention {
 public:
  struct saved {
    matrix<Real> input;   ///< [rows × columns]
    matrix<Real> normed;  ///< [rows × columns]
    matrix<Real> qkv;     ///< [rows × shape.columns()]
    attended<Real> heads;
    matrix<Real> qkv_gradient;     ///< These two wait for the weight gradient, with
    matrix<Real> output_gradient;  ///< normed and heads.output.
  };

  self_attention(initial_values& initial, std::size_t columns, const head_shape& shape,
                 const Pattern& pattern)
      : columns_(columns),
        shape_(shape),
        pattern_(pattern),
        norm_(initial.constant<Real>("attention_norm", columns, 1)),
        qkv_(initial.weights<Real>("qkv", columns, shape.columns())),
        out_(initial.weights<Real>("attention_output", shape.query_columns(), columns)) {}

  /// Computes what is not there of what follows from the input.
  void complete(const placed_batch& batch, saved& of) const {
    machine& on = *batch.on;
    if (!of.normed) of.normed = normalized(on, of.input, norm_);
    if (of.qkv) return;
    of.qkv = times(on, of.normed, qkv_);
    pattern_.turn(batch, of.qkv, shape_, 1);
    of.heads = attend_fast(on, of.qkv, shape_, pattern_.mask(batch), pattern_.groups(batch));
  }

  [[nodiscard]] matrix<Real> output_of(const placed_batch& batch, const saved& of) const {
    matrix<Real> y = times(*batch.on, of.heads.output, out_);
    add(*batch.on, y, of.input);
    return y;
  }

  /// Frees what the kind computes again.
  static void forget(saved& of, recompute_kind kind) {
    if (kind == recompute_kind::none) return;
    of.normed = {};
    if (kind == recompute_kind::selective) return;
    of.qkv = {};
    of.heads = {};
  }

  [[nodiscard]] matrix<Real> backward(const placed_batch& batch, matrix<Real> dy, saved& of) {
    machine& on = *batch.on;
    of.qkv_gradient = attention_gradient_fast(on, of.qkv, of.heads, times_transposed(on, dy, out_),
                                              shape_, pattern_.mask(batch), pattern_.groups(batch));
    pattern_.turn(batch, of.qkv_gradient, shape_, -1);
    of.qkv = {};
    of.heads.log_sums = {};
    matrix<Real> dx = copy_of(on, dy);
    add_norm_gradients(on, dx, norm_, of.input, times_transposed(on, of.qkv_gradient, qkv_));
    of.input = {};
    of.output_gradient = std::move(dy);
    return dx;
  }

  void weight_gradient(const placed_batch& batch, saved& of) {
    add_weight_gradient(*batch.on, qkv_, of.normed, of.qkv_gradient);
    add_weight_gradient(*batch.on, out_, of.heads.output, of.output_gradient);
  }

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() { return {&norm_, &qkv_, &out_}; }

  [[nodiscard]] std::int64_t rows(const workload& work) const { return pattern_.rows(work); }
  [[nodiscard]] std::int64_t saved_bytes(const workload& work, recompute_kind kind) const {
    std::size_t columns = columns_;
    if (kind == recompute_kind::none) columns += columns_;
    if (kind == recompute_kind::full) return detail::bytes_of<Real>(rows(work), columns);
    columns += shape_.columns() + shape_.query_columns();
    return detail::bytes_of<Real>(rows(work), columns) +
           detail::bytes_of<wide<Real>>(rows(work), shape_.heads);
  }
  [[nodiscard]] std::int64_t waiting_bytes(const workload& work) const {
    return detail::bytes_of<Real>(rows(work),
                                  2 * columns_ + shape_.columns() + shape_.query_columns());
  }
  /// What is there when complete() has computed everything and rounds the heads' outputs.
  [[nodiscard]] std::int64_t completing_bytes(const workload& work) const {
    return detail::bytes_of<Real>(rows(work), 2 * columns_ + shape_.columns()) +
           detail::converted_bytes<Real>(rows(work), shape_.query_columns()) +
           detail::bytes_of<wide<Real>>(rows(work), shape_.heads);
  }
  /// What a backward computes with beside what it is given and what complete() leaves: gradients of
  /// the heads' outputs, of queries, keys and values, and a sum for each row and head.
  [[nodiscard]] std::int64_t backward_workspace(const workload& work) const {
    return detail::bytes_of<Real>(rows(work), shape_.query_columns()) +
           detail::converted_bytes<Real>(rows(work), shape_.columns()) +
           detail::bytes_of<wide<Real>>(rows(work), shape_.heads);
  }

 private:
  std::size_t columns_;
  head_shape shape_;
  Pattern pattern_;
  layer_parameter<Real> norm_;
  layer_parameter<Real> qkv_;
  layer_parameter<Real> out_;
};

}  // namespace omnibal::trainer
