// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for pack capacities: how many tiles and tokens a micro-batch may hold for the epoch
/// to be shortest. Larger packs waste less at their ends but hold more memory, which costs
/// recomputation, and leave fewer micro-batches to fill the pipeline with.
///
/// Candidates come from packing alone (capacity_estimate.hpp), which finds the tokens that go with
/// each number of tiles. Every one is planned and simulated, on a random part of the samples where
/// there are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>

namespace omnibal::inline v0 {

/// What planning with a capacity came to.
struct capacity_outcome {
  bool fits = false;
  double time_per_sample = 0;   ///< Seconds of the epoch a sample.
  double samples_per_step = 0;  ///< Mean over full steps.
  double packs_over_bound = 1;  ///< 1: no packing at this capacity has fewer packs.
};

struct capacity_candidate {
  loads<2> capacity = {};
  std::int64_t room = 0;  ///< As in capacity_estimate, millionths.
  capacity_outcome outcome = {};
  std::string passed_over = {};  ///< Why it was not taken; empty for the best.
};

struct capacity_search {
  loads<2> best = {};
  std::vector<capacity_candidate> candidates = {};
};

struct capacity_problem {
  std::span<const loads<2>> samples = {};  ///< Tiles and tokens.
  /// Plans a capacity on some of the samples.
  std::function<capacity_outcome(const loads<2>&, std::span<const loads<2>>)> evaluate = {};
  std::int64_t global_batch = 1;
  std::uint64_t seed = 0;
  std::size_t sample_limit = 12'000;  ///< Samples on which candidates are compared.
};

/// Tries the candidates and takes the fastest of those that fit and keep the global batch; if none
/// does both, the fastest that fits; if none fits, the smallest. Asked to stop, it is content with
/// what it tried, once something fits.
[[nodiscard]] capacity_search search_capacity(const capacity_problem& problem,
                                              const search_control& control = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/capacity_search.ipp>
#endif
