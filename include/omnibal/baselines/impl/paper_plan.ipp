// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/detail/paper_candidates.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/planner/assign_modes.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::optional<pipeline_plan> plan_by_paper(const pipeline_problem& problem,
                                                          const paper_options& options) {
  validate(problem);
  if (problem.schedule.shares_devices() || problem.schedule.splits_backward())
    throw invalid_input("schedule", problem.schedule.kind.name(),
                        "is not supported by the paper's method; use 1f1b or gpipe");
  return detail::fastest_with_adaptive_recomputation(
      problem, detail::paper_candidates(problem, options, detail::candidate_memory::must_fit));
}

OMNIBAL_INLINE infeasibility paper_plan_shortfall(const pipeline_problem& problem,
                                                  const paper_options& options) {
  stage_memory memory(problem);
  const auto shortfall_of = [&](const anchored_partition& candidate) {
    infeasibility worst{.reason = infeasibility::cause::memory};
    for (std::size_t s = 0; s < problem.schedule.stages; ++s)
      if (const std::int64_t bytes = memory.overrun(s, candidate.cuts[s], candidate.cuts[s + 1]);
          bytes > worst.bytes_short) {
        worst.bytes_short = bytes;
        worst.binding_stage = s;
      }
    return worst;
  };
  infeasibility least{.reason = infeasibility::cause::memory,
                      .bytes_short = std::numeric_limits<std::int64_t>::max()};
  for (const anchored_partition& candidate :
       detail::paper_candidates(problem, options, detail::candidate_memory::ignored))
    if (const infeasibility found = shortfall_of(candidate); found.bytes_short < least.bytes_short)
      least = found;
  return least;
}

}  // namespace omnibal::inline v0
