// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a layer of the trainer is: the concept `block`.
///
/// A block has three passes, so that a schedule can put the third anywhere after the second:
///
///     y  = forward(batch, x, kind, saved)     saves what the recompute kind says
///     dx = backward(batch, dy, saved)         computes the rest again; leaves what the third needs
///     weight_gradient(batch, saved)           adds to the gradients of the weight matrices
///
/// Gradients that cost additions alone (gains of norms, biases, rows of tables) are added in the
/// backward. What waits for the weight gradient is never more than what was saved without
/// recomputation.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

#include "../machine.hpp"
#include "../placed_batch.hpp"
#include "parameter.hpp"

namespace omnibal::trainer {

/// A layer. `saved_bytes` are what a forward leaves allocated, `waiting_bytes` what a backward
/// leaves for the weight gradient where the kind is `none`; both exactly. Layers that recompute
/// leave nothing: the caller lets the weight gradient follow the backward at once.
template <typename Block, typename Real>
concept block = requires(Block layer, const Block constant, placed_batch& batch, matrix<Real> rows,
                         typename Block::saved& saved, recompute_kind kind, const workload& work) {
  { layer.forward(batch, std::move(rows), kind, saved) } -> std::same_as<matrix<Real>>;
  { layer.backward(batch, std::move(rows), saved) } -> std::same_as<matrix<Real>>;
  { layer.weight_gradient(batch, saved) } -> std::same_as<void>;
  { layer.parameters() } -> std::same_as<std::vector<layer_parameter<Real>*>>;
  { constant.saved_bytes(work, kind) } -> std::same_as<std::int64_t>;
  { constant.waiting_bytes(work) } -> std::same_as<std::int64_t>;
};

namespace detail {

/// Bytes of `rows` rows of `columns` numbers.
template <typename Real>
[[nodiscard]] std::int64_t bytes_of(std::int64_t rows, std::size_t columns) noexcept {
  return rows * static_cast<std::int64_t>(columns * sizeof(Real));
}

}  // namespace detail

}  // namespace omnibal::trainer
