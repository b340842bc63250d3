// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <omnibal/baselines/uniform_recomputation.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline std::size_t selective_mode(const pipeline_layer& one) {
  if (const auto known = mode_of_kind(one.modes, recompute_kind::selective)) return *known;
  const auto [minimum_memory, minimum_time] = extreme_modes_of(one);
  const recompute_mode& none = one.modes[minimum_time];
  const auto saved = [&](std::size_t m) -> wide_integer {
    return none.saved_bytes - one.modes[m].saved_bytes;
  };
  const auto cost = [&](std::size_t m) -> wide_integer {
    return one.modes[m].extra_time - none.extra_time;
  };
  std::optional<std::size_t> best;
  for (std::size_t m = 0; m < one.modes.size(); ++m) {
    if (m == minimum_memory || saved(m) <= 0) continue;
    const wide_integer gain = best ? saved(m) * cost(*best) - saved(*best) * cost(m) : 1;
    if (gain > 0 || (gain == 0 && saved(m) > saved(*best))) best = m;
  }
  return best.value_or(minimum_time);
}

}  // namespace detail

OMNIBAL_INLINE std::vector<std::size_t> modes_by_uniform_rule(
    std::span<const pipeline_layer> layers, uniform_rule rule) {
  std::vector<std::size_t> modes;
  for (const pipeline_layer& one : layers) {
    modes.push_back(rule == uniform_rule::full        ? full_mode(one)
                    : rule == uniform_rule::selective ? detail::selective_mode(one)
                                                      : bare_mode(one));
  }
  return modes;
}

OMNIBAL_INLINE std::vector<pipeline_plan> plans_with_uniform_recomputation(
    const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  const std::vector<std::size_t> full = modes_by_uniform_rule(problem.layers, uniform_rule::full);
  pipeline_plan block{.cuts = cuts,
                      .modes = modes_by_uniform_rule(problem.layers, uniform_rule::none)};
  std::vector<pipeline_plan> plans = {
      block,
      {.cuts = cuts, .modes = modes_by_uniform_rule(problem.layers, uniform_rule::selective)}};
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
