// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/detail/run_planner.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The samples within the capacity, and the ids of all.
struct kept_samples {
  std::vector<vision_language_sample> samples = {};
  std::vector<std::uint32_t> ids = {};
  std::vector<std::uint32_t> skipped = {};
};

[[nodiscard]] inline kept_samples samples_within(const run_problem& problem) {
  kept_samples kept;
  for (std::uint32_t id = 0; id < problem.samples.size(); ++id) {
    const vision_language_sample& sample = problem.samples[id];
    if (sample[0] > (*problem.capacity)[0] || sample[1] > (*problem.capacity)[1]) {
      kept.skipped.push_back(id);
    } else {
      kept.samples.push_back(sample);
      kept.ids.push_back(id);
    }
  }
  return kept;
}

/// Throws invalid_input naming the first sample beyond the capacity.
inline void refuse_oversize(const run_problem& problem) {
  constexpr std::array names = {"images", "tokens"};
  for (std::size_t id = 0; id < problem.samples.size(); ++id)
    for (std::size_t r = 0; r < names.size(); ++r)
      if (problem.samples[id][r] > (*problem.capacity)[r])
        throw invalid_input(names[r], id, problem.samples[id][r],
                            "exceeds the capacity " + std::to_string((*problem.capacity)[r]) +
                                "; raise it, or choose to skip such samples or to give them own "
                                "packs");
}

inline void renumber(run_strategy& strategy, const std::vector<std::uint32_t>& ids) {
  grouping<std::uint32_t> packs;
  for (std::size_t k = 0; k < strategy.data.packing.packs.size(); ++k) {
    for (const std::uint32_t id : strategy.data.packing.packs[k]) packs.push_back(ids[id]);
    packs.close_group();
  }
  strategy.data.packing.packs = std::move(packs);
}

/// Plans the run of the samples within the capacity; packs name them by their ids among all.
[[nodiscard]] inline run_plan plan_within_capacity(const run_problem& problem,
                                                   const search_control& control) {
  const kept_samples kept = samples_within(problem);
  if (problem.current && problem.current->data && !kept.skipped.empty())
    throw invalid_input("current", kept.skipped.size(),
                        "samples of its packs are skipped: give a layout without packs");
  run_problem rest = problem;
  rest.samples = kept.samples;
  validate(rest);
  run_plan result = run_planner(rest, control).plan();
  result.skipped = kept.skipped;
  for (run_strategy* strategy :
       {&result.naive, &result.unbalanced, &result.published, &result.planned})
    renumber(*strategy, kept.ids);
  if (result.current) renumber(*result.current, kept.ids);
  return result;
}

}  // namespace detail

OMNIBAL_INLINE evaluated_run evaluate_run(const run_problem& problem,
                                          const grouping<std::uint32_t>& packs,
                                          const dispatch_plan& dispatch, const loads<2>& capacity,
                                          const pipeline_plan& plan,
                                          const search_control& control) {
  validate(problem);
  return detail::run_planner(problem, control).evaluate(packs, dispatch, capacity, plan);
}

OMNIBAL_INLINE pipeline_problem planning_problem(const run_problem& problem,
                                                 const run_strategy& strategy) {
  return detail::run_planner(problem, {}).problem_for(strategy);
}

OMNIBAL_INLINE run_plan plan_run(const run_problem& problem, const search_control& control) {
  validate(problem);
  const schedule_shape schedule{.kind = problem.schedule,
                                .stages = problem.stages,
                                .virtual_stages = problem.virtual_stages,
                                .microbatches = problem.stages};
  validate(schedule);
  if (problem.chain.size() < schedule.total_stages()) {
    run_plan result;
    result.planned.why = {.reason = infeasibility::cause::fewer_layers_than_stages};
    result.naive.why = result.unbalanced.why = result.published.why = result.planned.why;
    return result;
  }
  if (problem.oversize == oversize_policy::skip && problem.capacity)
    return detail::plan_within_capacity(problem, control);
  if (problem.oversize == oversize_policy::reject && problem.capacity)
    detail::refuse_oversize(problem);
  return detail::run_planner(problem, control).plan();
}

}  // namespace omnibal::inline v0
