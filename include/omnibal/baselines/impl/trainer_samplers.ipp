// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include <omnibal/baselines/trainer_samplers.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline void validate(const baseline_options& options) {
  if (options.ranks == 0) throw invalid_input("ranks", options.ranks, "must be at least 1");
  if (options.microbatches == 0)
    throw invalid_input("microbatches", options.microbatches, "must be at least 1");
}

/// Appends the group of packs begin … end − 1.
inline void append_range(grouping<std::uint32_t>& groups, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t pack = begin; pack < end; ++pack)
    groups.push_back(static_cast<std::uint32_t>(pack));
  groups.close_group();
}

}  // namespace detail

OMNIBAL_INLINE dispatch_plan dispatch_in_order(std::uint32_t packs,
                                               const baseline_options& options) {
  detail::validate(options);
  dispatch_plan plan{.ranks = options.ranks};
  const std::uint64_t step_size = std::uint64_t{options.ranks} * options.microbatches;
  for (std::uint64_t begin = 0; begin < packs; begin += step_size) {
    const std::uint64_t size = std::min<std::uint64_t>(step_size, packs - begin);
    for (std::uint64_t rank = 0; rank < options.ranks; ++rank)
      detail::append_range(plan.groups, begin + size * rank / options.ranks,
                           begin + size * (rank + 1) / options.ranks);
  }
  return plan;
}

OMNIBAL_INLINE dispatch_plan dispatch_contiguous_shards(std::uint32_t packs,
                                                        const baseline_options& options) {
  detail::validate(options);
  dispatch_plan plan{.ranks = options.ranks};
  const auto shard_begin = [&](std::uint64_t rank) {
    return std::uint64_t{packs} * rank / options.ranks;
  };
  const std::uint64_t longest = divide_rounding_up<std::uint64_t>(packs, options.ranks);
  for (std::uint64_t done = 0; done < longest; done += options.microbatches)
    for (std::uint64_t rank = 0; rank < options.ranks; ++rank) {
      const std::uint64_t end = shard_begin(rank + 1);
      const std::uint64_t begin = std::min(shard_begin(rank) + done, end);
      detail::append_range(plan.groups, begin,
                           std::min<std::uint64_t>(begin + options.microbatches, end));
    }
  return plan;
}

}  // namespace omnibal::inline v0
