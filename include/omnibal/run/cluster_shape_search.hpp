// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for the cluster shape: how to divide a number of devices into data-parallel ranks,
/// pipeline stages and tensor-parallel devices. Every division is planned on a part of the samples.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/run/candidate_ranking.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

/// A division of the devices.
struct cluster_shape {
  std::size_t data_parallel = 1;
  std::size_t stages = 1;  ///< Pipeline-parallel devices per rank.
  std::int64_t tensor_parallel = 1;

  friend auto operator<=>(const cluster_shape&, const cluster_shape&) = default;
};

/// The devices, the model and the run to divide for.
struct shape_problem {
  std::int64_t devices = 1;
  std::int64_t node_devices = 8;  ///< Tensor parallelism stays within a node.
  /// The costs of the model's layers in a shape. Throws invalid_input if the model cannot be
  /// divided that way.
  std::function<std::vector<layer_cost>(const cluster_shape&)> layer_costs = {};
  run_problem run = {};  ///< Its chain, stages and data_parallel are set from the shape.
};

struct shape_search_options {
  std::size_t sample_limit = 4096;  ///< Random samples that each shape is planned on.
  run_options plans = {};           ///< A stop request ends the search as soon as a shape fits.
  /// A request ends it also where none fits, once the first few were tried.
  std::stop_token give_up = {};
};

/// A shape that was tried.
struct shape_candidate {
  cluster_shape shape = {};
  bool fits = false;
  double time_per_sample = 0;      ///< Seconds, on the part of the samples.
  double bound = 0;                ///< Proven lower bound on it; 0 if it was not planned.
  std::int64_t bytes_short = 0;    ///< Bytes missing on a device if it does not fit.
  std::int64_t nearest_batch = 0;  ///< If the shape cannot run the global batch.
  std::string passed_over = {};    ///< Why the shape cannot be used, if so.
};

using shape_search_result = candidate_ranking<shape_candidate>;

/// All ways to divide the devices: first those that fit, by rising time; then those that do not
/// fit, by rising bytes_short; then those that cannot run the global batch, by their distance from
/// it; then those that the model does not allow. Each is planned on at most `sample_limit` random
/// samples, at the run's capacity or, if there is none, at the faster of the paper's capacity and
/// the largest sample. O(divisions) plans. Throws invalid_input unless there are between 1 and 2^20
/// devices.
[[nodiscard]] shape_search_result rank_shapes(const shape_problem& problem,
                                              const shape_search_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/cluster_shape_search.ipp>
#endif
