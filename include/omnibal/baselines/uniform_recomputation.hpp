// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation by one rule for all stages, as trainers take it as an option: nothing, selective
/// everywhere, or the first N layers of every stage in full.
///
/// Layers here may have any modes, so the rules' words are read as: *none* is a layer's fastest
/// mode; *full* the one that keeps least; *selective*, of the modes between that keep less than
/// none, the one that saves most bytes for its time, and none where there is no such mode. Layers
/// whose full is their none have nothing to recompute and do not count towards N.
/// Source: Korthikanti et al., "Reducing activation recomputation in large transformer models",
/// MLSys 2023 (selective and full), and the option of a number of layers a stage that Megatron-LM
/// calls the method `block`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// The mode every layer of a chain takes, whatever its stage.
enum class layer_rule { none, selective, full };

namespace detail {

[[nodiscard]] inline std::size_t selective_mode(const layer& one) {
  const auto [leanest, fastest] = extremes(one);
  const recompute_mode& none = one.modes[fastest];
  const auto saved = [&](std::size_t m) -> wide_integer {
    return none.kept_bytes - one.modes[m].kept_bytes;
  };
  const auto cost = [&](std::size_t m) -> wide_integer {
    return one.modes[m].extra_time - none.extra_time;
  };
  std::optional<std::size_t> best;
  for (std::size_t m = 0; m < one.modes.size(); ++m) {
    if (m == leanest || saved(m) <= 0) continue;
    if (!best || saved(m) * cost(*best) > saved(*best) * cost(m)) best = m;
  }
  return best.value_or(fastest);
}

}  // namespace detail

/// The modes of layers that all follow one rule. O(layers · modes). Precondition: they are valid.
[[nodiscard]] inline std::vector<std::size_t> modes_by_rule(std::span<const layer> layers,
                                                            layer_rule rule) {
  std::vector<std::size_t> modes;
  for (const layer& one : layers) {
    const auto [leanest, fastest] = detail::extremes(one);
    modes.push_back(rule == layer_rule::full        ? leanest
                    : rule == layer_rule::selective ? detail::selective_mode(one)
                                                    : fastest);
  }
  return modes;
}

/// All plans for these cuts under one rule: none, selective, and the first 1, 2, … layers of every
/// stage in full, up to all. O(layers²). Preconditions: the problem is valid, the cuts are its.
[[nodiscard]] inline std::vector<pipeline_plan> plans_by_one_rule(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  const std::vector<std::size_t> full = modes_by_rule(problem.layers, layer_rule::full);
  pipeline_plan block{.cuts = cuts, .modes = modes_by_rule(problem.layers, layer_rule::none)};
  std::vector<pipeline_plan> plans = {
      block, {.cuts = cuts, .modes = modes_by_rule(problem.layers, layer_rule::selective)}};
  while (block.modes != full) {
    for (std::size_t s = 0; s + 1 < cuts.size(); ++s) {
      std::size_t next = cuts[s];
      while (next < cuts[s + 1] && block.modes[next] == full[next]) ++next;
      if (next < cuts[s + 1]) block.modes[next] = full[next];
    }
    plans.push_back(block);
  }
  return plans;
}

}  // namespace omnibal::inline v0
