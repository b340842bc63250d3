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

#include <algorithm>
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

/// The most bytes that a layer has allocated for a micro-batch at a time, within each of its
/// passes: what it is given, has saved, computes with and gives.
struct pass_peaks {
  std::int64_t forward = 0;
  std::int64_t backward = 0;         ///< With the weight gradient, where that follows at once.
  std::int64_t weight_gradient = 0;  ///< Where it is a pass of its own.
};

/// A layer. `saved_bytes` are what a forward leaves allocated, `waiting_bytes` what a backward
/// leaves for the weight gradient where the kind is `none`, `peak_bytes` the most within passes;
/// all exactly. Layers that recompute leave nothing: the caller lets the weight gradient follow the
/// backward at once.
template <typename Block, typename Real>
concept block = requires(Block layer, const Block constant, placed_batch& batch, matrix<Real> rows,
                         typename Block::saved& saved, recompute_kind kind, const workload& work) {
  { layer.forward(batch, std::move(rows), kind, saved) } -> std::same_as<matrix<Real>>;
  { layer.backward(batch, std::move(rows), saved) } -> std::same_as<matrix<Real>>;
  { layer.weight_gradient(batch, saved) } -> std::same_as<void>;
  { layer.parameters() } -> std::same_as<std::vector<layer_parameter<Real>*>>;
  { constant.saved_bytes(work, kind) } -> std::same_as<std::int64_t>;
  { constant.waiting_bytes(work) } -> std::same_as<std::int64_t>;
  { constant.peak_bytes(work, kind) } -> std::same_as<pass_peaks>;
};

namespace detail {

/// Bytes of `rows` rows of `columns` numbers.
template <typename Real>
[[nodiscard]] std::int64_t bytes_of(std::int64_t rows, std::size_t columns) noexcept {
  return rows * static_cast<std::int64_t>(columns * sizeof(Real));
}

/// The same while they are converted from wide numbers or to them: both are there.
template <typename Real>
[[nodiscard]] std::int64_t converted_bytes(std::int64_t rows, std::size_t columns) noexcept {
  const bool converts = !std::same_as<Real, wide<Real>>;
  return bytes_of<Real>(rows, columns) + (converts ? bytes_of<wide<Real>>(rows, columns) : 0);
}

}  // namespace detail

}  // namespace omnibal::trainer
