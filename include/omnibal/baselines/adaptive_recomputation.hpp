// SPDX-License-Identifier: Apache-2.0
/// @file
/// The paper's balanced adaptive recomputation, as a baseline: a stage starts with every layer
/// fully recomputed and lets layers go back to keeping their activations while memory lasts.
/// Source: OmniBal, arXiv 2407.20761, section on balanced adaptive re-computation. Its code was
/// not published; where the paper leaves the order of layers open, those that save most time per
/// byte go first. What it cannot see: modes between full and none, and that a mixed choice can
/// fill the last bytes (exact.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/recompute/exact.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The mode that keeps least, and the one that costs no more time than any other.
struct mode_extremes {
  std::size_t leanest = 0;
  std::size_t fastest = 0;
};

[[nodiscard]] inline mode_extremes extremes(const layer& one) {
  mode_extremes found;
  for (std::size_t m = 1; m < one.modes.size(); ++m) {
    if (one.modes[m].kept_bytes < one.modes[found.leanest].kept_bytes) found.leanest = m;
    if (one.modes[m].extra_time < one.modes[found.fastest].extra_time) found.fastest = m;
  }
  return found;
}

[[nodiscard]] inline std::int64_t held_bytes(std::span<const layer> layers,
                                             std::span<const std::size_t> modes,
                                             std::int64_t in_flight) {
  std::int64_t kept = 0;
  std::int64_t transient = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    kept += layers[l].modes[modes[l]].kept_bytes;
    transient = std::max(transient, layers[l].modes[modes[l]].transient_bytes);
  }
  return in_flight * kept + transient;
}

}  // namespace detail

/// Modes for one stage by the paper's rule. `objective` is the extra time, `bound` 0: this
/// heuristic proves nothing. Infeasible when not even full recomputation fits. O(n²).
[[nodiscard]] inline recompute_choice choose_recomputation_adaptively(std::span<const layer> layers,
                                                                      std::int64_t in_flight,
                                                                      std::int64_t budget) {
  std::vector<std::size_t> modes;
  std::vector<std::size_t> fastest;
  for (const layer& one : layers) {
    const detail::mode_extremes found = detail::extremes(one);
    modes.push_back(found.leanest);
    fastest.push_back(found.fastest);
  }
  const std::int64_t least = detail::held_bytes(layers, modes, in_flight);
  if (least > budget) return {.status = search_status::infeasible, .bytes_short = least - budget};

  std::vector<std::size_t> order(layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto saved = [&](std::size_t l) -> wide_integer {
    return layers[l].modes[modes[l]].extra_time - layers[l].modes[fastest[l]].extra_time;
  };
  const auto cost = [&](std::size_t l) -> wide_integer {
    return layers[l].modes[fastest[l]].kept_bytes - layers[l].modes[modes[l]].kept_bytes;
  };
  std::ranges::stable_sort(order, [&](std::size_t left, std::size_t right) {
    return saved(left) * cost(right) > saved(right) * cost(left);
  });
  std::vector<std::size_t> chosen = modes;
  for (const std::size_t l : order) {
    chosen[l] = fastest[l];
    if (detail::held_bytes(layers, chosen, in_flight) > budget) chosen[l] = modes[l];
  }
  recompute_choice choice{.status = search_status::feasible, .modes = chosen};
  for (std::size_t l = 0; l < layers.size(); ++l)
    choice.objective += layers[l].modes[chosen[l]].extra_time;
  return choice;
}

}  // namespace omnibal::inline v0
