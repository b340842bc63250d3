// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/load_histogram.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>
#include <omnibal/packing/dual_bound.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE cutting_stock_program fewest_packs_program(plane_knapsack& knapsack,
                                                          std::span<const std::uint64_t> counts) {
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
  const auto find = [&](std::span<const std::int64_t> values) {
    knapsack.solve_within(values);
    return knapsack.pattern(knapsack.corner(), values);
  };
  program.solve(find, turns_for(classes));
  return program;
}

[[nodiscard]] inline pack_dual_values<1> volume_dual_values(std::int64_t capacity) {
  return {.capacity = {capacity}, .rates = {1}, .unit = static_cast<std::uint64_t>(capacity)};
}

/// The function u⁽ᵏ⁾ for k = `steps`: the value of a load is the number of the k + 1 equal parts of
/// the capacity that it exceeds.
[[nodiscard]] inline pack_dual_values<1> step_dual_values(std::int64_t capacity,
                                                          std::uint32_t steps) {
  pack_dual_values<1> dual{.capacity = {capacity}, .unit = steps};
  for (std::uint32_t k = 1; k <= steps; ++k) {
    const auto part = wide_integer{capacity} * k / (steps + 1);
    dual.steps.push_back({.size = {static_cast<std::int64_t>(part) + 1}, .value = k});
  }
  return dual;
}

/// The number of packs proven by dual values whose steps ascend, when no sum of several steps has a
/// higher value than the largest single step that fits.
[[nodiscard]] inline std::uint64_t packs_proven(const pack_dual_values<1>& dual,
                                                const load_histogram& histogram) {
  wide_integer total = histogram.volume() * static_cast<wide_integer>(dual.rates[0]);
  std::uint64_t below = 0;
  for (const auto& step : dual.steps) {
    const std::uint64_t reaching = histogram.at_least(static_cast<std::uint64_t>(step.size[0]));
    total += wide_integer{step.value - below} * reaching;
    below = step.value;
  }
  return packs_for(total, dual.unit);
}

OMNIBAL_INLINE std::uint64_t round_dual_values(const cutting_stock_program& program,
                                               plane_knapsack& knapsack,
                                               std::vector<std::int64_t>& values) {
  values.assign(program.dual_values().begin(), program.dual_values().end());
  for (std::int64_t& value : values) value = std::max<std::int64_t>(value, 0);
  knapsack.solve_within(values);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(knapsack.value(knapsack.corner()), 1));
}

/// The loads of one resource as items, in units of their common divisor; std::nullopt when the
/// program over them would take too long.
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

/// The bound by the cutting-stock program over all different loads of one resource.
[[nodiscard]] inline packing_bound<1> bound_exactly(const load_histogram& histogram,
                                                    std::int64_t capacity) {
  auto knapsack = exact_knapsack(histogram, capacity);
  if (!knapsack) return {};
  std::vector<std::uint64_t> counts;
  for (std::size_t k = 0; k < histogram.ranks().size(); ++k) counts.push_back(histogram.count(k));
  const cutting_stock_program program = fewest_packs_program(*knapsack, counts);
  std::vector<std::int64_t> values;
  packing_bound<1> bound{.dual_values = {.capacity = {capacity}}};
  bound.dual_values.unit = round_dual_values(program, *knapsack, values);
  wide_integer total = 0;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    total += wide_integer{knapsack->value(knapsack->items()[k])} * counts[k];
    if (values[k] > 0)
      bound.dual_values.steps.push_back(
          {.size = {static_cast<std::int64_t>(histogram.ranks()[k].load)},
           .value = static_cast<std::uint64_t>(values[k])});
  }
  bound.packs = packs_for(total, bound.dual_values.unit);
  return bound;
}

OMNIBAL_INLINE packing_bound<1> bound_resource(const load_histogram& histogram,
                                               std::int64_t capacity) {
  constexpr std::uint32_t most_steps = 20;
  packing_bound<1> best = bound_exactly(histogram, capacity);
  const auto consider = [&](pack_dual_values<1> dual) {
    const std::uint64_t packs = packs_proven(dual, histogram);
    if (packs > best.packs) best = {.packs = packs, .dual_values = std::move(dual)};
  };
  consider(volume_dual_values(capacity));
  for (std::uint32_t steps = 1; steps <= most_steps; ++steps)
    consider(step_dual_values(capacity, steps));
  return best;
}

}  // namespace omnibal::inline v0::detail
