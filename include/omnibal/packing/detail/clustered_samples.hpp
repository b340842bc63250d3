// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads samples into the form in which pack_balanced packs them: load estimates, and samples
/// sorted by class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_sums.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/sample_clustering.hpp>

namespace omnibal::inline v0::detail {

/// The samples that fit a pack. Must not be copied, since `classes` refers to `samples`.
template <typename Sums>
struct classified_samples {
  using sample = packable<typename Sums::word>;

  load_estimates<Sums::resources> estimates = {};
  std::vector<sample> samples = {};             ///< all but zero-load samples, sorted by class
  std::vector<std::span<sample>> classes = {};  ///< some may be empty
  std::vector<std::uint32_t> zero_load = {};    ///< zero-load samples, which fit anywhere
};

/// In place of the point of a sample: it does not fit a pack, or has zero load.
inline constexpr auto no_point = std::numeric_limits<std::uint16_t>::max();
inline constexpr std::uint16_t zero_load_point = no_point - 1;

/// Sorts samples by cell of the load plane, given the point and the packed loads of each. O(n).
template <typename Sums>
void sort_into_cells(const std::vector<std::uint16_t>& points,
                     const std::vector<typename Sums::word>& loads,
                     classified_samples<Sums>& sorted) {
  for (std::uint32_t id = 0; id < points.size(); ++id)
    if (points[id] == zero_load_point) sorted.zero_load.push_back(id);
  const std::size_t width = sorted.estimates.plane.corner().column + std::size_t{1};
  plane_cells cells = cell_divider(sorted.estimates.counts, width).divide();
  // Load estimates also count zero-load samples, all at the first point of the plane.
  if (!sorted.zero_load.empty())
    cells.cells[cells.cell_of.front()].count -= sorted.zero_load.size();
  sorted.samples.resize(sorted.estimates.fitting - sorted.zero_load.size());
  std::vector<std::size_t> next;
  std::size_t end = 0;
  for (const plane_cell& cell : cells.cells) {
    sorted.classes.push_back(std::span(sorted.samples).subspan(end, cell.count));
    next.push_back(end);
    end += cell.count;
  }
  for (std::uint32_t id = 0; id < points.size(); ++id)
    if (points[id] < zero_load_point)
      sorted.samples[next[cells.cell_of[points[id]]]++] = {.id = id, .load = loads[id]};
}

/// Estimates the loads of samples and sorts them by class. Throws as scan_samples does. O(n); 6
/// bytes per sample besides the result when all capacities together fit in 32 bits.
template <typename Samples, typename Sums, typename Projection>
[[nodiscard]] classified_samples<Sums> classify_samples(const Samples& samples, const Sums& sums,
                                                        const pack_limits<Sums::resources>& limits,
                                                        const Projection& projection,
                                                        unsigned threads) {
  const std::uint32_t count = checked_sample_count(samples);
  std::vector<std::uint16_t> points(count, no_point);
  std::vector<typename Sums::word> loads(count);
  classified_samples<Sums> classified;
  const auto visit = [&](std::uint32_t id, const fitting_loads<Sums::resources>& one,
                         std::uint16_t point) {
    loads[id] = sums.pack(one);
    points[id] = one == fitting_loads<Sums::resources>{} ? zero_load_point : point;
  };
  classified.estimates = estimate_loads(samples, limits, projection, threads, visit);
  sort_into_cells<Sums>(points, loads, classified);
  return classified;
}

}  // namespace omnibal::inline v0::detail
