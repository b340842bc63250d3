// SPDX-License-Identifier: Apache-2.0
/// @file
/// The cluster shape: into how many data-parallel ranks, pipeline stages and tensor-parallel
/// devices a number of devices is divided. Every division is planned on a part of the samples.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

struct cluster_shape {
  std::size_t data_parallel = 1;
  std::size_t stages = 1;  ///< Pipeline-parallel devices of a rank.
  std::int64_t tensor_parallel = 1;

  friend auto operator<=>(const cluster_shape&, const cluster_shape&) = default;
};

struct shape_problem {
  std::int64_t devices = 1;
  std::int64_t node_devices = 8;  ///< Tensor parallelism stays within a node.
  /// The model's layers in a shape. Throws invalid_input where the model cannot be divided so.
  std::function<std::vector<layer_cost>(const cluster_shape&)> price = {};
  run_problem run = {};  ///< Of which chain, stages and data_parallel are the shape's.
  std::size_t sample_limit = 4096;
};

struct shape_candidate {
  cluster_shape shape = {};
  bool fits = false;
  double time_per_sample = 0;    ///< Seconds, on the part of the samples.
  std::int64_t bytes_short = 0;  ///< Of a device, where it does not fit.
  std::string passed_over = {};  ///< Why the shape is none to choose, if so.
};

/// All ways to divide the devices, fastest first, then those that do not fit, of which the one that
/// lacks least first, then those that the model cannot be divided in. Each is planned on as many
/// random samples as the limit says: at the run's capacity, or else at the paper's and at the
/// largest sample's, whichever is faster. Asked to stop, it tries no more once one fits.
/// O(divisions) plans.
/// Throws invalid_input unless there are between 1 and 2^20 devices.
[[nodiscard]] std::vector<shape_candidate> rank_shapes(const shape_problem& problem,
                                                       const search_control& control = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/cluster_shape_search.ipp>
#endif
