// SPDX-License-Identifier: Apache-2.0
/// @file
/// Attention of packed rows: which rows see each other, rotary positions, and the products and
/// their derivatives, one row and head at a time, without a matrix of scores.
///
/// A row has the queries of all heads, then the keys, then the values; several heads may share keys
/// and values. Sums are wide and rounded once. Besides the output, the forward leaves the logarithm
/// of each softmax's sum, from which the backward computes the probabilities again.
///
/// Sources: Dao, "FlashAttention-2", 2023; Su et al., "RoFormer", 2021; Ainslie et al., "GQA",
/// 2023.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "../machine.hpp"

namespace omnibal::trainer {

/// The heads of an attention: `heads` queries, `key_heads` keys and values, of `width` numbers.
struct head_shape {
  std::size_t heads = 0;
  std::size_t key_heads = 0;  ///< Divides heads.
  std::size_t width = 0;      ///< Even where positions are rotary.

  [[nodiscard]] OMNIBAL_HD std::size_t query_columns() const noexcept { return heads * width; }
  [[nodiscard]] OMNIBAL_HD std::size_t columns() const noexcept {
    return (heads + 2 * key_heads) * width;
  }
  [[nodiscard]] OMNIBAL_HD std::size_t query(std::size_t head) const noexcept {
    return head * width;
  }
  [[nodiscard]] OMNIBAL_HD std::size_t key(std::size_t key_head) const noexcept {
    return (heads + key_head) * width;
  }
  [[nodiscard]] OMNIBAL_HD std::size_t value(std::size_t key_head) const noexcept {
    return (heads + key_heads + key_head) * width;
  }
  [[nodiscard]] OMNIBAL_HD std::size_t heads_of_key() const noexcept { return heads / key_heads; }
};

// ---- which rows see each other ------------------------------------------------------------------

/// Rows first … limit − 1.
struct row_range {
  std::size_t first = 0;
  std::size_t limit = 0;
};

/// All patches of a tile see each other.
struct within_tile {
  std::size_t patches = 0;

  [[nodiscard]] OMNIBAL_HD row_range keys_of(std::size_t query) const noexcept {
    return {query / patches * patches, query / patches * patches + patches};
  }
  [[nodiscard]] OMNIBAL_HD row_range queries_of(std::size_t key) const noexcept {
    return keys_of(key);
  }
};

/// A token sees those of its document up to itself.
struct causal_in_document {
  const std::int32_t* document_begin = nullptr;  ///< As in placed_batch.
  const std::int32_t* query_limit = nullptr;

  [[nodiscard]] OMNIBAL_HD row_range keys_of(std::size_t query) const noexcept {
    return {static_cast<std::size_t>(document_begin[query]), query + 1};
  }
  [[nodiscard]] OMNIBAL_HD row_range queries_of(std::size_t key) const noexcept {
    return {key, static_cast<std::size_t>(query_limit[key])};
  }
};

// ---- rotary positions ---------------------------------------------------------------------------

/// Turns the pairs (i, i + width / 2) of all queries and keys by position · base^(−2 i / width), or
/// back where direction is −1.
template <typename Real>
void rotate(machine& on, matrix<Real>& qkv, const head_shape& shape,
            const buffer<std::int32_t>& position_ids, double base, wide<Real> direction) {
  using number = wide<Real>;
  const matrix_view<Real> rows = qkv;
  const std::int32_t* const positions = position_ids.data();
  const auto step = static_cast<number>(-2 * std::log(base) / static_cast<double>(shape.width));
  for_rows(on, qkv.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const auto position = static_cast<number>(positions[row]) * direction;
    const std::size_t half = shape.width / 2;
    group.each(half, [&](std::size_t i) {
      const number angle = position * std::exp(step * static_cast<number>(i));
      const number cosine = std::cos(angle);
      const number sine = std::sin(angle);
      for (std::size_t head = 0; head < shape.heads + shape.key_heads; ++head) {
        Real* const pair = rows[row] + shape.query(head) + i;
        const number first = pair[0];
        const number second = pair[half];
        pair[0] = first * cosine - second * sine;
        pair[half] = second * cosine + first * sine;
      }
    });
  });
}

// ---- attention ----------------------------------------------------------------------------------

namespace detail {

/// Σ a[i] · b[i].
template <typename Real>
[[nodiscard]] OMNIBAL_ON_LANES wide<Real> dot(const lanes& group, std::size_t width, const Real* a,
                                              const Real* b) {
  return group.sum(width, [&](std::size_t i) { return a[i] * b[i]; });
}

/// to += factor · x.
template <typename Real>
OMNIBAL_ON_LANES void add_scaled(const lanes& group, std::size_t width, wide<Real> factor,
                                 const Real* x, wide<Real>* to) {
  group.each(width, [&](std::size_t i) { to[i] += factor * x[i]; });
}

template <typename Real>
[[nodiscard]] wide<Real> score_scale(const head_shape& shape) {
  return 1 / std::sqrt(static_cast<wide<Real>>(shape.width));
}

}  // namespace detail

/// What attention gives: [rows × heads · width], and the logarithms of the softmax's sums.
template <typename Real>
struct attended {
  matrix<Real> output;
  matrix<wide<Real>> log_sums;  ///< [rows × heads]
};

/// softmax(q · kᵀ / √width) · v over the rows that each row sees, itself among them.
template <typename Real, typename Mask>
[[nodiscard]] attended<Real> attend(machine& on, const matrix<Real>& qkv, const head_shape& shape,
                                    const Mask& mask) {
  using number = wide<Real>;
  matrix<number> sums(on, qkv.rows(), shape.query_columns());
  matrix<number> logarithms(on, qkv.rows(), shape.heads);
  const matrix_view<const Real> in = qkv;
  const matrix_view<number> out = sums;
  const matrix_view<number> log_sums = logarithms;
  const auto scale = detail::score_scale<Real>(shape);
  for_rows(on, qkv.rows() * shape.heads, [=] OMNIBAL_ON_LANES(std::size_t item, lanes group) {
    const std::size_t row = item / shape.heads;
    const std::size_t head = item % shape.heads;
    const std::size_t key_head = head / shape.heads_of_key();
    const Real* const query = in[row] + shape.query(head);
    number* const output = out[row] + shape.query(head);
    const row_range keys = mask.keys_of(row);
    number largest = -std::numeric_limits<number>::infinity();
    number sum = 0;
    for (std::size_t j = keys.first; j < keys.limit; ++j) {
      const number score =
          scale * detail::dot(group, shape.width, query, in[j] + shape.key(key_head));
      if (score > largest) {  // the terms so far are relative to the largest of them
        const number smaller = std::exp(largest - score);
        sum *= smaller;
        group.each(shape.width, [&](std::size_t i) { output[i] *= smaller; });
        largest = score;
      }
      const number term = std::exp(score - largest);
      sum += term;
      detail::add_scaled<Real>(group, shape.width, term, in[j] + shape.value(key_head), output);
    }
    group.each(shape.width, [&](std::size_t i) { output[i] /= sum; });
    group.once([&] { log_sums[row][head] = largest + std::log(sum); });
  });
  return {converted<Real>(on, std::move(sums)), std::move(logarithms)};
}

namespace detail {

/// What the derivatives of attention read.
template <typename Real>
struct attention_gradient_inputs {
  head_shape shape;
  wide<Real> scale;
  matrix_view<const Real> qkv;
  matrix_view<const wide<Real>> log_sums;
  matrix_view<const Real> given;         ///< The gradient of the output.
  matrix_view<const wide<Real>> shares;  ///< [rows × heads] Σ output · its gradient

  /// The probability with which a row attends to another, and the gradient of their score.
  struct pair_terms {
    wide<Real> probability;
    wide<Real> score_gradient;
  };
  [[nodiscard]] OMNIBAL_ON_LANES pair_terms of_pair(const lanes& group, std::size_t row,
                                                    std::size_t head, std::size_t other) const {
    const std::size_t key_head = head / shape.heads_of_key();
    const wide<Real> score = scale * dot(group, shape.width, qkv[row] + shape.query(head),
                                         qkv[other] + shape.key(key_head));
    const wide<Real> probability = std::exp(score - log_sums[row][head]);
    const wide<Real> through_value =
        dot(group, shape.width, given[row] + shape.query(head), qkv[other] + shape.value(key_head));
    return {probability, probability * (through_value - shares[row][head]) * scale};
  }
};

template <typename Real>
[[nodiscard]] matrix<wide<Real>> output_shares(machine& on, const attended<Real>& forward,
                                               const matrix<Real>& dy, const head_shape& shape) {
  matrix<wide<Real>> shares(on, dy.rows(), shape.heads);
  const matrix_view<const Real> output = forward.output;
  const matrix_view<const Real> given = dy;
  const matrix_view<wide<Real>> out = shares;
  for_rows(on, dy.rows() * shape.heads, [=] OMNIBAL_ON_LANES(std::size_t item, lanes group) {
    const std::size_t row = item / shape.heads;
    const std::size_t first = shape.query(item % shape.heads);
    const wide<Real> share = dot(group, shape.width, output[row] + first, given[row] + first);
    group.once([&] { out.data[item] = share; });
  });
  return shares;
}

}  // namespace detail

/// The gradient of queries, keys and values, from what attend() gave and the gradient of its
/// output. One pass over queries and one over keys: no row is written by two groups of lanes.
template <typename Real, typename Mask>
[[nodiscard]] matrix<Real> attention_gradient(machine& on, const matrix<Real>& qkv,
                                              const attended<Real>& forward, const matrix<Real>& dy,
                                              const head_shape& shape, const Mask& mask) {
  matrix<wide<Real>> result(on, qkv.rows(), qkv.columns());
  const matrix<wide<Real>> shares = detail::output_shares(on, forward, dy, shape);
  const detail::attention_gradient_inputs<Real> inputs{
      shape, detail::score_scale<Real>(shape), qkv, forward.log_sums, dy, shares};
  const matrix_view<wide<Real>> out = result;
  for_rows(on, qkv.rows() * shape.heads, [=] OMNIBAL_ON_LANES(std::size_t item, lanes group) {
    const std::size_t row = item / shape.heads;
    const std::size_t head = item % shape.heads;
    const row_range keys = mask.keys_of(row);
    for (std::size_t j = keys.first; j < keys.limit; ++j)
      detail::add_scaled<Real>(
          group, shape.width, inputs.of_pair(group, row, head, j).score_gradient,
          inputs.qkv[j] + shape.key(head / shape.heads_of_key()), out[row] + shape.query(head));
  });
  for_rows(on, qkv.rows() * shape.key_heads, [=] OMNIBAL_ON_LANES(std::size_t item, lanes group) {
    const std::size_t row = item / shape.key_heads;
    const std::size_t key_head = item % shape.key_heads;
    const row_range queries = mask.queries_of(row);
    for (std::size_t j = queries.first; j < queries.limit; ++j)
      for (std::size_t k = 0; k < shape.heads_of_key(); ++k) {
        const std::size_t head = key_head * shape.heads_of_key() + k;
        const auto terms = inputs.of_pair(group, j, head, row);
        detail::add_scaled<Real>(group, shape.width, terms.score_gradient,
                                 inputs.qkv[j] + shape.query(head), out[row] + shape.key(key_head));
        detail::add_scaled<Real>(group, shape.width, terms.probability,
                                 inputs.given[j] + shape.query(head),
                                 out[row] + shape.value(key_head));
      }
  });
  return converted<Real>(on, std::move(result));
}

}  // namespace omnibal::trainer
