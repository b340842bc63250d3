// SPDX-License-Identifier: Apache-2.0
/// @file
/// Micro-batches of an epoch in three ways, to compare: random and padded, as in trainers without
/// packing; by the packing and sampler of the OmniBal paper; and by this library's packing and
/// dispatch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/microbatch_packer.hpp>

namespace omnibal::inline v0 {

/// A sample: {image tiles, tokens with the image tokens included}.
using vision_language_sample = loads<2>;

/// Micro-batches assigned to steps and ranks, with measures of their balance.
struct batch_plan {
  epoch_load load = {};
  packing_result packing = {};            ///< Micro-batch k has the samples packing.packs[k].
  std::size_t most_samples_per_pack = 0;  ///< A limit that the global batch sets; 0: none.
  std::size_t oversize_per_rank = 0;      ///< The most packs beyond the capacity of a rank's step.
  bool oversize_gathered = false;         ///< Whether these are in as few steps as possible.
  dispatch_plan dispatch = {};
  std::size_t microbatches_per_rank = 1;  ///< In a full step.
  double mean_samples_per_step = 0;       ///< Of all steps but the last; of the only one.
  std::size_t least_samples_per_step = 0;
  std::size_t most_samples_per_step = 0;
  double pad_ratio = 0;                   ///< Share of the tokens computed that are padding.
  std::array<double, 2> dist_ratio = {};  ///< Tiles and tokens, over ranks.
  double cost_ratio = 1;
};

/// Options of all three ways.
struct batch_options {
  std::size_t ranks = 1;
  /// Samples per step, on average over all steps but the last, which takes what is left; of the
  /// only step if there is one.
  std::int64_t global_batch = 1;
  double batch_tolerance = 0.1;  ///< The share by which that average may differ from it; 0: exact.
  std::uint64_t seed = 1024;
  /// The number of micro-batches per rank in a full step is a multiple of this.
  std::size_t microbatch_multiple = 1;
  linear_cost cost = {};  ///< Cost of a micro-batch, by which ranks are balanced.
  oversize_policy oversize = oversize_policy::reject;  ///< Of balanced_batches: not skip.
  std::optional<microbatch_packer> packer = {};        ///< Of balanced_batches; packers::balanced.
  /// Whether packs beyond the capacity are in as few steps as possible, one per rank, rather than
  /// in any: other ranks wait for a long pack, but not if they have one too.
  bool gather_oversize = false;
  search_control control = {};
};

/// Whether steps of this many samples are within the tolerance of the global batch.
[[nodiscard]] bool meets_batch(const batch_options& options, double samples_per_step) noexcept;

/// The number of samples per step, nearest to the global batch, that a run can have: every rank
/// runs at least `microbatch_multiple` micro-batches of at least one sample, and a step has at most
/// all samples.
[[nodiscard]] std::int64_t nearest_batch(const batch_options& options,
                                         std::size_t samples) noexcept;

/// The number of samples per step, nearest to the global batch, other than it, that steps of these
/// packs can have, some of them split; beyond a difference of 64, one of packs of one sample each.
/// O(packs · log packs · log samples) per number tried.
[[nodiscard]] std::int64_t nearest_batch(const batch_options& options,
                                         const grouping<std::uint32_t>& packs);

/// Random micro-batches of `microbatch_samples` samples, padded to the longest sample of each
/// micro-batch, in random order over steps and ranks; of fewer samples where the global batch would
/// be missed otherwise. O(samples).
[[nodiscard]] batch_plan unbalanced_batches(std::span<const vision_language_sample> samples,
                                            const batch_options& options,
                                            std::size_t microbatch_samples = 4);

/// The paper's packs (threshold: all tiles, or tokens within 128 of the capacity; 50 iterations)
/// and the paper's sampler: rank r takes the r-th contiguous share of the packs, in order. Where
/// the global batch would be missed otherwise, packs are split, those of most samples first.
[[nodiscard]] batch_plan paper_batches(std::span<const vision_language_sample> samples,
                                       const loads<2>& capacity, const batch_options& options);

/// Packs of the packer, by default packers::balanced, assigned by dispatch_packs() so that the
/// ranks of each step have even costs. Where the global batch would be missed otherwise, packs hold
/// fewer samples than fit, some are split, and the last step takes what makes the mean of the
/// others the global batch exactly. It is still missed where that takes fewer packs than there are.
[[nodiscard]] batch_plan balanced_batches(std::span<const vision_language_sample> samples,
                                          const loads<2>& capacity, const batch_options& options);

/// Existing packs and their existing assignment. Throws invalid_input unless every sample is in
/// exactly one pack, no pack is padding or dropped, and the ranks are those of the options.
[[nodiscard]] batch_plan earlier_batches(std::span<const vision_language_sample> samples,
                                         const grouping<std::uint32_t>& packs,
                                         const dispatch_plan& dispatch,
                                         const batch_options& options);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/microbatches.ipp>
#endif
