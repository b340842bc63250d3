// SPDX-License-Identifier: Apache-2.0
/// @file
/// Metrics of a packing: fill, padding, balance of costs. Sums are exact; each figure is rounded
/// once, at the end.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>

namespace omnibal::inline v0 {

/// Metrics of a packing. All are 0 when there are no packs or no loads.
template <std::size_t Resources>
struct packing_metrics {
  std::uint64_t packs = 0;
  std::uint64_t samples = 0;
  double samples_per_pack = 0;
  /// Per resource: Σ load / (packs · capacity).
  std::array<double, Resources> fill = {};
  /// Per resource: 1 − fill, the share of the capacity that is empty. Negative only when oversize
  /// samples have packs of their own.
  std::array<double, Resources> pad_ratio = {};
  /// Per resource: the share of padding if every sample were padded to the longest of its pack, as
  /// in a micro-batch without packing: 1 − Σ load / Σ over packs (samples · longest load).
  std::array<double, Resources> padded_batch_ratio = {};
};

/// The number of samples in each pack. O(packs).
[[nodiscard]] std::vector<std::uint32_t> pack_sizes(const grouping<std::uint32_t>& packs);

/// The loads of each pack: the sums over its samples. Throws invalid_input for negative loads, sums
/// above 2⁶³ − 1 and packs that refer to a sample beyond the last. O(n).
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] auto pack_loads(const grouping<std::uint32_t>& packs, const Samples& samples,
                              const Projection& projection = {})
    -> std::vector<loads<resource_count<projected_loads<const Samples, Projection>>>>;

/// Measures packs of samples against capacities. Throws invalid_input as pack_loads does, and for
/// capacities less than 1. O(n).
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] auto measure_packing(
    const grouping<std::uint32_t>& packs, const Samples& samples,
    const loads<resource_count<projected_loads<const Samples, Projection>>>& capacity,
    const Projection& projection = {})
    -> packing_metrics<resource_count<projected_loads<const Samples, Projection>>>;

/// A cost of each pack that needs no model: the sum, over resources, of its load in millionths of
/// the capacity, each rounded down. `packs` contains the loads of each pack (pack_loads). Throws
/// invalid_input for capacities less than 1, negative loads and costs above 2⁶³ − 1. O(packs).
template <std::size_t Resources>
[[nodiscard]] std::vector<std::int64_t> pack_costs(std::span<const loads<Resources>> packs,
                                                   const loads<Resources>& capacity);

/// The coefficient of variation of the packs' costs, standard deviation / mean: 0 when all are
/// equal. O(packs).
template <std::integral Cost>
[[nodiscard]] double pack_cost_variation(std::span<const Cost> costs);

namespace detail {

/// The load of a sample as a signed 64-bit integer.
template <std::integral Integer>
[[nodiscard]] std::int64_t checked_load(Integer load, std::size_t sample) {
  if (std::cmp_less(load, 0))
    throw invalid_input("samples", sample, load, "must not have negative loads");
  if (std::cmp_greater(load, std::numeric_limits<std::int64_t>::max()))
    throw invalid_input("samples", sample, load, "has a load above 2^63 - 1; use coarser units");
  return static_cast<std::int64_t>(load);
}

/// Calls visit(loads) for each sample of a pack.
template <typename Samples, typename Projection, typename Visit>
void visit_pack(std::span<const std::uint32_t> pack, const Samples& samples,
                const Projection& projection, const Visit& visit) {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  for (const std::uint32_t id : pack) {
    if (id >= std::ranges::size(samples))
      throw invalid_input("packs", id, "names a sample beyond the last");
    const auto& sample = std::invoke(projection, std::ranges::begin(samples)[id]);
    loads<resources> checked;
    for (std::size_t r = 0; r < resources; ++r) checked[r] = checked_load(sample[r], id);
    visit(checked);
  }
}

template <std::size_t Resources>
void expect_capacity(const loads<Resources>& capacity) {
  for (std::size_t r = 0; r < Resources; ++r)
    if (capacity[r] < 1) throw invalid_input("capacity", r, capacity[r], "must be at least 1");
}

/// 1 − part / whole; 0 when whole is 0.
[[nodiscard]] inline double missing_share(wide_integer part, wide_integer whole) noexcept {
  return whole == 0 ? 0.0 : static_cast<double>(whole - part) / static_cast<double>(whole);
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection>
auto pack_loads(const grouping<std::uint32_t>& packs, const Samples& samples,
                const Projection& projection)
    -> std::vector<loads<resource_count<projected_loads<const Samples, Projection>>>> {
  std::vector<loads<resource_count<projected_loads<const Samples, Projection>>>> sums(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k)
    detail::visit_pack(packs[k], samples, projection, [&](const auto& sample) {
      for (std::size_t r = 0; r < sample.size(); ++r)
        sums[k][r] = checked_add(sums[k][r], sample[r], "load of a pack");
    });
  return sums;
}

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection>
auto measure_packing(
    const grouping<std::uint32_t>& packs, const Samples& samples,
    const loads<resource_count<projected_loads<const Samples, Projection>>>& capacity,
    const Projection& projection)
    -> packing_metrics<resource_count<projected_loads<const Samples, Projection>>> {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  detail::expect_capacity(capacity);
  std::array<wide_integer, resources> used{};
  std::array<wide_integer, resources> padded{};
  for (std::size_t k = 0; k < packs.size(); ++k) {
    loads<resources> longest{};
    detail::visit_pack(packs[k], samples, projection, [&](const auto& sample) {
      for (std::size_t r = 0; r < resources; ++r) {
        used[r] += sample[r];
        longest[r] = std::max(longest[r], sample[r]);
      }
    });
    for (std::size_t r = 0; r < resources; ++r)
      padded[r] += wide_integer{longest[r]} * packs[k].size();
  }
  packing_metrics<resources> metrics{.packs = packs.size(), .samples = packs.indices().size()};
  if (packs.empty()) return metrics;
  metrics.samples_per_pack =
      static_cast<double>(metrics.samples) / static_cast<double>(metrics.packs);
  for (std::size_t r = 0; r < resources; ++r) {
    const wide_integer whole = wide_integer{capacity[r]} * packs.size();
    metrics.fill[r] = static_cast<double>(used[r]) / static_cast<double>(whole);
    metrics.pad_ratio[r] = detail::missing_share(used[r], whole);
    metrics.padded_batch_ratio[r] = detail::missing_share(used[r], padded[r]);
  }
  return metrics;
}

template <std::size_t Resources>
std::vector<std::int64_t> pack_costs(std::span<const loads<Resources>> packs,
                                     const loads<Resources>& capacity) {
  constexpr std::int64_t full = 1'000'000;
  detail::expect_capacity(capacity);
  std::vector<std::int64_t> costs;
  costs.reserve(packs.size());
  for (std::size_t k = 0; k < packs.size(); ++k) {
    wide_integer cost = 0;
    for (std::size_t r = 0; r < Resources; ++r) {
      if (packs[k][r] < 0)
        throw invalid_input("packs", k, packs[k][r], "must not have negative loads");
      cost += wide_integer{packs[k][r]} * full / capacity[r];
    }
    if (cost > std::numeric_limits<std::int64_t>::max())
      throw invalid_input("load of a pack", k, "beyond the capacity a trillion times",
                          "is too large to be given a cost");
    costs.push_back(static_cast<std::int64_t>(cost));
  }
  return costs;
}

template <std::integral Cost>
double pack_cost_variation(std::span<const Cost> costs) {
  wide_integer sum = 0;
  for (const Cost cost : costs) sum += cost;
  if (sum == 0) return 0.0;
  const double mean = static_cast<double>(sum) / static_cast<double>(costs.size());
  double squares = 0.0;
  for (const Cost cost : costs) {
    const double deviation = static_cast<double>(cost) - mean;
    squares += deviation * deviation;
  }
  return std::sqrt(squares / static_cast<double>(costs.size())) / mean;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/metrics.ipp>
#endif
