// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/rebalance/bound.hpp>
#include <omnibal/rebalance/problem.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The least bytes of any subset of up to eight samples with a cost of at least `excess`.
/// Precondition: all samples together cost at least `excess`.
[[nodiscard]] inline std::int64_t least_bytes_of_subset(std::span<const owned_sample> samples,
                                                        std::int64_t excess) noexcept {
  struct load {
    std::int64_t cost = 0;
    std::int64_t bytes = 0;
  };
  std::array<load, 256> subsets;
  subsets[0] = {};
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  std::size_t count = 1;
  for (const owned_sample& sample : samples) {
    for (std::size_t k = 0; k < count; ++k) {
      const load with{subsets[k].cost + sample.cost, subsets[k].bytes + sample.bytes};
      subsets[count + k] = with;
      if (with.cost >= excess) least = std::min(least, with.bytes);
    }
    count *= 2;
  }
  return least;
}

/// The least bytes of samples, the last one fractionally, that cost `excess`. Sorts the samples.
/// Precondition: all samples together cost at least `excess`.
[[nodiscard]] inline std::int64_t least_bytes_of_parts(std::span<owned_sample> samples,
                                                       std::int64_t excess) {
  // Samples of cost 0 do not reduce the excess; they come last, and are never reached.
  std::ranges::sort(samples, [](const owned_sample& a, const owned_sample& b) {
    if ((a.cost == 0) != (b.cost == 0)) return b.cost == 0;
    return wide_integer{a.bytes} * b.cost < wide_integer{b.bytes} * a.cost;
  });
  std::int64_t bytes = 0;
  for (const owned_sample& sample : samples) {
    if (sample.cost >= excess) {
      const wide_integer part = wide_integer{excess} * sample.bytes;
      return bytes + static_cast<std::int64_t>((part + sample.cost - 1) / sample.cost);
    }
    excess -= sample.cost;
    bytes += sample.bytes;
  }
  return bytes;
}

}  // namespace detail

OMNIBAL_INLINE std::int64_t bound_cost(const rebalance_problem& problem) {
  std::vector<std::int64_t> costs;
  costs.reserve(problem.samples.size());
  for (const owned_sample& sample : problem.samples) costs.push_back(sample.cost);
  std::ranges::sort(costs, std::greater{});
  std::vector<std::int64_t> sums(costs.size() + 1);  // of the k most expensive ones
  std::partial_sum(costs.begin(), costs.end(), sums.begin() + 1);
  std::int64_t bound = divide_rounding_up<std::int64_t>(sums.back(), problem.ranks);
  for (std::size_t k = 0; k * problem.ranks < costs.size(); ++k) {
    const std::size_t last = k * problem.ranks;
    bound = std::max(bound, sums[last + 1] - sums[last - k]);
  }
  return bound;
}

OMNIBAL_INLINE std::int64_t bound_bytes(const rebalance_problem& problem, std::int64_t cost) {
  constexpr std::size_t most_enumerated = 8;
  std::vector<owned_sample> samples = problem.samples;
  std::ranges::stable_sort(samples, {}, &owned_sample::rank);
  std::int64_t bytes = 0;
  for (std::size_t begin = 0, end = 0; begin < samples.size(); begin = end) {
    std::int64_t owned = 0;
    for (; end < samples.size() && samples[end].rank == samples[begin].rank; ++end)
      owned += samples[end].cost;
    if (owned <= cost) continue;
    const auto own = std::span(samples).subspan(begin, end - begin);
    bytes += own.size() <= most_enumerated ? detail::least_bytes_of_subset(own, owned - cost)
                                           : detail::least_bytes_of_parts(own, owned - cost);
  }
  return bytes;
}

}  // namespace omnibal::inline v0
