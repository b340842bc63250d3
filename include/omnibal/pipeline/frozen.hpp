// SPDX-License-Identifier: Apache-2.0
/// @file
/// Layers that are not trained. Gradients flow from the end of the chain down to the lowest layer
/// that is: below it there is no backward at all, so nothing is kept or recomputed for one either;
/// a frozen layer above it passes gradients through, which is a single backward instead of one for
/// inputs and one for weights.
///
/// The work that is left out disappears from the layers, so that planners and simulations see a
/// plain chain. The backward of such a layer keeps its place in the schedule and takes no time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

struct layer_training {
  bool trainable = true;
  /// Whether gradients of its inputs are computed; unless said, a frozen layer computes them when a
  /// layer below it is trained, and a trained layer does.
  std::optional<bool> input_gradient = {};
};

/// Which gradients a layer computes.
struct gradient_needs {
  bool of_weights = true;
  bool of_inputs = true;

  [[nodiscard]] constexpr bool any() const noexcept { return of_weights || of_inputs; }
};

/// The gradients of every layer. Throws invalid_input where a layer would keep gradients from a
/// trained layer below it. O(layers).
[[nodiscard]] std::vector<gradient_needs> gradients_of(std::span<const layer_training> training);

/// What is left of a backward and of the W in it. Where it is not known which part is W, both
/// gradients are taken to cost the same, a single one rounded up.
constexpr void leave_out_gradients(std::int64_t& backward, std::int64_t& weight_gradient,
                                   const gradient_needs& needs) noexcept {
  const std::int64_t single = backward - backward / 2;
  if (!needs.any())
    backward = 0;
  else if (!needs.of_weights)
    backward = weight_gradient > 0 ? backward - weight_gradient : single;
  else if (!needs.of_inputs)
    backward = weight_gradient > 0 ? weight_gradient : single;
  if (!needs.of_weights) weight_gradient = 0;
}

/// Leaves out of every layer what its gradients do not need. Precondition: as many needs as layers.
/// O(layers · modes).
void leave_out_gradients(std::span<pipeline_layer> layers, std::span<const gradient_needs> needs);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/pipeline/impl/frozen.ipp>
#endif
