// SPDX-License-Identifier: Apache-2.0
/// @file
/// A proven lower bound on the number of packs, and the search for its proof (prices.hpp).
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
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/detail/sample_clustering.hpp>
#include <omnibal/packing/dual_bound.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// A lower bound on the number of packs. The prices prove it, and may prove a little more; no
/// prices are needed to prove that any sample at all needs a pack.
template <std::size_t Resources>
struct packing_bound {
  std::uint64_t packs = 0;
  pack_dual_values<Resources> prices = {};
};

/// Options of bound_packs.
template <std::size_t Resources>
struct bound_options {
  /// The most a pack may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// Under own_pack every oversize sample counts as one pack, under skip as none. The proof is
  /// about the samples that fit.
  oversize_policy oversize = oversize_policy::reject;
  resource_names<Resources> names = {};
};

/// No packing of the samples has fewer packs. The best of four proofs: the volume of a resource;
/// steps at equal parts of its capacity; where it has few different loads, the cutting-stock
/// program over them; the cutting-stock program over cells of the two tightest resources. Throws
/// invalid_input like the packers. O(n), O(n log n) for capacities above a million.
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] auto bound_packs(
    const Samples& samples,
    const bound_options<resource_count<projected_loads<const Samples, Projection>>>& options,
    const Projection& projection = {})
    -> packing_bound<resource_count<projected_loads<const Samples, Projection>>>;

namespace detail {

/// Enough turns for programs of this many classes to end by themselves, nearly always.
[[nodiscard]] constexpr std::size_t turns_for(std::size_t classes) noexcept {
  return 100 + 20 * classes;
}

/// The cutting-stock program over items of these sizes and counts, none of which is 0, solved for
/// the fewest packs within the knapsack's corner.
[[nodiscard]] inline cutting_stock_program fewest_packs_program(
    plane_knapsack& knapsack, std::span<const std::uint64_t> counts) {
  const std::size_t classes = counts.size();
  const std::uint64_t samples = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  std::vector<pack_pattern> patterns(classes);
  std::vector<std::int64_t> demand(classes);
  for (std::size_t k = 0; k < classes; ++k) {
    patterns[k].copies.resize(classes);
    patterns[k].copies[k] = knapsack.most_copies(k);
    demand[k] = fixed::share(counts[k], samples);
  }
  cutting_stock_program program(std::move(patterns), std::move(demand));
  const auto find = [&](std::span<const std::int64_t> prices) {
    knapsack.price_within(prices);
    return knapsack.pattern(knapsack.corner(), prices);
  };
  program.solve(find, turns_for(classes));
  return program;
}

[[nodiscard]] inline pack_dual_values<1> volume_dual_values(std::int64_t capacity) {
  return {.capacity = {capacity}, .rates = {1}, .unit = static_cast<std::uint64_t>(capacity)};
}

/// The function u⁽ᵏ⁾: a load pays by how many of `steps` + 1 equal parts of the capacity it
/// exceeds.
[[nodiscard]] inline pack_dual_values<1> step_dual_values(std::int64_t capacity,
                                                          std::uint32_t steps) {
  pack_dual_values<1> prices{.capacity = {capacity}, .unit = steps};
  for (std::uint32_t k = 1; k <= steps; ++k) {
    const auto part = wide_integer{capacity} * k / (steps + 1);
    prices.steps.push_back({.size = {static_cast<std::int64_t>(part) + 1}, .price = k});
  }
  return prices;
}

/// What prices prove whose steps ascend and are never worth more together than the highest.
[[nodiscard]] inline std::uint64_t packs_proven(const pack_dual_values<1>& prices,
                                                const load_histogram& histogram) {
  wide_integer paid = histogram.volume() * static_cast<wide_integer>(prices.rates[0]);
  std::uint64_t below = 0;
  for (const auto& step : prices.steps) {
    const std::uint64_t reaching = histogram.at_least(static_cast<std::uint64_t>(step.size[0]));
    paid += wide_integer{step.price - below} * reaching;
    below = step.price;
  }
  return packs_for(paid, prices.unit);
}

/// Turns the prices of a solved program into integers and prices all sizes with them; returns what
/// the corner is worth, at least 1. They need not be exact: the unit is what these very integers
/// can add up to.
[[nodiscard]] inline std::uint64_t round_dual_values(const cutting_stock_program& program,
                                                     plane_knapsack& knapsack,
                                                     std::vector<std::int64_t>& prices) {
  prices.assign(program.prices().begin(), program.prices().end());
  for (std::int64_t& price : prices) price = std::max<std::int64_t>(price, 0);
  knapsack.price_within(prices);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(knapsack.price(knapsack.corner()), 1));
}

/// The loads of one resource as items, in units of their common divisor; nothing where the program
/// over them would be too large to solve in passing.
[[nodiscard]] inline std::optional<plane_knapsack> exact_knapsack(const load_histogram& histogram,
                                                                  std::int64_t capacity) {
  constexpr std::size_t most_loads = 64;
  constexpr std::uint64_t most_work = 1U << 16;
  const auto ranks = histogram.ranks();
  if (ranks.empty() || ranks.size() > most_loads) return std::nullopt;
  std::uint64_t unit = 0;
  for (const load_rank& rank : ranks) unit = std::gcd(unit, rank.load);
  const std::uint64_t size = static_cast<std::uint64_t>(capacity) / unit;
  if (size > most_work / ranks.size()) return std::nullopt;
  std::vector<plane_point> items;
  for (const load_rank& rank : ranks)
    items.push_back({.column = static_cast<std::uint32_t>(rank.load / unit)});
  return plane_knapsack(std::move(items), {.column = static_cast<std::uint32_t>(size)});
}

/// The proof by the cutting-stock program over all different loads of one resource.
[[nodiscard]] inline packing_bound<1> bound_exactly(const load_histogram& histogram,
                                                    std::int64_t capacity) {
  auto knapsack = exact_knapsack(histogram, capacity);
  if (!knapsack) return {};
  std::vector<std::uint64_t> counts;
  for (std::size_t k = 0; k < histogram.ranks().size(); ++k) counts.push_back(histogram.count(k));
  const cutting_stock_program program = fewest_packs_program(*knapsack, counts);
  std::vector<std::int64_t> prices;
  packing_bound<1> bound{.prices = {.capacity = {capacity}}};
  bound.prices.unit = round_dual_values(program, *knapsack, prices);
  wide_integer paid = 0;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    paid += wide_integer{knapsack->price(knapsack->items()[k])} * counts[k];
    if (prices[k] > 0)
      bound.prices.steps.push_back({.size = {static_cast<std::int64_t>(histogram.ranks()[k].load)},
                                    .price = static_cast<std::uint64_t>(prices[k])});
  }
  bound.packs = packs_for(paid, bound.prices.unit);
  return bound;
}

/// The best proof about one resource.
[[nodiscard]] inline packing_bound<1> bound_resource(const load_histogram& histogram,
                                                     std::int64_t capacity) {
  constexpr std::uint32_t most_steps = 20;
  packing_bound<1> best = bound_exactly(histogram, capacity);
  const auto consider = [&](pack_dual_values<1> prices) {
    const std::uint64_t packs = packs_proven(prices, histogram);
    if (packs > best.packs) best = {.packs = packs, .prices = std::move(prices)};
  };
  consider(volume_dual_values(capacity));
  for (std::uint32_t steps = 1; steps <= most_steps; ++steps)
    consider(step_dual_values(capacity, steps));
  return best;
}

/// The same proof where other resources cost nothing.
template <std::size_t Resources>
[[nodiscard]] packing_bound<Resources> lift_bound(const packing_bound<1>& bound,
                                                  std::size_t resource,
                                                  const loads<Resources>& capacity) {
  packing_bound<Resources> lifted{.packs = bound.packs,
                                  .prices = {.capacity = capacity, .unit = bound.prices.unit}};
  lifted.prices.rates[resource] = bound.prices.rates[0];
  for (const auto& step : bound.prices.steps) {
    lifted.prices.steps.push_back({.size = {}, .price = step.price});
    lifted.prices.steps.back().size[resource] = step.size[0];
  }
  return lifted;
}

/// The best proof about a single resource of surveyed samples.
template <std::size_t Resources>
[[nodiscard]] packing_bound<Resources> bound_by_resource(const load_estimates<Resources>& estimates,
                                                         const loads<Resources>& capacity) {
  packing_bound<Resources> best{.packs = estimates.fitting > 0 ? 1U : 0U,
                                .prices = {.capacity = capacity}};
  for (std::size_t r = 0; r < Resources; ++r) {
    const packing_bound<1> bound = bound_resource(estimates.histograms[r], capacity[r]);
    if (bound.packs > 0 && bound.packs >= best.packs) best = lift_bound(bound, r, capacity);
  }
  return best;
}

/// The proof by the cutting-stock program over cells of a plane, every sample counted as small as
/// the smallest of its cell.
template <std::size_t Resources>
class plane_bound {
 public:
  plane_bound(const load_estimates<Resources>& estimates, const loads<Resources>& capacity)
      : plane_(estimates.plane), counts_(estimates.counts), knapsack_({}, plane_.corner()) {
    bound_.prices.capacity = capacity;
  }

  [[nodiscard]] packing_bound<Resources> prove() {
    value_cells();
    consider({});
    consider(plane_.columns().resource());
    if constexpr (Resources > 1) consider(plane_.rows().resource());
    return std::move(bound_);
  }

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
    std::vector<std::int64_t> prices;
    bound_.prices.unit = round_dual_values(program, knapsack_, prices);
    for (std::size_t k = 0; k < prices.size(); ++k)
      if (prices[k] > 0)
        bound_.prices.steps.push_back({.size = least_loads(knapsack_.items()[k]),
                                       .price = static_cast<std::uint64_t>(prices[k])});
  }

  // Takes the choice of the halved resource that proves more.
  void consider(std::optional<std::size_t> halved) {
    wide_integer paid = 0;
    for (std::size_t k = 0; k < counts_.size(); ++k)
      if (counts_[k] > 0) paid += pays(plane_.point(k), halved) * counts_[k];
    const std::uint64_t packs = packs_for(paid, bound_.prices.unit);
    if (packs <= bound_.packs) return;
    bound_.packs = packs;
    bound_.prices.halved = halved;
  }

  // What the samples of a point pay at least.
  [[nodiscard]] wide_integer pays(plane_point point, std::optional<std::size_t> halved) const {
    const loads<Resources> least = least_loads(point);
    const loads<Resources>& capacity = bound_.prices.capacity;
    if (!halved || least[*halved] <= capacity[*halved] - least[*halved])
      return knapsack_.price(point);
    fitting_loads<Resources> rest{};
    for (std::size_t r = 0; r < Resources; ++r)
      rest[r] = static_cast<std::uint64_t>(capacity[r] - least[r]);
    return wide_integer{bound_.prices.unit} - knapsack_.price(plane_.point(plane_.index(rest)));
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
