// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/baselines/trainer_samplers.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The number of micro-batches per rank and step with which the samples of a step are nearest to
/// the global batch.
[[nodiscard]] inline std::size_t microbatches_for(const batch_options& options, std::size_t samples,
                                                  std::size_t microbatches) {
  const std::size_t multiple = options.microbatch_multiple;
  if (samples == 0) return multiple;
  const wide_integer wanted = static_cast<wide_integer>(options.global_batch) * microbatches;
  const wide_integer each = static_cast<wide_integer>(samples) * options.ranks * multiple;
  const wide_integer count = (2 * wanted + each) / (2 * each);
  return multiple *
         static_cast<std::size_t>(std::clamp<wide_integer>(count, 1, (1 << 20) / multiple));
}

/// Computes the epoch's load and its measures from packs and dispatch.
inline void measure(batch_plan& plan, const batch_options& options) {
  plan.load.ranks = options.ranks;
  plan.load.assignment = plan.dispatch.groups;
  std::vector<std::int64_t> costs;
  std::vector<loads<2>> amounts;
  for (const workload& one : plan.load.microbatches) {
    costs.push_back(options.cost.of(one));
    amounts.push_back({one.tiles, one.tokens});
  }
  plan.cost_ratio = omnibal::cost_ratio(plan.dispatch, std::span<const std::int64_t>(costs));
  plan.dist_ratio = omnibal::dist_ratio(plan.dispatch, std::span<const loads<2>>(amounts));

  std::vector<std::size_t> samples;
  for (std::size_t step = 0; step < plan.load.steps(); ++step) {
    std::size_t count = 0;
    for (std::size_t rank = 0; rank < options.ranks; ++rank)
      for (const std::uint32_t k : plan.load.assignment[step * options.ranks + rank])
        count += plan.packing.packs[k].size();
    samples.push_back(count);
  }
  // The last step is usually short and not representative.
  if (samples.size() > 1) samples.pop_back();
  if (samples.empty()) return;
  const auto [least, most] = std::ranges::minmax(samples);
  plan.least_samples_per_step = least;
  plan.most_samples_per_step = most;
  plan.mean_samples_per_step =
      static_cast<double>(std::accumulate(samples.begin(), samples.end(), std::size_t{0})) /
      static_cast<double>(samples.size());
}

/// Packs as micro-batches of sub-sequences, without padding.
inline void load_packs(batch_plan& plan, std::span<const vision_language_sample> samples) {
  for (std::size_t k = 0; k < plan.packing.packs.size(); ++k) {
    workload sum;
    for (const std::uint32_t id : plan.packing.packs[k])
      sum = sum + sample_workload(samples[id][0], samples[id][1]);
    plan.load.microbatches.push_back(sum);
  }
}

}  // namespace detail

OMNIBAL_INLINE batch_plan unbalanced_batches(std::span<const vision_language_sample> samples,
                                             const batch_options& options,
                                             std::size_t microbatch_samples) {
  batch_plan plan;
  std::vector<std::uint32_t> ids(samples.size());
  std::iota(ids.begin(), ids.end(), 0U);
  random_stream random(options.seed);
  shuffle_randomly(ids, random);
  std::int64_t real = 0;
  std::int64_t computed = 0;
  for (std::size_t begin = 0; begin < ids.size(); begin += microbatch_samples) {
    const std::size_t end = std::min(begin + microbatch_samples, ids.size());
    std::int64_t tiles = 0;
    std::int64_t longest = 0;
    for (std::size_t i = begin; i < end; ++i) {
      tiles += samples[ids[i]][0];
      longest = std::max(longest, samples[ids[i]][1]);
      real += samples[ids[i]][1];
    }
    const auto count = static_cast<std::int64_t>(end - begin);
    computed += count * longest;
    plan.load.microbatches.push_back(
        {tiles, count * longest,
         checked_multiply(count, checked_multiply(longest, longest, "tokens"), "tokens")});
    plan.packing.packs.append(std::span(ids).subspan(begin, end - begin));
  }
  plan.pad_ratio =
      computed > 0 ? 1.0 - static_cast<double>(real) / static_cast<double>(computed) : 0.0;
  plan.microbatches_per_rank =
      detail::microbatches_for(options, samples.size(), plan.packing.packs.size());
  plan.dispatch =
      dispatch_in_order(static_cast<std::uint32_t>(plan.packing.packs.size()),
                        {.ranks = static_cast<std::uint32_t>(options.ranks),
                         .microbatches = static_cast<std::uint32_t>(plan.microbatches_per_rank)});
  detail::measure(plan, options);
  return plan;
}

OMNIBAL_INLINE batch_plan paper_batches(std::span<const vision_language_sample> samples,
                                        const loads<2>& capacity, const batch_options& options) {
  batch_plan plan;
  plan.packing = pack_isf(
      samples, {.capacity = capacity,
                .threshold = loads<2>{capacity[0], std::max<std::int64_t>(1, capacity[1] - 128)},
                .seed = options.seed,
                .stream = isf_stream::published,
                .names = {"images", "tokens"},
                .control = options.control});
  detail::load_packs(plan, samples);
  plan.microbatches_per_rank =
      detail::microbatches_for(options, samples.size(), plan.packing.packs.size());
  plan.dispatch = dispatch_contiguous_shards(
      static_cast<std::uint32_t>(plan.packing.packs.size()),
      {.ranks = static_cast<std::uint32_t>(options.ranks),
       .microbatches = static_cast<std::uint32_t>(plan.microbatches_per_rank)});
  detail::measure(plan, options);
  return plan;
}

OMNIBAL_INLINE batch_plan balanced_batches(std::span<const vision_language_sample> samples,
                                           const loads<2>& capacity, const batch_options& options) {
  batch_plan plan;
  plan.packing =
      pack_balanced(samples, {.capacity = capacity,
                              .cost = loads<2>{options.cost.per_tile, options.cost.per_token},
                              .seed = options.seed,
                              .names = {"images", "tokens"},
                              .control = options.control});
  detail::load_packs(plan, samples);
  plan.microbatches_per_rank =
      detail::microbatches_for(options, samples.size(), plan.packing.packs.size());
  std::vector<std::int64_t> costs;
  for (const workload& one : plan.load.microbatches) costs.push_back(options.cost.of(one));
  const std::vector<std::uint32_t> sizes = pack_sizes(plan.packing.packs);
  plan.dispatch =
      dispatch_packs(std::span<const std::int64_t>(costs),
                     {.ranks = static_cast<std::uint32_t>(options.ranks),
                      .microbatches = static_cast<std::uint32_t>(plan.microbatches_per_rank),
                      .seed = options.seed,
                      .strata = sizes});
  detail::measure(plan, options);
  return plan;
}

OMNIBAL_INLINE batch_plan earlier_batches(std::span<const vision_language_sample> samples,
                                          const grouping<std::uint32_t>& packs,
                                          const dispatch_plan& dispatch,
                                          const batch_options& options) {
  if (dispatch.ranks != options.ranks)
    throw invalid_input("steps", dispatch.ranks,
                        "ranks must be as many as the run has, " + std::to_string(options.ranks));
  if (!dispatch.dropped.empty())
    throw invalid_input("dropped", dispatch.dropped[0], "is a pack that the run leaves out");
  if (!dispatch.mask.empty())
    throw invalid_input("mask", dispatch.mask.size(), "packs with padding cannot be evaluated");
  std::vector<std::uint8_t> packed(samples.size(), 0);
  for (const std::uint32_t id : packs.indices()) {
    if (id >= samples.size())
      throw invalid_input("indices", id,
                          "must be less than the samples, " + std::to_string(samples.size()));
    if (packed[id]++ != 0) throw invalid_input("indices", id, "is a sample in two places");
  }
  if (const auto missing = std::ranges::find(packed, 0); missing != packed.end())
    throw invalid_input("indices", missing - packed.begin(), "is a sample in no pack");
  batch_plan plan{.dispatch = dispatch};
  plan.packing.packs = packs;
  plan.packing.objective = packs.size();
  detail::load_packs(plan, samples);
  for (std::size_t group = 0; group < dispatch.groups.size(); ++group)
    plan.microbatches_per_rank =
        std::max(plan.microbatches_per_rank, dispatch.groups[group].size());
  detail::measure(plan, options);
  return plan;
}

}  // namespace omnibal::inline v0
