// SPDX-License-Identifier: Apache-2.0
/// @file
/// Planning by trying every partition with every choice of modes: slow, and right.
#pragma once

#include <algorithm>
#include <array>
#include <limits>

#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/plan_jointly.hpp>

#include "../planning_problems.hpp"

namespace omnibal::test {

inline constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();

/// By how much the plan and the margin overrun a device's memory, at the worst device; 0 or less
/// when they fit.
inline std::int64_t overrun(const pipeline_problem& problem, const pipeline_plan& plan) {
  if (problem.memory_limit.empty()) return 0;
  const auto peaks = peak_memory(problem, stage_costs(problem, plan));
  std::int64_t worst = std::numeric_limits<std::int64_t>::min();
  for (std::size_t d = 0; d < peaks.size(); ++d)
    worst = std::max(worst, peaks[d] + problem.memory_margin - problem.memory_limit[d]);
  return worst;
}

inline bool keeps_rules(const pipeline_problem& problem, const std::vector<std::size_t>& cuts) {
  const auto stage = [&](std::size_t l) { return std::ranges::upper_bound(cuts, l); };
  for (const layer_pair& pair : problem.together)
    if (stage(pair.first) != stage(pair.second)) return false;
  for (const layer_pair& pair : problem.apart)
    if (stage(pair.first) == stage(pair.second)) return false;
  for (const fixed_cut& cut : problem.fixed_cuts)
    if (cut.stage + 1 >= cuts.size() || cuts[cut.stage] != cut.layer) return false;
  return true;
}

/// Calls visit(plan) for every plan that keeps the rules, whether it fits or not.
template <typename Visit>
void for_each_plan(const pipeline_problem& problem, const Visit& visit) {
  for_each_partition(problem.layers.size(), problem.schedule.total_stages(), [&](const auto& cuts) {
    if (!keeps_rules(problem, cuts)) return;
    for_each_modes(problem.layers,
                   [&](const auto& modes) { visit(pipeline_plan{.cuts = cuts, .modes = modes}); });
  });
}

struct oracle {
  std::array<rational, all_objectives.size()> best;  ///< {none} where nothing fits.
  std::int64_t least_overrun = none;                 ///< none where no partition is allowed.

  explicit oracle(const pipeline_problem& problem) {
    best.fill({none});
    for_each_plan(problem, [&](const pipeline_plan& plan) {
      const std::int64_t over = overrun(problem, plan);
      least_overrun = std::min(least_overrun, over);
      if (over > 0) return;
      for (std::size_t k = 0; k < all_objectives.size(); ++k)
        best[k] = std::min(best[k], objective_of(problem, plan, all_objectives[k]));
    });
  }
  [[nodiscard]] bool feasible() const { return !(best[0] == rational{none}); }
};

/// Adds what a plain problem lacks: speeds, a margin, step times, ties and rules, each now and
/// then.
inline void vary(pipeline_problem& problem, random_stream& random) {
  const auto last = static_cast<std::int64_t>(problem.layers.size()) - 1;
  const auto pair = [&] {
    const std::int64_t first = draw(random, 0, last - 1);
    return layer_pair{static_cast<std::size_t>(first),
                      static_cast<std::size_t>(draw(random, first + 1, last))};
  };
  if (draw(random, 0, 3) == 0)
    for (std::size_t d = 0; d < problem.schedule.stages; ++d)
      problem.time_factor.push_back({draw(random, 0, 4), draw(random, 1, 3)});
  if (draw(random, 0, 3) == 0) problem.memory_margin = draw(random, 1, 9);
  if (draw(random, 0, 2) > 0)
    for (pipeline_layer& one : problem.layers) one.step_time = draw(random, 0, 90);
  if (last < 1) return;
  if (draw(random, 0, 3) == 0) problem.tied.push_back(pair());
  if (draw(random, 0, 5) == 0) problem.tied.push_back(pair());
  if (draw(random, 0, 7) == 0) problem.together.push_back(pair());
  if (draw(random, 0, 7) == 0) problem.apart.push_back(pair());
  if (draw(random, 0, 5) == 0)
    problem.fixed_cuts.push_back(
        {.stage = static_cast<std::size_t>(
             draw(random, 1, static_cast<std::int64_t>(problem.schedule.total_stages()))),
         .layer = static_cast<std::size_t>(draw(random, 1, last))});
}

}  // namespace omnibal::test
