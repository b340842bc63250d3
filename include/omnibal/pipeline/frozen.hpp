// SPDX-License-Identifier: Apache-2.0
/// @file
/// Frozen layers: removes the backward work and memory that layers need only when they are trained.
/// Gradients flow from the end of the chain down to the lowest trained layer. Below it there is no
/// backward, so nothing is saved or recomputed; a frozen layer above it passes gradients through
/// and computes those of its inputs but not those of its weights.
///
///     const auto needs = omnibal::gradients_of(training);  // one layer_training per layer
///     omnibal::leave_out_gradients(problem.layers, needs);
///
/// Planners and simulations see the result as an ordinary chain. A backward without any work stays
/// in the schedule and takes no time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Whether and how a layer is trained.
struct layer_training {
  bool trainable = true;
  /// Whether gradients of its inputs are computed. By default a trained layer computes them, and a
  /// frozen layer if a layer below it is trained.
  std::optional<bool> input_gradient = {};
  /// Whether a weight gradient time of 0 is what the layer takes, not one that is unknown.
  bool zero_weight_gradient_known = false;
};

/// Which gradients a layer computes.
struct gradient_needs {
  bool of_weights = true;
  bool of_inputs = true;
  bool zero_weight_gradient_known = false;  ///< As in layer_training.

  [[nodiscard]] constexpr bool any() const noexcept { return of_weights || of_inputs; }
};

/// The gradients that every layer computes. Throws invalid_input if a layer set to compute no input
/// gradients is above a trained layer, which needs them. O(layers).
[[nodiscard]] std::vector<gradient_needs> gradients_of(std::span<const layer_training> training);

/// Reduces a backward time, and the weight gradient time in it, to the gradients needed. If the
/// weight gradient time is unknown (0, unless that is known to be right), each of the two gradients
/// is taken as half, rounded up.
constexpr void leave_out_gradients(std::int64_t& backward, std::int64_t& weight_gradient,
                                   const gradient_needs& needs) noexcept {
  const bool known = weight_gradient > 0 || needs.zero_weight_gradient_known;
  const std::int64_t single = backward - backward / 2;
  if (!needs.any())
    backward = 0;
  else if (!needs.of_weights)
    backward = known ? backward - weight_gradient : single;
  else if (!needs.of_inputs)
    backward = known ? weight_gradient : single;
  if (!needs.of_weights) weight_gradient = 0;
}

/// Reduces times and activation bytes of every layer to the gradients needed. Precondition: as many
/// needs as layers. O(layers · modes).
void leave_out_gradients(std::span<pipeline_layer> layers, std::span<const gradient_needs> needs);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/frozen.ipp>
#endif
