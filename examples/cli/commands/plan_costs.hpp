// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the layers of a run cost: predicted from the model's shape and the device's rates, and
/// where there is a profile, measured.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/workload.hpp>

#include "commands/plan_arguments.hpp"
#include "files/profile_file.hpp"

namespace omnibal::cli {

struct cost_source {
  model_shape model = {};
  device_shape device = {};
  std::optional<profile_fits> profile = {};

  /// The chain of layers. Throws invalid_input where the model cannot be divided so, or was
  /// measured under another tensor parallelism.
  [[nodiscard]] calibration price(const training_setup& setup) const;

  /// The share by which activations are taken to be larger than these costs say: what was asked
  /// for, or what the errors of the profile ask for.
  [[nodiscard]] double margin(const std::optional<double>& asked) const;

  /// In words, for those who trust a plan: what of the chain was measured and what was not, up to
  /// micro-batches of this size.
  [[nodiscard]] std::vector<std::string> describe(const calibration& priced,
                                                  const workload& largest) const;
};

/// Reads what the arguments name.
[[nodiscard]] cost_source read_costs(const plan_arguments& arguments);

}  // namespace omnibal::cli
