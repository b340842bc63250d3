// SPDX-License-Identifier: Apache-2.0
/// @file
/// Calibration from a profile: measured times and activation bytes of layers are fitted as linear
/// costs, which replace the predicted costs of a chain. Use it as soon as there are measurements,
/// since the predictions rest on assumed efficiencies.
///
///     const auto fits = omnibal::fit_layers(rows);
///     const auto measured = omnibal::calibrated_chain(predicted_chain, fits);
///
/// The forward time of a layer does not depend on its recompute mode, so the rows of all modes
/// count. The backward time is fitted to the rows in mode `none`; the extra time of another mode is
/// the difference between a backward in that mode and the mean backward in mode `none` at the same
/// workload. Where the latter was not measured, for example because it does not fit the memory, the
/// fitted backward takes its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/linear_fit.hpp>
#include <omnibal/cost/workload.hpp>

namespace omnibal::inline v0 {

/// A row of a profile: the measurements of one layer in one mode for one workload. What was not
/// measured is absent.
struct measured_layer {
  std::string name = {};  ///< A layer, `vision0`, or a kind of numbered layers, `vision`.
  std::string mode = "none";
  workload work = {};
  std::optional<double> forward_time = {};          ///< Nanoseconds, as all times here.
  std::optional<double> backward_time = {};         ///< Recomputation and weight gradient included.
  std::optional<double> weight_gradient_time = {};  ///< The part of backward_time that is W.
  std::optional<double> saved_bytes = {};
  std::optional<double> transient_bytes = {};
  /// From B to W, of a trainer that splits the backward and recomputes in B alone.
  std::optional<double> saved_for_weight_gradient = {};
};

/// The fits of a recompute mode; absent where there is no measurement.
struct mode_fit {
  std::string name = "none";
  std::optional<linear_fit> extra_time = {};  ///< Residuals are relative to the backward.
  std::optional<linear_fit> saved_bytes = {};
  std::optional<linear_fit> transient_bytes = {};
  std::optional<linear_fit> saved_for_weight_gradient = {};
  /// How many rows had no measured backward in mode `none` at their workload and used the fit.
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
/// row if there are no rows, if a value is out of range (validate of measurement), and if a
/// backward was measured for a layer that has no measured backward in mode `none`. O(rows²).
[[nodiscard]] std::vector<layer_fit> fit_layers(std::span<const measured_layer> rows);

/// The least memory margin (memory_setup::margin) with which the fitted bytes cover every measured
/// amount. Infinite if 0 bytes are predicted where more were measured.
[[nodiscard]] double suggested_margin(std::span<const layer_fit> fits);

/// The measurements of a model's layers as fits, and what they were measured at.
struct layer_profile {
  std::size_t measurements = 0;
  /// At which the layers were measured; absent if nobody noted it.
  std::optional<std::int64_t> tensor_parallel = {};
  workload largest = {};  ///< The most tiles and the most tokens of any measurement.
  std::vector<layer_fit> fits = {};
};

/// Fits measurements, as fit_layers() does; throws what it throws. O(rows²).
[[nodiscard]] layer_profile fit_profile(std::span<const measured_layer> rows,
                                        std::optional<std::int64_t> tensor_parallel = {});

/// Whether a micro-batch has more tiles or more tokens than any that was measured, so that its
/// costs are extrapolated.
[[nodiscard]] constexpr bool is_extrapolated(const layer_profile& profile,
                                             const workload& work) noexcept {
  return work.tiles > profile.largest.tiles || work.tokens > profile.largest.tokens;
}

/// A chain of layers, with fitted costs where there are any.
struct calibration {
  std::vector<layer_cost> chain = {};
  std::vector<std::string> analytic = {};  ///< Layers without any measurement.
  /// Layers measured in part. A complete measurement has the forward, the backward, the saved bytes
  /// of every mode and, for modes that recompute, extra time and transient bytes.
  std::vector<std::string> partly = {};
};

/// The chain with the fitted times and activations of layers that a fit names. A fit of a kind,
/// `vision`, applies to `vision0`, `vision1` and so on, if they are numbered from 0; a fit of the
/// layer's own name takes precedence over it. What was not measured stays as it is, and so do
/// parameters, static bytes, latencies and step times. Throws invalid_input naming the fit if the
/// chain has no such layer or the layer no such mode. O(layers · fits).
[[nodiscard]] calibration calibrated_chain(std::vector<layer_cost> chain,
                                           std::span<const layer_fit> fits);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/calibration.ipp>
#endif
