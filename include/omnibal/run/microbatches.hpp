// SPDX-License-Identifier: Apache-2.0
/// @file
/// Three ways to make micro-batches of the same samples: at random and padded, as most trainers
/// start out; by the paper's packing and its published sampler; and by ours.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/packing/result.hpp>
#include <omnibal/run/epoch_simulation.hpp>

namespace omnibal::inline v0 {

/// A sample: {image tiles, tokens with the image tokens included}.
using vision_language_sample = loads<2>;

/// Micro-batches dealt to steps and ranks, and how even they are.
struct batch_plan {
  epoch_load load = {};
  packing_result packing = {};  ///< Micro-batch k holds the samples packing.packs[k].
  dispatch_plan dispatch = {};
  std::size_t microbatches_per_rank = 1;  ///< In a full step.
  double mean_samples_per_step = 0;       ///< Over full steps if there is one.
  std::size_t least_samples_per_step = 0;
  std::size_t most_samples_per_step = 0;
  double pad_ratio = 0;                   ///< Share of the tokens computed that are padding.
  std::array<double, 2> dist_ratio = {};  ///< Tiles and tokens, over ranks.
  double cost_ratio = 1;
};

/// What all three ways share.
struct batch_options {
  std::size_t ranks = 1;
  std::int64_t global_batch = 1;  ///< Samples a step, in the mean.
  std::uint64_t seed = 1024;
  /// Micro-batches a rank runs in a full step are a multiple of this.
  std::size_t microbatch_multiple = 1;
  linear_cost cost = {};  ///< What a micro-batch costs; ranks are evened by it.
  search_control control = {};
};

/// Random micro-batches of `microbatch_samples` samples, each padded to the longest of its
/// micro-batch, in random order over steps and ranks.
[[nodiscard]] batch_plan unbalanced_batches(std::span<const vision_language_sample> samples,
                                            const batch_options& options,
                                            std::size_t microbatch_samples = 4);

/// The paper's packs (threshold: all tiles, or tokens within 128 of the capacity; 50 iterations)
/// and the published sampler: rank r takes the r-th contiguous share of the packs, in order.
[[nodiscard]] batch_plan paper_batches(std::span<const vision_language_sample> samples,
                                       const loads<2>& capacity, const batch_options& options);

/// Our packs, dealt to the ranks of each step so that their costs are even.
[[nodiscard]] batch_plan balanced_batches(std::span<const vision_language_sample> samples,
                                          const loads<2>& capacity, const batch_options& options);

/// Packs and their dealing as they were made before. Throws invalid_input unless every sample is in
/// exactly one pack, no pack is padding or dropped, and the ranks are those of the options.
[[nodiscard]] batch_plan earlier_batches(std::span<const vision_language_sample> samples,
                                         const grouping<std::uint32_t>& packs,
                                         const dispatch_plan& dispatch,
                                         const batch_options& options);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/microbatches.ipp>
#endif
