// SPDX-License-Identifier: Apache-2.0
/// @file
/// A proven lower bound on the number of packs that any packing of given samples needs, together
/// with dual values that prove it (dual_bound.hpp checks them).
///
///     const auto bound = bound_packs(samples, {.capacity = {9, 4096}});
///     // bound.packs is a lower bound on the number of packs
///
/// Sources: the dual of the cutting-stock program of Gilmore and Gomory (1961); the functions u⁽ᵏ⁾
/// of Fekete and Schepers, "New classes of fast lower bounds for bin packing problems",
/// Mathematical Programming 2001.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <ranges>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/load_estimates.hpp>
#include <omnibal/packing/detail/load_histogram.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/detail/sample_clustering.hpp>
#include <omnibal/packing/dual_bound.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// A lower bound on the number of packs. The dual values prove it, and may prove a little more;
/// that at least one sample needs at least one pack is proven without them.
template <std::size_t Resources>
struct packing_bound {
  std::uint64_t packs = 0;
  pack_dual_values<Resources> dual_values = {};
};

/// Options of bound_packs.
template <std::size_t Resources>
struct bound_options {
  /// The most a pack may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// Under own_pack every oversize sample counts as one pack, under skip as none. The dual values
  /// are about the samples that fit.
  oversize_policy oversize = oversize_policy::reject;
  resource_names<Resources> names = {};
};

/// A proven lower bound on the number of packs of any packing of the samples: the best of four
/// bounds, by the volume of a resource; by steps at equal parts of its capacity; by the
/// cutting-stock program over its different loads, when they are few; and by the cutting-stock
/// program over cells of the two tightest resources. Throws invalid_input as the packers do. O(n),
/// for capacities above a million O(n log n).
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] auto bound_packs(
    const Samples& samples,
    const bound_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection = {})
    -> packing_bound<resource_count<projected_loads<const Samples, Projection>>>;

namespace detail {

/// A limit on simplex iterations that programs of this many classes hardly ever reach.
[[nodiscard]] constexpr std::size_t turns_for(std::size_t classes) noexcept {
  return 100 + 20 * classes;
}

/// The cutting-stock program for the knapsack's items with these counts, all positive, solved for
/// the fewest packs of the size of the knapsack's corner.
[[nodiscard]] cutting_stock_program fewest_packs_program(plane_knapsack& knapsack,
                                                         std::span<const std::uint64_t> counts);

/// Takes the dual values of a solved program as integers and computes the value of all sizes with
/// them; returns the value of the corner, at least 1. The program's values need not be exact: the
/// unit of the proof is the highest total that these integers reach in a pack.
[[nodiscard]] std::uint64_t round_dual_values(const cutting_stock_program& program,
                                              plane_knapsack& knapsack,
                                              std::vector<std::int64_t>& values);

/// The best bound by a single resource.
[[nodiscard]] packing_bound<1> bound_resource(const load_histogram& histogram,
                                              std::int64_t capacity);

/// A bound by one resource as a bound for all: loads of the other resources have value 0.
template <std::size_t Resources>
[[nodiscard]] packing_bound<Resources> lift_bound(const packing_bound<1>& bound,
                                                  std::size_t resource,
                                                  const loads<Resources>& capacity) {
  packing_bound<Resources> lifted{
      .packs = bound.packs, .dual_values = {.capacity = capacity, .unit = bound.dual_values.unit}};
  lifted.dual_values.rates[resource] = bound.dual_values.rates[0];
  for (const auto& step : bound.dual_values.steps) {
    lifted.dual_values.steps.push_back({.size = {}, .value = step.value});
    lifted.dual_values.steps.back().size[resource] = step.size[0];
  }
  return lifted;
}

/// The best bound by any single resource.
template <std::size_t Resources>
[[nodiscard]] packing_bound<Resources> bound_by_resource(const load_estimates<Resources>& estimates,
                                                         const loads<Resources>& capacity) {
  packing_bound<Resources> best{.packs = estimates.fitting > 0 ? 1U : 0U,
                                .dual_values = {.capacity = capacity}};
  for (std::size_t r = 0; r < Resources; ++r) {
    const packing_bound<1> bound = bound_resource(estimates.histograms[r], capacity[r]);
    if (bound.packs > 0 && bound.packs >= best.packs) best = lift_bound(bound, r, capacity);
  }
  return best;
}

/// The bound by the cutting-stock program over cells of the load plane, where every sample is
/// rounded down to the smallest loads in its cell.
template <std::size_t Resources>
class plane_bound {
 public:
  plane_bound(const load_estimates<Resources>& estimates, const loads<Resources>& capacity)
      : plane_(estimates.plane), counts_(estimates.counts), knapsack_({}, plane_.corner()) {
    bound_.dual_values.capacity = capacity;
  }

  [[nodiscard]] packing_bound<Resources> prove();

 private:
  void value_cells() {
    const std::size_t width = plane_.corner().column + std::size_t{1};
    std::vector<plane_point> items;
    std::vector<std::uint64_t> counts;
    for (const plane_cell& cell : cell_divider(counts_, width).divide().cells) {
      if (cell.least == plane_point{}) continue;
      items.push_back(cell.least);
      counts.push_back(cell.count);
    }
    knapsack_ = plane_knapsack(std::move(items), plane_.corner());
    const cutting_stock_program program = fewest_packs_program(knapsack_, counts);
    std::vector<std::int64_t> values;
    bound_.dual_values.unit = round_dual_values(program, knapsack_, values);
    for (std::size_t k = 0; k < values.size(); ++k)
      if (values[k] > 0)
        bound_.dual_values.steps.push_back({.size = least_loads(knapsack_.items()[k]),
                                            .value = static_cast<std::uint64_t>(values[k])});
  }

  // Takes this choice of the halved resource if it proves more packs.
  void consider(std::optional<std::size_t> halved) {
    wide_integer total = 0;
    for (std::size_t k = 0; k < counts_.size(); ++k)
      if (counts_[k] > 0) total += least_value(plane_.point(k), halved) * counts_[k];
    const std::uint64_t packs = packs_for(total, bound_.dual_values.unit);
    if (packs <= bound_.packs) return;
    bound_.packs = packs;
    bound_.dual_values.halved = halved;
  }

  // The least value of any sample at a point.
  [[nodiscard]] wide_integer least_value(plane_point point,
                                         std::optional<std::size_t> halved) const {
    const loads<Resources> least = least_loads(point);
    const loads<Resources>& capacity = bound_.dual_values.capacity;
    if (!halved || least[*halved] <= capacity[*halved] - least[*halved])
      return knapsack_.value(point);
    fitting_loads<Resources> rest{};
    for (std::size_t r = 0; r < Resources; ++r)
      rest[r] = static_cast<std::uint64_t>(capacity[r] - least[r]);
    return wide_integer{bound_.dual_values.unit} -
           knapsack_.value(plane_.point(plane_.index(rest)));
  }

  [[nodiscard]] loads<Resources> least_loads(plane_point point) const noexcept {
    loads<Resources> least{};
    if constexpr (Resources > 1)
      least[plane_.rows().resource()] = static_cast<std::int64_t>(point.row * plane_.rows().unit());
    least[plane_.columns().resource()] =
        static_cast<std::int64_t>(point.column * plane_.columns().unit());
    return least;
  }

  const load_plane<Resources>& plane_;
  const std::vector<std::uint32_t>& counts_;
  plane_knapsack knapsack_;
  packing_bound<Resources> bound_;
};

template <std::size_t Resources>
packing_bound<Resources> plane_bound<Resources>::prove() {
  value_cells();
  consider({});
  consider(plane_.columns().resource());
  if constexpr (Resources > 1) consider(plane_.rows().resource());
  return std::move(bound_);
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection>
auto bound_packs(
    const Samples& samples,
    const bound_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection)
    -> packing_bound<resource_count<projected_loads<const Samples, Projection>>> {
  constexpr std::size_t resources = resource_count<projected_loads<const Samples, Projection>>;
  const auto limits = detail::limits_of<resources>(options);
  const auto estimates = detail::estimate_loads(samples, limits, projection, 1,
                                                [](std::uint32_t, const auto&, std::uint16_t) {});
  auto best = detail::bound_by_resource(estimates, options.capacity);
  auto plane = detail::plane_bound<resources>(estimates, options.capacity).prove();
  if (plane.packs > best.packs) best = std::move(plane);
  if (options.oversize == oversize_policy::own_pack) best.packs += estimates.oversize.size();
  return best;
}

}  // namespace omnibal::inline v0

#if defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/bound_instances.ipp>
#else
#include <omnibal/packing/impl/bound.ipp>
#endif
