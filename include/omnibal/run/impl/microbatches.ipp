// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
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
#include <omnibal/run/detail/exact_batch.hpp>
#include <omnibal/run/detail/split_packs.hpp>
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

/// The mean number of samples per micro-batch, at least 1, for steps of the global batch with the
/// fewest micro-batches of at most `most` samples, or with `more` multiples of them than that.
[[nodiscard]] inline double size_for_batch(const batch_options& options, double most,
                                           std::size_t more) {
  const double each = static_cast<double>(options.global_batch) /
                      static_cast<double>(options.ranks * options.microbatch_multiple);
  const double rounds = std::max(1.0, std::ceil(each / most * (1 - 1e-9)));
  return std::max(1.0, each / (rounds + static_cast<double>(more)));
}

/// The number of packs with which that many samples make micro-batches of this mean size.
[[nodiscard]] inline std::size_t packs_for(std::size_t samples, double size) {
  const double packs = std::round(static_cast<double>(samples) / size);
  return std::clamp<std::size_t>(static_cast<std::size_t>(packs), 1, samples);
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

[[nodiscard]] inline std::size_t count_of_parts(std::size_t whole, std::size_t part) {
  return (whole + part - 1) / part;
}

/// Samples per step if every rank runs as many of these packs as suit the global batch best.
[[nodiscard]] inline double samples_per_step(const batch_options& options, std::size_t samples,
                                             std::size_t packs) {
  return static_cast<double>(samples) / static_cast<double>(packs) *
         static_cast<double>(options.ranks * microbatches_for(options, samples, packs));
}

[[nodiscard]] inline bool meets_batch(const batch_options& options, std::size_t samples,
                                      std::size_t packs) {
  return omnibal::meets_batch(options, samples_per_step(options, samples, packs));
}

[[nodiscard]] inline double mean_size(std::size_t samples, std::size_t packs) {
  return static_cast<double>(samples) / static_cast<double>(packs);
}

/// How many micro-batches: of `most` samples where that suits the global batch, otherwise of fewer.
[[nodiscard]] inline std::size_t unbalanced_microbatches(std::size_t samples,
                                                         const batch_options& options,
                                                         std::size_t most) {
  const std::size_t count = count_of_parts(samples, most);
  if (count == 0 || meets_batch(options, samples, count)) return count;
  return packs_for(samples, size_for_batch(options, static_cast<double>(most), 0));
}

/// Splits packs so that steps have the global batch.
inline void split_for_batch(packing_result& packing, const batch_options& options,
                            std::size_t samples) {
  const std::size_t packs = packing.packs.size();
  const double size = size_for_batch(options, mean_size(samples, packs), 0);
  packing.packs = split_packs(packing.packs, std::max(packs, packs_for(samples, size)));
}

[[nodiscard]] inline microbatch_packer packer_of(const batch_options& options) {
  return options.packer ? *options.packer : microbatch_packer(packers::balanced{});
}

[[nodiscard]] inline packing_result pack_all(std::span<const vision_language_sample> samples,
                                             const loads<2>& capacity,
                                             const batch_options& options) {
  return packer_of(options).by_load().pack(
      samples, {.capacity = capacity,
                .cost = loads<2>{options.cost.per_tile, options.cost.per_token},
                .seed = options.seed,
                .oversize = options.oversize,
                .names = {"images", "tokens"},
                .control = options.control});
}

/// The same with a limit on the samples of a pack.
[[nodiscard]] inline packing_result pack_few(std::span<const vision_language_sample> samples,
                                             const loads<2>& capacity, const batch_options& options,
                                             std::size_t most) {
  std::vector<loads<3>> numbered;
  numbered.reserve(samples.size());
  for (const vision_language_sample& sample : samples)
    numbered.push_back({sample[0], sample[1], 1});
  return packer_of(options).by_load_and_number().pack(
      numbered, {.capacity = {capacity[0], capacity[1], static_cast<std::int64_t>(most)},
                 .cost = loads<3>{options.cost.per_tile, options.cost.per_token, 0},
                 .seed = options.seed,
                 .oversize = options.oversize,
                 .names = {"images", "tokens", "samples"},
                 .control = options.control});
}

/// The packing of fewest packs with which steps have the global batch, in a plan that is not
/// assigned yet; the nearest where there is none. Packs that are too large for it hold fewer
/// samples, the nearest integer to what would suit, and are split where the next smaller one would
/// be too small.
[[nodiscard]] inline batch_plan pack_for_batch(std::span<const vision_language_sample> samples,
                                               const loads<2>& capacity,
                                               const batch_options& options) {
  const std::size_t count = samples.size();
  batch_plan best{.packing = pack_all(samples, capacity, options)};
  const auto missed = [&](const packing_result& packing) {
    return !packing.packs.empty() && !meets_batch(options, count, packing.packs.size());
  };
  const auto distance = [&](const packing_result& packing) {
    return std::abs(samples_per_step(options, count, packing.packs.size()) -
                    static_cast<double>(options.global_batch));
  };
  const double most = mean_size(count, std::max<std::size_t>(1, best.packing.packs.size()));
  for (std::size_t more = 0; more < 3 && missed(best.packing); ++more) {
    const double size = size_for_batch(options, most, more);
    batch_plan few{.most_samples_per_pack = static_cast<std::size_t>(std::ceil(size))};
    few.packing = pack_few(samples, capacity, options, few.most_samples_per_pack);
    const std::size_t wanted = packs_for(count, size);
    if (missed(few.packing) && few.packing.packs.size() < wanted)
      few.packing.packs = split_packs(few.packing.packs, wanted);
    few.packing.objective = few.packing.packs.size();
    if (distance(few.packing) < distance(best.packing)) best = std::move(few);
  }
  return best;
}

/// Appends the steps of a part of the packs.
inline void append_steps(dispatch_plan& plan, std::span<const std::uint32_t> packs,
                         const batch_plan& batches, const batch_options& options) {
  if (packs.empty()) return;
  std::vector<std::int64_t> costs;
  std::vector<std::uint32_t> sizes;
  for (const std::uint32_t k : packs) {
    costs.push_back(options.cost.of(batches.load.microbatches[k]));
    sizes.push_back(static_cast<std::uint32_t>(batches.packing.packs[k].size()));
  }
  const dispatch_plan part =
      dispatch_packs(std::span<const std::int64_t>(costs),
                     {.ranks = static_cast<std::uint32_t>(options.ranks),
                      .microbatches = static_cast<std::uint32_t>(batches.microbatches_per_rank),
                      .seed = options.seed,
                      .strata = sizes});
  for (std::size_t group = 0; group < part.groups.size(); ++group) {
    for (const std::uint32_t k : part.groups[group]) plan.groups.push_back(packs[k]);
    plan.groups.close_group();
  }
}

/// Steps with one oversize pack per rank, filled up with others, before the steps of the rest.
[[nodiscard]] inline dispatch_plan gathered_steps(std::span<const std::uint32_t> oversize,
                                                  std::span<const std::uint32_t> others,
                                                  const batch_plan& batches,
                                                  const batch_options& options) {
  dispatch_plan plan{.ranks = static_cast<std::uint32_t>(options.ranks)};
  while (!oversize.empty()) {
    const std::size_t few = std::min(options.ranks, oversize.size());
    std::vector<std::uint32_t> step(oversize.begin(), oversize.begin() + static_cast<long>(few));
    oversize = oversize.subspan(few);
    const std::size_t free_places = options.ranks * batches.microbatches_per_rank - few;
    const std::size_t more = std::min(free_places, others.size());
    step.insert(step.end(), others.begin(), others.begin() + static_cast<long>(more));
    others = others.subspan(more);
    append_steps(plan, step, batches, options);
  }
  append_steps(plan, others, batches, options);
  return plan;
}

/// Assigns packs to ranks, the last `in_last_step` of them in a step after the others; moves those
/// beyond the capacity into steps of their own if asked to, and counts them.
inline void assign_packs(batch_plan& plan, const loads<2>& capacity, const batch_options& options,
                         std::size_t in_last_step) {
  std::vector<std::uint32_t> all(plan.load.microbatches.size());
  std::iota(all.begin(), all.end(), 0U);
  const auto before_last = std::span<const std::uint32_t>(all).first(all.size() - in_last_step);
  std::vector<bool> exceeds;
  for (const workload& work : plan.load.microbatches)
    exceeds.push_back(work.tiles > capacity[0] || work.tokens > capacity[1]);
  std::vector<std::uint32_t> oversize;
  std::vector<std::uint32_t> others;
  for (const std::uint32_t k : before_last) (exceeds[k] ? oversize : others).push_back(k);

  plan.dispatch.ranks = static_cast<std::uint32_t>(options.ranks);
  plan.oversize_gathered = options.gather_oversize && !oversize.empty();
  if (plan.oversize_gathered)
    plan.dispatch = gathered_steps(oversize, others, plan, options);
  else
    append_steps(plan.dispatch, before_last, plan, options);
  append_steps(plan.dispatch, std::span<const std::uint32_t>(all).last(in_last_step), plan,
               options);
  for (std::size_t group = 0; group < plan.dispatch.groups.size(); ++group) {
    const auto count = static_cast<std::size_t>(std::ranges::count_if(
        plan.dispatch.groups[group], [&](std::uint32_t k) { return exceeds[k]; }));
    plan.oversize_per_rank = std::max(plan.oversize_per_rank, count);
  }
}

/// Precondition: the packing and the number of micro-batches per rank are set.
inline void assign_evenly(batch_plan& plan, std::span<const vision_language_sample> samples,
                          const loads<2>& capacity, const batch_options& options,
                          std::size_t in_last_step = 0) {
  load_packs(plan, samples);
  assign_packs(plan, capacity, options, in_last_step);
  measure(plan, options);
}

/// The same packs, all in one step.
[[nodiscard]] inline batch_plan in_one_step(batch_plan plan,
                                            std::span<const vision_language_sample> samples,
                                            const loads<2>& capacity,
                                            const batch_options& options) {
  const std::size_t each = options.ranks * options.microbatch_multiple;
  const std::size_t turns = count_of_parts(plan.packing.packs.size(), each);
  batch_plan whole{.packing = std::move(plan.packing),
                   .most_samples_per_pack = plan.most_samples_per_pack,
                   .microbatches_per_rank = turns * options.microbatch_multiple};
  assign_evenly(whole, samples, capacity, options);
  return whole;
}

/// The packs rearranged for so many full steps of so many samples together.
[[nodiscard]] inline std::optional<packs_of_steps> rearranged_for(
    const grouping<std::uint32_t>& packs, const batch_options& options, std::size_t full_steps,
    std::size_t samples) {
  if (full_steps == 0) return std::nullopt;
  return exact_batch(packs, {.full_steps = full_steps,
                             .samples = samples,
                             .ranks = options.ranks,
                             .microbatch_multiple = options.microbatch_multiple,
                             .seed = options.seed})
      .rearranged();
}

/// The same for as many full steps of a batch as leave some samples.
[[nodiscard]] inline std::optional<packs_of_steps> rearranged_for(
    const grouping<std::uint32_t>& packs, const batch_options& options, std::int64_t batch) {
  if (batch < 1 || packs.empty()) return std::nullopt;
  const auto each = static_cast<std::size_t>(batch);
  const std::size_t full_steps = (packs.indices().size() - 1) / each;
  return rearranged_for(packs, options, full_steps, full_steps * each);
}

/// The numbers of samples of steps whose packs have one each that are nearest to the global batch,
/// the nearer first. The smaller one may be 0.
[[nodiscard]] inline std::array<std::int64_t, 2> batches_of_single_samples(
    const batch_options& options) {
  const auto each = static_cast<std::int64_t>(options.ranks * options.microbatch_multiple);
  const std::int64_t fewer = options.global_batch / each * each;
  const std::int64_t more = fewer + each;
  if (options.global_batch - fewer <= more - options.global_batch) return {fewer, more};
  return {more, fewer};
}

/// The packs rearranged for steps of the global batch or, where there are none, of another number
/// of samples within the tolerance: that of packs of one sample each, or what more steps have.
[[nodiscard]] inline std::optional<packs_of_steps> rearranged_for_batch(
    const grouping<std::uint32_t>& packs, const batch_options& options) {
  constexpr std::size_t most_more = 16;
  if (auto found = rearranged_for(packs, options, options.global_batch)) return found;
  for (const std::int64_t batch : batches_of_single_samples(options))
    if (omnibal::meets_batch(options, static_cast<double>(batch)))
      if (auto found = rearranged_for(packs, options, batch)) return found;
  const std::size_t but_one = packs.indices().size() - 1;
  const std::size_t steps = but_one / static_cast<std::size_t>(options.global_batch);
  for (std::size_t more = 1; more <= most_more; ++more) {
    const double mean = static_cast<double>(but_one) / static_cast<double>(steps + more);
    if (!omnibal::meets_batch(options, mean)) break;
    if (auto found = rearranged_for(packs, options, steps + more, but_one)) return found;
  }
  return std::nullopt;
}

}  // namespace detail

OMNIBAL_INLINE bool meets_batch(const batch_options& options, double samples_per_step) noexcept {
  const auto wanted = static_cast<double>(options.global_batch);
  return samples_per_step >= wanted * (1 - options.batch_tolerance) &&
         samples_per_step <= wanted * (1 + options.batch_tolerance);
}

OMNIBAL_INLINE std::int64_t nearest_batch(const batch_options& options,
                                          std::size_t samples) noexcept {
  const auto most = static_cast<std::int64_t>(samples);
  const auto least =
      std::min(most, static_cast<std::int64_t>(options.ranks * options.microbatch_multiple));
  return std::clamp(options.global_batch, least, most);
}

OMNIBAL_INLINE std::int64_t nearest_batch(const batch_options& options,
                                          const grouping<std::uint32_t>& packs) {
  constexpr std::int64_t farthest = 64;
  const std::int64_t least = static_cast<std::int64_t>(options.ranks * options.microbatch_multiple);
  const auto most = static_cast<std::int64_t>(packs.indices().size());
  const auto possible = [&](std::int64_t batch) {
    return batch == most || (batch >= least && batch < most &&
                             detail::rearranged_for(packs, options, batch).has_value());
  };
  for (std::int64_t away = 1; away <= farthest; ++away)
    for (const std::int64_t batch : {options.global_batch - away, options.global_batch + away})
      if (possible(batch)) return batch;
  for (const std::int64_t batch : detail::batches_of_single_samples(options))
    if (batch >= least && batch < most) return batch;
  return most;
}

OMNIBAL_INLINE batch_plan unbalanced_batches(std::span<const vision_language_sample> samples,
                                             const batch_options& options,
                                             std::size_t microbatch_samples) {
  const std::size_t microbatches =
      detail::unbalanced_microbatches(samples.size(), options, microbatch_samples);
  batch_plan plan;
  std::vector<std::uint32_t> ids(samples.size());
  std::iota(ids.begin(), ids.end(), 0U);
  random_stream random(options.seed);
  shuffle_randomly(ids, random);
  std::int64_t real = 0;
  std::int64_t computed = 0;
  const bool whole = microbatches == detail::count_of_parts(ids.size(), microbatch_samples);
  for (std::size_t k = 0; k < microbatches; ++k) {
    const std::size_t begin = whole ? k * microbatch_samples : k * ids.size() / microbatches;
    const std::size_t end = whole ? std::min(begin + microbatch_samples, ids.size())
                                  : (k + 1) * ids.size() / microbatches;
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
  const packers::isf published{
      .stream = isf_stream::published,
      .threshold = {capacity[0], std::max<std::int64_t>(1, capacity[1] - 128)}};
  plan.packing = published.pack(samples, packing_options<2>{.capacity = capacity,
                                                            .seed = options.seed,
                                                            .names = {"images", "tokens"},
                                                            .control = options.control});
  if (!detail::meets_batch(options, samples.size(), plan.packing.packs.size()))
    detail::split_for_batch(plan.packing, options, samples.size());
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
  batch_plan plan = detail::pack_for_batch(samples, capacity, options);
  plan.microbatches_per_rank =
      detail::microbatches_for(options, samples.size(), plan.packing.packs.size());
  detail::assign_evenly(plan, samples, capacity, options);
  if (plan.packing.packs.empty() || meets_batch(options, plan.mean_samples_per_step)) return plan;
  batch_plan exact{.packing = plan.packing, .most_samples_per_pack = plan.most_samples_per_pack};
  auto steps = detail::rearranged_for_batch(exact.packing.packs, options);
  if (!steps && exact.most_samples_per_pack > 0) {
    exact = {.packing = detail::pack_all(samples, capacity, options)};
    steps = detail::rearranged_for_batch(exact.packing.packs, options);
  }
  if (!steps && meets_batch(options, static_cast<double>(samples.size())))
    return detail::in_one_step(std::move(plan), samples, capacity, options);
  if (!steps) return plan;
  exact.packing.packs = std::move(steps->packs);
  exact.packing.objective = exact.packing.packs.size();
  exact.microbatches_per_rank = steps->microbatches_per_rank;
  detail::assign_evenly(exact, samples, capacity, options, steps->in_last_step);
  return exact;
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
