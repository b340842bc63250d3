// SPDX-License-Identifier: Apache-2.0
/// @file
/// The chain of a model's layers in one call: costs predicted from the shape of the model and the
/// rates of the device and, where layers were measured, fitted to the measurements.
///
///     const auto costs = omnibal::cost_chain(
///         {.model = model_presets()[0], .device = device_presets()[0],
///          .setup = {.tensor_parallel = 2, .data_parallel = 8}, .profile = fit_profile(rows)});
///     run.chain = costs.chain;
///
/// cost/own_chain.hpp makes a chain of measurements alone, for a model that has no such shape.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/tensor_parallel.hpp>

namespace omnibal::inline v0 {

/// A model, where and how it is trained, and what was measured of its layers.
struct chain_problem {
  model_shape model = {};
  device_shape device = {};
  training_setup setup = {};
  std::optional<layer_profile> profile = {};
};

/// The costs of the layers of a chain, and what they rest on.
struct chain_costs {
  std::vector<layer_cost> chain = {};
  /// Layers without any measurement: all of them without a profile.
  std::vector<std::string> analytic = {};
  /// Layers of which only a part was measured (calibration::partly); the rest is predicted.
  std::vector<std::string> partly = {};
  /// What divides the layers over the tensor-parallel devices, and what is padded for it. Predicted
  /// costs are those of the padded sizes.
  model_division division = {};
  /// The least memory_setup::margin with which the fitted bytes cover every measured amount; 0
  /// without a profile, infinite if no margin does.
  double margin = 0;
};

/// The costs of the layers, in the order of the chain. Throws invalid_input as cost_layers() does
/// for model, device and setup; for `profile.tensor_parallel` if that is another than the setup's;
/// and for `profile.fits` as calibrated_chain() does for its fits. O(layers · fits).
[[nodiscard]] chain_costs cost_chain(const chain_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/cost/impl/chain_costs.ipp>
#endif
