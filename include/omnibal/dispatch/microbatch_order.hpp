// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reorders the micro-batches of each rank within a step, for callers that need another order than
/// the random one of dispatch_packs.
///
///     const auto ascending = [](std::span<std::uint32_t> packs) { std::ranges::sort(packs); };
///     plan = order_microbatches(plan, ascending);
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// The plan with the packs of each rank and step in the order into which order(packs) brings them,
/// and the mask reordered accordingly. `order` is called once per step and rank with a span of
/// packs to permute in place. Throws invalid_input when the result is not a permutation. O(packs ·
/// log(packs per rank and step)), plus the calls.
template <std::invocable<std::span<std::uint32_t>> Order>
[[nodiscard]] dispatch_plan order_microbatches(const dispatch_plan& plan, const Order& order);

namespace detail {

/// Lists packs with their places, in ascending order of packs.
void list_places(std::span<const std::uint32_t> packs,
                 std::vector<std::pair<std::uint32_t, std::uint32_t>>& places);

}  // namespace detail

template <std::invocable<std::span<std::uint32_t>> Order>
dispatch_plan order_microbatches(const dispatch_plan& plan, const Order& order) {
  dispatch_plan ordered{.ranks = plan.ranks, .dropped = plan.dropped, .mask = plan.mask};
  ordered.groups.reserve(plan.groups.size(), plan.groups.indices().size());
  std::vector<std::pair<std::uint32_t, std::uint32_t>> from;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> to;
  for (std::size_t group = 0; group < plan.groups.size(); ++group) {
    const auto before = plan.groups[group];
    std::vector<std::uint32_t> after(before.begin(), before.end());
    order(std::span(after));
    detail::list_places(before, from);
    detail::list_places(after, to);
    const std::uint64_t first = plan.groups.offsets()[group];
    for (std::size_t k = 0; k < from.size(); ++k) {
      if (from[k].first != to[k].first)
        throw invalid_input("order", group, std::min(from[k].first, to[k].first),
                            "is a pack that was not merely moved; groups are step * ranks + rank");
      // If a pack occurs twice, the real one stays the first.
      if (!plan.mask.empty())
        ordered.mask[first + to[k].second] = plan.mask[first + from[k].second];
    }
    ordered.groups.append(after);
  }
  return ordered;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/microbatch_order.ipp>
#endif
