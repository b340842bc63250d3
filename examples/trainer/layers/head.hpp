// SPDX-License-Identifier: Apache-2.0
/// @file
/// The last layer: norm, logits, and the loss Σ weight · (−log softmax(logits)[target]).
///
/// Logits exist for a chunk of tokens at a time; backward and weight gradient compute them again,
/// so the bytes of the head do not grow with the vocabulary.
///
/// Saved per token, in numbers of d columns: none 2 d (input, normed), selective and full d.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "block.hpp"
#include "operations.hpp"

namespace omnibal::trainer {

/// Tokens whose logits exist at a time.
inline constexpr std::size_t head_chunk = 128;

namespace detail {

/// The largest logit of a row and the logarithm of the sum of all exponentials.
template <typename Real>
struct row_summary {
  std::size_t largest;
  Real log_sum;
};

template <typename Real>
[[nodiscard]] OMNIBAL_ON_LANES row_summary<Real> summary_of(const lanes& group, const Real* logits,
                                                            std::size_t vocabulary) {
  const std::size_t largest = group.largest(vocabulary, [&](std::size_t i) { return logits[i]; });
  const Real most = logits[largest];
  const Real sum = group.sum(vocabulary, [&](std::size_t i) { return std::exp(logits[i] - most); });
  return {largest, most + std::log(sum)};
}

/// Weighted losses and predictions of the tokens from `first` on, from their logits.
template <typename Real>
void evaluate_rows(const placed_batch& batch, std::size_t first, const matrix<Real>& chunk,
                   double* losses, std::int32_t* predictions) {
  const matrix_view<const Real> logits = chunk;
  const std::int32_t* const targets = batch.targets.data();
  const float* const weights = batch.loss_weights.data();
  for_rows(*batch.on, chunk.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    const auto summary = summary_of(group, logits[row], logits.columns);
    const std::size_t token = first + row;
    group.once([&] {
      predictions[token] = static_cast<std::int32_t>(summary.largest);
      if (targets[token] == no_target) return;
      const Real target = logits[row][static_cast<std::size_t>(targets[token])];
      losses[token] =
          static_cast<double>(weights[token]) * static_cast<double>(summary.log_sum - target);
    });
  });
}

/// Logits of the tokens from `first` on become the gradients of the loss by them.
template <typename Real>
void turn_into_slopes(const placed_batch& batch, std::size_t first, matrix<Real>& chunk) {
  const matrix_view<Real> slopes = chunk;
  const std::int32_t* const targets = batch.targets.data();
  const float* const weights = batch.loss_weights.data();
  for_rows(*batch.on, chunk.rows(), [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    Real* const values = slopes[row];
    const std::int32_t target = targets[first + row];
    const Real weight = target == no_target ? 0 : static_cast<Real>(weights[first + row]);
    const Real log_sum = summary_of(group, values, slopes.columns).log_sum;
    group.each(slopes.columns, [&](std::size_t i) {
      const Real expected = static_cast<std::int32_t>(i) == target ? 1 : 0;
      values[i] = weight * (std::exp(values[i] - log_sum) - expected);
    });
  });
}

}  // namespace detail

template <typename Real>
class head {
 public:
  struct saved {
    matrix<Real> input;   ///< [tokens × columns]
    matrix<Real> normed;  ///< [tokens × columns]
  };

  head(initial_values initial, std::size_t columns, std::size_t vocabulary)
      : columns_(columns),
        vocabulary_(vocabulary),
        norm_(initial.constant<Real>("norm", columns, 1)),
        weights_(initial.weights<Real>("logits", columns, vocabulary)) {}

  /// Leaves loss and predictions in batch.result and passes nothing on.
  [[nodiscard]] matrix<Real> forward(placed_batch& batch, matrix<Real> x, recompute_kind kind,
                                     saved& of) {
    of.input = std::move(x);
    of.normed = normalized(*batch.on, of.input, norm_);
    evaluate(batch, of.normed);
    if (kind != recompute_kind::none) of.normed = {};
    return {};
  }

  [[nodiscard]] matrix<Real> backward(placed_batch& batch, matrix<Real>, saved& of) {
    machine& on = *batch.on;
    if (!of.normed) of.normed = normalized(on, of.input, norm_);
    matrix<Real> normed_gradient(on, of.normed.rows(), columns_);
    for_chunks(batch, of.normed, [&](std::size_t first, const matrix<Real>& slopes) {
      product<Real>(on, normed_gradient.view().part(first, slopes.rows()), {slopes},
                    {weights_.used(), true});
    });
    matrix<Real> dx(on, of.input.rows(), columns_);
    add_norm_gradients(on, dx, norm_, of.input, normed_gradient);
    of.input = {};
    return dx;
  }

  void weight_gradient(placed_batch& batch, saved& of) {
    if (!weights_.is_trained()) return;
    const matrix_view<const Real> normed = std::as_const(of.normed).view();
    for_chunks(batch, of.normed, [&](std::size_t first, const matrix<Real>& slopes) {
      product<wide<Real>, Real>(*batch.on, weights_.gradient,
                                {normed.part(first, slopes.rows()), true}, {slopes}, 1);
    });
  }

  [[nodiscard]] std::vector<layer_parameter<Real>*> parameters() { return {&norm_, &weights_}; }
  [[nodiscard]] std::int64_t saved_bytes(const workload& work, recompute_kind kind) const {
    return detail::bytes_of<Real>(work.tokens,
                                  kind == recompute_kind::none ? 2 * columns_ : columns_);
  }
  [[nodiscard]] std::int64_t waiting_bytes(const workload& work) const {
    return detail::bytes_of<Real>(work.tokens, columns_);
  }
  /// A forward has input and normed rows, a loss and a prediction per token, and the logits of a
  /// chunk. A backward has input, normed rows and their gradient with the slopes of a chunk, then
  /// the gradients of input and gain. A weight gradient at once needs no more.
  [[nodiscard]] pass_peaks peak_bytes(const workload& work, recompute_kind) const {
    const std::int64_t rows = detail::bytes_of<Real>(work.tokens, columns_);
    const auto chunk = std::min(work.tokens, static_cast<std::int64_t>(head_chunk));
    const std::int64_t logits = detail::bytes_of<wide<Real>>(chunk, vocabulary_);
    const std::int64_t slopes = detail::converted_bytes<Real>(chunk, vocabulary_);
    const auto results =
        work.tokens * static_cast<std::int64_t>(sizeof(double) + sizeof(std::int32_t));
    return {.forward = std::max(detail::converted_bytes<Real>(work.tokens, columns_),
                                2 * rows + results + logits),
            .backward = std::max(3 * rows + slopes,
                                 4 * rows + detail::bytes_of<wide<Real>>(work.tokens, columns_)),
            .weight_gradient = waiting_bytes(work) + slopes};
  }

 private:
  [[nodiscard]] matrix<wide<Real>> logits_of(machine& on, const matrix<Real>& normed,
                                             std::size_t first, std::size_t count) const {
    matrix<wide<Real>> logits(on, count, vocabulary_);
    product<wide<Real>, Real>(on, logits, {normed.view().part(first, count)}, {weights_.used()});
    return logits;
  }

  /// Leaves loss and predictions of all tokens in the batch.
  void evaluate(placed_batch& batch, const matrix<Real>& normed) const {
    machine& on = *batch.on;
    const std::size_t tokens = normed.rows();
    buffer<double> losses(on, tokens);
    buffer<std::int32_t> predictions(on, tokens);
    for (std::size_t first = 0; first < tokens; first += head_chunk)
      detail::evaluate_rows<wide<Real>>(
          batch, first, logits_of(on, normed, first, std::min(head_chunk, tokens - first)),
          losses.data(), predictions.data());
    std::vector<double> terms(tokens);
    copy_out(on, losses.data(), std::span(terms));
    batch.result.loss = std::accumulate(terms.begin(), terms.end(), 0.0);
    batch.result.predictions.resize(tokens);
    copy_out(on, predictions.data(), std::span(batch.result.predictions));
  }

  /// Calls use(first token, gradient of the loss by the logits) for all chunks in order.
  template <typename Use>
  void for_chunks(const placed_batch& batch, const matrix<Real>& normed, const Use& use) const {
    for (std::size_t first = 0; first < normed.rows(); first += head_chunk) {
      matrix<wide<Real>> chunk =
          logits_of(*batch.on, normed, first, std::min(head_chunk, normed.rows() - first));
      detail::turn_into_slopes<wide<Real>>(batch, first, chunk);
      use(first, converted<Real>(*batch.on, std::move(chunk)));
    }
  }

  std::size_t columns_;
  std::size_t vocabulary_;
  layer_parameter<Real> norm_;
  layer_parameter<Real> weights_;
};

}  // namespace omnibal::trainer
