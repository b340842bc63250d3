// SPDX-License-Identifier: Apache-2.0
/// @file
/// Load estimates: one pass over the samples that collects what a packer and its bound need, which
/// samples do not fit, how often each load occurs, and the joint distribution of the loads of the
/// two tightest resources.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <ranges>
#include <set>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/packing/detail/load_histogram.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

namespace omnibal::inline v0::detail {

/// One axis of the load plane: loads of one resource in coarse units.
class load_axis {
 public:
  load_axis() = default;
  /// Precondition: the capacity is at least one unit and fewer than 2¹⁶ units.
  load_axis(std::size_t resource, std::int64_t capacity, std::uint64_t unit);

  [[nodiscard]] std::size_t resource() const noexcept { return resource_; }
  [[nodiscard]] std::uint64_t unit() const noexcept { return unit_; }
  /// The capacity in whole units.
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  /// A load in whole units. Precondition: it is at most the capacity.
  [[nodiscard]] std::uint32_t whole_units(std::uint64_t load) const noexcept {
    return whole_units_.empty() ? static_cast<std::uint32_t>(load / unit_) : whole_units_[load];
  }

 private:
  static constexpr std::int64_t most_tabled = 1 << 20;

  std::size_t resource_ = 0;
  std::uint64_t unit_ = 1;
  std::uint32_t size_ = 0;
  std::vector<std::uint16_t> whole_units_;  // by load; empty when that would be too large
};

/// The plane of the loads of the two tightest resources; rows are by the one with fewer different
/// loads. With one resource there is one row.
template <std::size_t Resources>
class load_plane {
 public:
  load_plane() = default;
  load_plane(load_axis rows, load_axis columns)
      : rows_(std::move(rows)), columns_(std::move(columns)) {}

  [[nodiscard]] const load_axis& rows() const noexcept { return rows_; }
  [[nodiscard]] const load_axis& columns() const noexcept { return columns_; }
  [[nodiscard]] plane_point corner() const noexcept {
    return {.row = Resources > 1 ? rows_.size() : 0, .column = columns_.size()};
  }
  /// The number of points from (0, 0) to the corner; fewer than 2¹⁶.
  [[nodiscard]] std::size_t points() const noexcept {
    return (corner().row + std::size_t{1}) * width();
  }

  /// The index of a sample's point: its loads rounded down to whole units.
  [[nodiscard]] std::uint16_t index(const fitting_loads<Resources>& sample) const noexcept {
    std::size_t row = 0;
    if constexpr (Resources > 1) row = rows_.whole_units(sample[rows_.resource()]);
    return static_cast<std::uint16_t>(row * width() +
                                      columns_.whole_units(sample[columns_.resource()]));
  }
  [[nodiscard]] plane_point point(std::size_t index) const noexcept {
    return {.row = static_cast<std::uint32_t>(index / width()),
            .column = static_cast<std::uint32_t>(index % width())};
  }

 private:
  [[nodiscard]] std::size_t width() const noexcept { return columns_.size() + std::size_t{1}; }

  load_axis rows_;
  load_axis columns_;
};

/// Statistics of one resource over a sample of the table.
struct resource_estimate {
  std::size_t resource = 0;
  std::uint64_t fill = 0;         ///< Σ load / capacity, in units of 2⁻³²
  std::uint64_t divisor = 0;      ///< greatest common divisor of the loads; 0 without loads
  std::set<std::uint64_t> loads;  ///< the different loads
};

/// Estimates each resource from up to 1024 samples, one drawn at random from each of as many equal
/// stretches, so that a periodic table does not bias the estimate. Tightest resource first.
template <std::size_t Resources, typename Samples, typename Projection>
[[nodiscard]] std::array<resource_estimate, Resources> estimate_resources(
    const Samples& samples, const loads<Resources>& capacity, const Projection& projection) {
  constexpr std::uint64_t most_looks = 1024;
  std::array<resource_estimate, Resources> seen{};
  for (std::size_t r = 0; r < Resources; ++r) seen[r].resource = r;
  const auto count = static_cast<std::uint64_t>(std::ranges::size(samples));
  const std::uint64_t looks = std::min(count, most_looks);
  random_stream random(count);
  for (std::uint64_t look = 0; look < looks; ++look) {
    const std::uint64_t begin = count * look / looks;
    const std::uint64_t stretch = count * (look + 1) / looks - begin;
    const std::uint64_t id = begin + uniform_below(random, static_cast<std::uint32_t>(stretch));
    const auto& sample =
        std::invoke(projection, std::ranges::begin(samples)[static_cast<std::ptrdiff_t>(id)]);
    for (std::size_t r = 0; r < Resources; ++r) {
      if (std::cmp_less_equal(sample[r], 0) || std::cmp_greater(sample[r], capacity[r])) continue;
      const auto load = static_cast<std::uint64_t>(sample[r]);
      seen[r].fill += static_cast<std::uint64_t>((wide_integer{load} << 32) / capacity[r]);
      seen[r].divisor = std::gcd(seen[r].divisor, load);
      seen[r].loads.insert(load);
    }
  }
  std::ranges::stable_sort(seen, std::ranges::greater{}, &resource_estimate::fill);
  return seen;
}

/// An axis in units of the common divisor of the loads drawn, when the capacity has at most `most`
/// of them; otherwise in coarser units.
[[nodiscard]] load_axis make_axis(const resource_estimate& seen, std::int64_t capacity,
                                  std::uint64_t most);

/// Chooses the two tightest resources, and units such that programs on the plane stay small.
template <std::size_t Resources, typename Samples, typename Projection>
[[nodiscard]] load_plane<Resources> make_plane(const Samples& samples,
                                               const loads<Resources>& capacity,
                                               const Projection& projection) {
  constexpr std::uint64_t most_rows = 64;
  constexpr std::uint64_t most_points = 8192;
  auto seen = estimate_resources<Resources>(samples, capacity, projection);
  if constexpr (Resources == 1) {
    return {{}, make_axis(seen[0], capacity[0], most_points / 2)};
  } else {
    if (seen[1].loads.size() < seen[0].loads.size()) std::swap(seen[0], seen[1]);
    const load_axis rows = make_axis(seen[0], capacity[seen[0].resource], most_rows);
    return {rows,
            make_axis(seen[1], capacity[seen[1].resource], most_points / (rows.size() + 1) - 1)};
  }
}

/// What one pass over the samples finds.
template <std::size_t Resources>
struct load_estimates {
  load_plane<Resources> plane = {};
  std::vector<std::uint32_t> oversize = {};               ///< ids of samples that do not fit
  std::array<load_histogram, Resources> histograms = {};  ///< of the samples that fit
  std::vector<std::uint32_t> counts = {};                 ///< samples by point of the plane
  std::uint64_t fitting = 0;                              ///< number of samples that fit
};

/// The part of load_estimates from one slice of the samples.
template <std::size_t Resources>
class estimates_part {
 public:
  estimates_part(const load_plane<Resources>& plane, const loads<Resources>& capacity)
      : plane_(plane), counts_(plane.points()) {
    for (const std::int64_t most : capacity)
      counters_.emplace_back(static_cast<std::uint64_t>(most));
  }

  template <typename Samples, typename Projection, typename Visit>
  void scan(const Samples& samples, sample_slice slice, const pack_limits<Resources>& limits,
            const Projection& projection, const Visit& visit) {
    const auto count = [&](std::uint32_t id, const fitting_loads<Resources>& sample) {
      const std::uint16_t point = plane_.index(sample);
      ++counts_[point];
      for (std::size_t r = 0; r < Resources; ++r) counters_[r].add(sample[r]);
      visit(id, sample, point);
    };
    oversize_ = scan_samples(samples, slice, limits, projection, count);
  }

  /// Adds the slice that follows this one.
  void merge(const estimates_part& next) {
    for (std::size_t point = 0; point < counts_.size(); ++point)
      counts_[point] += next.counts_[point];
    for (std::size_t r = 0; r < Resources; ++r) counters_[r].merge(next.counters_[r]);
    oversize_.insert(oversize_.end(), next.oversize_.begin(), next.oversize_.end());
  }

  /// Moves the counts to the result.
  void finish(load_estimates<Resources>& estimates) {
    estimates.counts = std::move(counts_);
    estimates.oversize = std::move(oversize_);
    for (std::size_t r = 0; r < Resources; ++r) estimates.histograms[r] = counters_[r].finish();
  }

 private:
  const load_plane<Resources>& plane_;
  std::vector<std::uint32_t> counts_;
  std::vector<load_counter> counters_;
  std::vector<std::uint32_t> oversize_;
};

/// Scans all samples in one slice per thread; calls visit(id, fitting_loads, point) for each sample
/// that fits, in order within a slice. Throws as scan_samples does. O(n).
template <std::size_t Resources, typename Samples, typename Projection, typename Visit>
[[nodiscard]] load_estimates<Resources> estimate_loads(const Samples& samples,
                                                       const pack_limits<Resources>& limits,
                                                       const Projection& projection,
                                                       unsigned threads, const Visit& visit) {
  const std::uint32_t count = checked_sample_count(samples);
  load_estimates<Resources> estimates{
      .plane = make_plane<Resources>(samples, limits.capacity, projection)};
  std::vector<estimates_part<Resources>> parts(threads, {estimates.plane, limits.capacity});
  const auto cut = [&](std::size_t part) {
    return static_cast<std::uint32_t>(std::uint64_t{count} * part / threads);
  };
  parallel_for(threads, threads, [&](std::size_t first, std::size_t last) {
    for (std::size_t part = first; part < last; ++part)
      parts[part].scan(samples, {cut(part), cut(part + 1)}, limits, projection, visit);
  });
  for (std::size_t part = 1; part < parts.size(); ++part) parts.front().merge(parts[part]);
  parts.front().finish(estimates);
  estimates.fitting = count - estimates.oversize.size();
  return estimates;
}

}  // namespace omnibal::inline v0::detail

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/load_estimates.ipp>
#endif
