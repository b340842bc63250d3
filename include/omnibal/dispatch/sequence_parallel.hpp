// SPDX-License-Identifier: Apache-2.0
/// @file
/// Groups of packs for sequence parallelism: the ranks of one sequence-parallel group share the
/// work on one group of packs, so groups should have nearly equal loads of every resource.
///
///     const auto groups = group_packs<2, std::int64_t>(pack_loads(packs, samples), {.size = 4});
///     dispatch_plan plan = dispatch_packs(groups.size(), cost_of_group, {.ranks = 8});
///     plan = plan_of_packs(plan, groups);
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// Options of group_packs.
struct sequence_parallel_options {
  std::uint32_t size = 1;  ///< packs per group, at least 1
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;  ///< each epoch gives new random groups
};

/// Divides packs 0 … packs.size() − 1 into groups of `size` with nearly equal loads of all
/// resources at once; the last group is smaller when `size` does not divide the number of packs.
/// `packs` contains the loads of each pack (pack_loads).
///
/// Packs are shuffled, then exchanged between groups within windows of 64 groups to balance them.
/// Throws invalid_input for size 0, more than 2³² − 1 packs and negative loads.
/// O(packs · size · resources²).
template <std::size_t Resources, std::integral Integer>
[[nodiscard]] grouping<std::uint32_t> group_packs(
    std::span<const std::array<Integer, Resources>> packs,
    const sequence_parallel_options& options);

/// The samples of each group: those of its packs, in order. Throws invalid_input when a group
/// refers to a pack beyond the last. O(samples).
[[nodiscard]] grouping<std::uint32_t> samples_of_groups(const grouping<std::uint32_t>& groups,
                                                        const grouping<std::uint32_t>& packs);

/// Converts a plan that assigns groups of packs into one that assigns packs: each rank's packs are
/// those of its groups, in order; the packs of a repeated group are repeated, those of a dropped
/// group dropped. Throws invalid_input when the plan refers to a group beyond the last. O(packs ·
/// log(packs)).
[[nodiscard]] dispatch_plan plan_of_packs(const dispatch_plan& plan,
                                          const grouping<std::uint32_t>& groups);

namespace detail {

/// Balances groups of equally many packs by exchanges between two groups at a time.
template <std::size_t Resources>
class group_balancer {
 public:
  /// Loads in units of 2⁻²⁰ of the resource's mean.
  using relative_loads = std::array<std::int64_t, Resources>;

  group_balancer(std::span<const relative_loads> packs, std::uint32_t size)
      : packs_(packs), size_(size) {}

  /// Balances the groups members[0 … size), members[size … 2 size), …
  void balance(std::span<std::uint32_t> members) {
    members_ = members;
    sums_.assign(members.size() / size_, {});
    order_.resize(sums_.size());
    for (std::size_t place = 0; place < sums_.size() * size_; ++place)
      add(sums_[place / size_], packs_[members[place]]);
    for (std::size_t round = 0; round < rounds; ++round)
      for (std::size_t r = 0; r < Resources; ++r) pair_groups(r, round);
  }

 private:
  static constexpr std::size_t rounds = 32;

  static void add(relative_loads& sum, const relative_loads& pack) noexcept {
    for (std::size_t r = 0; r < Resources; ++r) sum[r] += pack[r];
  }

  // Pairs the group with the most of a resource with the one with the least, the second with the
  // second, …; in each round all partners shift by one.
  void pair_groups(std::size_t r, std::size_t round) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return sums_[a][r] != sums_[b][r] ? sums_[a][r] < sums_[b][r] : a < b;
    });
    const std::size_t groups = order_.size();
    for (std::size_t k = 0; k < groups; ++k) {
      const std::size_t partner = (groups - 1 - k + round) % groups;
      if (k < partner) exchange(order_[k], order_[partner]);
    }
  }

  // Makes the exchange after which the two groups differ least, in squares over all resources.
  void exchange(std::size_t a, std::size_t b) {
    wide_integer least = difference(a, b, {});
    std::uint32_t* from = nullptr;
    std::uint32_t* to = nullptr;
    for (std::uint32_t& left : members_.subspan(a * size_, size_))
      for (std::uint32_t& right : members_.subspan(b * size_, size_)) {
        const wide_integer after = difference(a, b, moved(left, right));
        if (after < least) least = after, from = &left, to = &right;
      }
    if (from == nullptr) return;
    const relative_loads change = moved(*from, *to);
    for (std::size_t r = 0; r < Resources; ++r) sums_[a][r] += change[r], sums_[b][r] -= change[r];
    std::swap(*from, *to);
  }

  // The change of a group's loads when it exchanges `left` for `right`.
  [[nodiscard]] relative_loads moved(std::uint32_t left, std::uint32_t right) const noexcept {
    relative_loads change;
    for (std::size_t r = 0; r < Resources; ++r) change[r] = packs_[right][r] - packs_[left][r];
    return change;
  }

  [[nodiscard]] wide_integer difference(std::size_t a, std::size_t b,
                                        const relative_loads& change) const noexcept {
    wide_integer squares = 0;
    for (std::size_t r = 0; r < Resources; ++r) {
      const wide_integer apart = sums_[a][r] - sums_[b][r] + 2 * change[r];
      squares += apart * apart;
    }
    return squares;
  }

  std::span<const relative_loads> packs_;
  std::size_t size_;
  std::span<std::uint32_t> members_;
  std::vector<relative_loads> sums_;
  std::vector<std::size_t> order_;
};

/// The loads of all packs in units of 2⁻²⁰ of the resource's mean.
template <std::size_t Resources, std::integral Integer>
[[nodiscard]] std::vector<std::array<std::int64_t, Resources>> loads_relative_to_mean(
    std::span<const std::array<Integer, Resources>> packs) {
  std::array<wide_integer, Resources> sums{};
  for (std::size_t k = 0; k < packs.size(); ++k)
    for (std::size_t r = 0; r < Resources; ++r) {
      if (std::cmp_less(packs[k][r], 0))
        throw invalid_input("packs", k, packs[k][r], "must not have negative loads");
      sums[r] += packs[k][r];
    }
  std::vector<std::array<std::int64_t, Resources>> relative(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k)
    for (std::size_t r = 0; r < Resources; ++r)
      if (sums[r] != 0)
        // At most 2⁵² for 2³² packs, so sums of 2¹⁰ of them fit.
        relative[k][r] = static_cast<std::int64_t>(
            (wide_integer{packs[k][r]} * static_cast<wide_integer>(packs.size()) << 20) / sums[r]);
  return relative;
}

}  // namespace detail

template <std::size_t Resources, std::integral Integer>
grouping<std::uint32_t> group_packs(std::span<const std::array<Integer, Resources>> packs,
                                    const sequence_parallel_options& options) {
  constexpr std::size_t window_groups = 64;
  if (options.size == 0) throw invalid_input("size", 0, "must be at least 1");
  if (packs.size() > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of packs", packs.size(), "must be at most 2^32 - 1");
  const auto relative = detail::loads_relative_to_mean(packs);
  std::vector<std::uint32_t> order(packs.size());
  std::iota(order.begin(), order.end(), 0U);
  random_stream random =
      stream_for(options.seed, random_purpose::sequence_parallel_epoch, options.epoch);
  shuffle_randomly(order, random);
  const std::size_t grouped = order.size() - order.size() % options.size;
  detail::group_balancer<Resources> balancer(relative, options.size);
  const std::size_t window = window_groups * options.size;
  for (std::size_t first = 0; first < grouped; first += window)
    balancer.balance(std::span(order).subspan(first, std::min(window, grouped - first)));
  grouping<std::uint32_t> groups;
  groups.reserve(order.size() / options.size + 1, order.size());
  for (std::size_t first = 0; first < order.size(); first += options.size)
    groups.append(
        std::span(order).subspan(first, std::min<std::size_t>(options.size, order.size() - first)));
  return groups;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/sequence_parallel.ipp>
#endif
