// SPDX-License-Identifier: Apache-2.0
/// @file
/// What is asked of a run: samples, layers and a cluster.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0 {

struct run_problem {
  std::span<const vision_language_sample> samples = {};
  std::span<const layer_cost> chain = {};
  schedule_kind schedule = schedule_kind::one_forward_one_backward;
  std::size_t stages = 1;          ///< Pipeline-parallel devices of a rank.
  std::size_t virtual_stages = 1;  ///< Virtual stages a device; more than 1 only if interleaved.
  std::size_t data_parallel = 1;   ///< Ranks.
  std::int64_t global_batch = 1;   ///< Samples an optimizer step, in the mean.
  memory_setup memory = {};
  std::optional<loads<2>> capacity = {};  ///< Tiles and tokens a pack; searched for when absent.
  std::uint64_t seed = 1024;
};

/// Throws invalid_input for arguments out of range. O(1).
void validate(const run_problem& problem);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/problem.ipp>
#endif
