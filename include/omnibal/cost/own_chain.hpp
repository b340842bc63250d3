// SPDX-License-Identifier: Apache-2.0
/// @file
/// A chain of one's own from measured layers, for a model that has no preset.
///
///     const auto fits = omnibal::fit_layers(rows);
///     const auto chain = omnibal::chain_from(
///         fits, {{.name = "encoder", .parameters = 12'000'000,
///                 .output_bytes = omnibal::cost_per({.token = 2 * 1024})},
///                {.name = "head", .parameters = 30'000'000}});
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

/// Nanoseconds or bytes: those of any micro-batch, and those per unit of its workload.
struct unit_costs {
  double constant = 0;
  double tile = 0;
  double token = 0;
  double squared_token = 0;
};

/// The linear cost of these units, rounded to fixed point. Throws invalid_input for units that are
/// not finite, negative or too large.
[[nodiscard]] linear_cost cost_per(const unit_costs& units);

/// A layer of a chain: what its measurements do not say.
struct own_layer {
  std::string name = {};  ///< Of its fit, the whole name; several layers may have the same.
  layer_kind kind = layer_kind::custom;
  std::int64_t parameters = 0;
  bool trainable = true;
  linear_cost latency = {};       ///< Of a transfer to or from the next stage.
  linear_cost output_bytes = {};  ///< Needed where a stage may end, to execute a plan.
  std::int64_t step_time = 0;     ///< Nanoseconds of gradient reduction and optimizer.
};

/// The chain of these layers, in their order, each with the costs and modes of the fit of its name;
/// its static bytes are `bytes_per_parameter`, or 2 if it is not trained. Throws invalid_input
/// naming the layer if there is no fit of its name or the fit lacks the forward, the backward, the
/// saved bytes of a mode or, for a mode that recomputes, its extra time or transient bytes; and for
/// negative numbers. A weight gradient that was not measured is part of the backward.
/// O(layers · fits).
[[nodiscard]] std::vector<layer_cost> chain_from(std::span<const layer_fit> fits,
                                                 const std::vector<own_layer>& layers,
                                                 std::int64_t bytes_per_parameter = 18);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/own_chain.ipp>
#endif
