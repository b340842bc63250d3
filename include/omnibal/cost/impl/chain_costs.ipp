// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/chain_costs.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/tensor_parallel.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline void expect_measured_at(const layer_profile& profile, const training_setup& setup) {
  if (profile.tensor_parallel.value_or(setup.tensor_parallel) == setup.tensor_parallel) return;
  throw invalid_input("profile.tensor_parallel", *profile.tensor_parallel,
                      "is not that of this run, " + std::to_string(setup.tensor_parallel) +
                          ": measure the layers at the tensor parallelism of the run");
}

/// The chain with the fits of a profile; errors name the member that has them.
[[nodiscard]] inline calibration calibrated_by(std::vector<layer_cost> chain,
                                               const layer_profile& profile) {
  try {
    return calibrated_chain(std::move(chain), profile.fits);
  } catch (const invalid_input& error) {
    throw invalid_input("profile." + error.field(), error.indices(), error.value(), error.advice());
  }
}

}  // namespace detail

OMNIBAL_INLINE chain_costs cost_chain(const chain_problem& problem) {
  chain_costs costs{
      .chain = cost_layers(problem.model, problem.device, problem.setup),
      .division = divide_model(problem.model, problem.device, problem.setup.tensor_parallel)};
  if (!problem.profile) {
    for (const layer_cost& layer : costs.chain) costs.analytic.push_back(layer.name);
    return costs;
  }
  detail::expect_measured_at(*problem.profile, problem.setup);
  calibration measured = detail::calibrated_by(std::move(costs.chain), *problem.profile);
  costs.chain = std::move(measured.chain);
  costs.analytic = std::move(measured.analytic);
  costs.partly = std::move(measured.partly);
  costs.margin = suggested_margin(problem.profile->fits);
  return costs;
}

}  // namespace omnibal::inline v0
