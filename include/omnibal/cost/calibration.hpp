// SPDX-License-Identifier: Apache-2.0
/// @file
/// Measured layers in place of predicted ones: times and activations of a profile become linear
/// costs, and these replace those of a priced chain.
///
/// The forward of a layer is the same whatever it recomputes, so all its rows count. Its backward
/// is that of rows in mode `none`; what another mode adds is the difference between a backward in
/// that mode and the mean backward in mode `none` at the same workload, or, where that was not
/// measured because it does not fit the memory, say, the fitted one.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/linear_fit.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

/// What one layer in one mode took for one workload; whatever was not measured is absent.
struct measured_layer {
  std::string name = {};  ///< Of a layer, `vision0`, or of all whose names add a number, `vision`.
  std::string mode = "none";
  workload work = {};
  std::optional<double> forward_time = {};          ///< Nanoseconds, and so below.
  std::optional<double> backward_time = {};         ///< Recomputation and weight gradient included.
  std::optional<double> weight_gradient_time = {};  ///< The part of backward_time that is W.
  std::optional<double> saved_bytes = {};
  std::optional<double> transient_bytes = {};
};

/// The fits of a recompute mode; absent where nothing was measured.
struct mode_fit {
  std::string name = "none";
  std::optional<linear_fit> extra_time = {};  ///< Residuals are relative to the backward.
  std::optional<linear_fit> saved_bytes = {};
  std::optional<linear_fit> transient_bytes = {};
  /// Rows whose backward in mode `none` was not measured at their workload, but fitted.
  std::size_t extra_over_fitted = 0;
};

/// The fits of a layer or a kind of layers.
struct layer_fit {
  std::string name = {};
  std::optional<linear_fit> forward_time = {};
  std::optional<linear_fit> backward_time = {};  ///< Without recomputation.
  /// The mean share of the backward in mode `none` that was the weight gradient.
  std::optional<double> weight_gradient_share = {};
  std::vector<mode_fit> modes = {};
};

/// The fits of every name, in the order of their first rows. Throws invalid_input naming field and
/// row where there are no rows, where one holds what cannot be measured (validate of measurement),
/// and where a backward is that of a layer with none in mode `none`. O(rows²).
[[nodiscard]] std::vector<layer_fit> fit_layers(std::span<const measured_layer> rows);

/// The margin of memory (memory_setup::margin) with which the fitted bytes reach every measured
/// one. Infinite where 0 bytes are predicted and more were measured.
[[nodiscard]] double suggested_margin(std::span<const layer_fit> fits);

/// A chain with fitted costs where there are any.
struct calibration {
  std::vector<layer_cost> chain = {};
  std::vector<std::string> analytic = {};  ///< Layers of which nothing was measured.
  /// Layers of which something was measured, but not the forward, the backward, and of every mode
  /// kept bytes and, for those that recompute, extra time and transient bytes.
  std::vector<std::string> partly = {};
};

/// The chain with the fitted times and activations of layers that a fit names; a fit of a kind,
/// `vision`, is for `vision0`, `vision1` and so on, and yields to what a fit of the very name
/// holds. Whatever was not measured stays as it is; so do parameters, static bytes, latencies and
/// what comes once a step. Throws invalid_input naming the fit where the chain has no such layer or
/// the layer no such mode. O(layers · fits).
[[nodiscard]] calibration calibrated_chain(std::vector<layer_cost> chain,
                                           std::span<const layer_fit> fits);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/calibration.ipp>
#endif
