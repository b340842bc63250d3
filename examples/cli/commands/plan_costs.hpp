// SPDX-License-Identifier: Apache-2.0
/// @file
/// The costs of the layers of a run: predicted from the model's shape and the device's rates or,
/// where there is a profile, measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/chain_costs.hpp>
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
  std::optional<profile_file> profile = {};

  /// The chain of layers. Throws invalid_input where the model cannot be divided so, or was
  /// measured under another tensor parallelism.
  [[nodiscard]] chain_costs costs(const training_setup& setup) const;

  /// The share added to predicted activation memory: the one given, or what the errors of the
  /// profile require.
  [[nodiscard]] double margin(const std::optional<double>& asked) const;

  /// The assumptions of a plan in words: which costs of the chain were measured and which were
  /// not, for micro-batches of at most this size.
  [[nodiscard]] std::vector<std::string> describe(const chain_costs& costs,
                                                  const workload& largest) const;

  /// What it takes to divide the layers over this many tensor-parallel devices, in words: what is
  /// padded or shared, and whether they are on one node.
  [[nodiscard]] std::vector<std::string> describe_division(const chain_costs& costs,
                                                           std::int64_t tensor_parallel) const;
};

/// Reads model, device and profile.
[[nodiscard]] cost_source read_costs(const plan_arguments& arguments);

}  // namespace omnibal::cli
