// SPDX-License-Identifier: Apache-2.0
/// @file
/// A class of similar samples and its statistics.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_cost.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pattern_planner.hpp>

namespace omnibal::inline v0::detail {

/// A class of similar samples.
template <typename Sums>
struct sample_class {
  using word = typename Sums::word;

  std::span<packable<word>> samples;  ///< at least one
  std::int64_t mean_cost = 0;
  std::int64_t least_cost = 0;
  std::int64_t most_cost = 0;
  word least = {};  ///< the least load of any sample, per resource
  std::array<wide_integer, Sums::resources> volume = {};  ///< the sum of all loads, per resource
};

/// The number of samples whose costs, each at most about 2⁴⁰, add up within 64 bits; so do their
/// loads when all resources share 32 bits.
inline constexpr std::size_t samples_added_up = std::size_t{1} << 16;
template <typename Sums>
using load_sum = std::conditional_t<std::is_same_v<typename Sums::word, std::uint32_t>,
                                    std::uint64_t, wide_integer>;

/// Computes the statistics of a class. O(n).
template <typename Sums>
[[nodiscard]] sample_class<Sums> describe_class(std::span<packable<typename Sums::word>> samples,
                                                const Sums& sums,
                                                const pack_cost<Sums::resources>& cost) {
  sample_class<Sums> described{.samples = samples, .least_cost = cost(sums, samples.front().load)};
  wide_integer whole_cost = 0;
  fitting_loads<Sums::resources> least;
  least.fill(~std::uint64_t{0});
  for (std::size_t first = 0; first < samples.size(); first += samples_added_up) {
    std::int64_t some_cost = 0;
    std::array<load_sum<Sums>, Sums::resources> some{};
    for (const auto& sample :
         samples.subspan(first, std::min(samples_added_up, samples.size() - first))) {
      const std::int64_t own = cost(sums, sample.load);
      some_cost += own;
      described.least_cost = std::min(described.least_cost, own);
      described.most_cost = std::max(described.most_cost, own);
      for (std::size_t r = 0; r < Sums::resources; ++r) {
        const std::uint64_t load = sums.load(sample.load, r);
        some[r] += load;
        least[r] = std::min(least[r], load);
      }
    }
    whole_cost += some_cost;
    for (std::size_t r = 0; r < Sums::resources; ++r) described.volume[r] += some[r];
  }
  described.mean_cost = static_cast<std::int64_t>(whole_cost / samples.size());
  described.least = sums.pack(least);
  return described;
}

/// A mean load in units of an axis, as a fraction.
struct mean_units {
  wide_integer volume = 0;
  wide_integer divisor = 1;

  /// The mean times a number of samples, rounded.
  [[nodiscard]] std::uint32_t times(std::uint32_t samples) const noexcept {
    return static_cast<std::uint32_t>((2 * samples * volume + divisor) / (2 * divisor));
  }
  /// Whether the rounding error of times(samples) is at most 1/32 of it.
  [[nodiscard]] bool rounds_well(std::uint32_t samples) const noexcept {
    const wide_integer error = times(samples) * divisor - samples * volume;
    return 32 * (error < 0 ? -error : error) <= samples * volume;
  }
};

/// A class as bundles of the fewest samples, at most 16, whose total size is precise in units of
/// the plane.
template <typename Sums>
[[nodiscard]] sample_bundle bundle_class(const sample_class<Sums>& one,
                                         const load_plane<Sums::resources>& plane) {
  const auto most_samples =
      static_cast<std::uint32_t>(std::min<std::size_t>(16, one.samples.size()));
  const plane_point corner = plane.corner();
  const auto mean = [&](const load_axis& axis) {
    return mean_units{.volume = one.volume[axis.resource()],
                      .divisor = wide_integer{axis.unit()} * one.samples.size()};
  };
  const mean_units row = Sums::resources > 1 ? mean(plane.rows()) : mean_units{};
  const mean_units column = mean(plane.columns());
  std::uint32_t samples = 1;
  while (samples < most_samples && !(row.rounds_well(samples) && column.rounds_well(samples)) &&
         row.times(samples + 1) <= corner.row && column.times(samples + 1) <= corner.column)
    ++samples;
  sample_bundle bundle{.size = {.row = std::min(row.times(samples), corner.row),
                                .column = std::min(column.times(samples), corner.column)},
                       .samples = samples,
                       .count = one.samples.size() / samples};
  if (bundle.size == plane_point{}) bundle.size.column = 1;
  return bundle;
}

}  // namespace omnibal::inline v0::detail
