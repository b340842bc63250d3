// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/detail/kept_samples.hpp>
#include <omnibal/run/detail/run_context.hpp>
#include <omnibal/run/detail/run_planner.hpp>
#include <omnibal/run/detail/skipped_samples.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::inline v0 {

namespace detail {

/// The samples that are in the packs of the current layout or are kept, and not both.
[[nodiscard]] inline std::vector<std::uint32_t> differing_samples(const run_problem& problem,
                                                                  const kept_samples& kept) {
  std::vector<std::uint32_t> differing;
  if (!problem.current || !problem.current->data) return differing;
  const kept_samples packed = samples_in(problem.samples, problem.current->data->packs);
  std::ranges::set_symmetric_difference(packed.ids, kept.ids, std::back_inserter(differing));
  return differing;
}

/// Throws invalid_input unless the packs of the current layout, if it has any, hold the samples
/// kept and no others.
inline void expect_current_of(const run_problem& problem, const kept_samples& kept) {
  const std::vector<std::uint32_t> differing = differing_samples(problem, kept);
  if (differing.empty()) return;
  const std::uint32_t id = differing.front();
  throw invalid_input("current", id,
                      std::ranges::binary_search(kept.ids, id)
                          ? "is a sample of the run and in none of its packs: give a layout "
                            "without packs"
                          : "is a sample that the run skips and in one of its packs: give a layout "
                            "without packs");
}

/// Plans the run of the samples that are not skipped; packs name them by their ids among all.
[[nodiscard]] inline run_result plan_without_skipped(const run_problem& problem,
                                                     const kept_samples& kept,
                                                     const run_options& options) {
  expect_current_of(problem, kept);
  run_problem rest = problem;
  rest.samples = kept.samples;
  if (rest.current && rest.current->data)
    rest.current->data->packs = renumbered(rest.current->data->packs, kept.places());
  validate(rest);
  run_result result = run_planner(rest, options).plan();
  result.skipped = kept.skipped;
  for (run_strategy* strategy :
       {&result.naive, &result.unbalanced, &result.published, &result.planned})
    strategy->data.packing.packs = renumbered(strategy->data.packing.packs, kept.ids);
  if (result.current)
    result.current->data.packing.packs = renumbered(result.current->data.packing.packs, kept.ids);
  return result;
}

/// Plans all samples or, where no plan has memory for them, those for which there is one. Where too
/// few are left for the global batch, memory is what the run lacks. The packs of a current layout
/// are those of the samples that it ends with.
[[nodiscard]] inline run_result plan_within_memory(run_problem problem,
                                                   const run_options& options) {
  problem.oversize = oversize_policy::own_pack;
  const kept_samples whole = all_samples(problem.samples);
  const auto plan_of = [&](const kept_samples& kept) {
    run_problem some = problem;
    if (!differing_samples(problem, kept).empty()) some.current.reset();
    return plan_without_skipped(some, kept, options);
  };
  const auto lacks_memory = [](const run_result& plan) {
    return plan.planned.status == search_status::infeasible &&
           plan.planned.why.reason == infeasibility::cause::memory;
  };
  run_result all = plan_of(whole);
  if (!lacks_memory(all)) {
    expect_current_of(problem, whole);
    return all;
  }
  for (memory_skipper skipper(problem, options); skipper.skip_more();) {
    const kept_samples kept = skipper.kept();
    run_result rest = plan_of(kept);
    if (rest.planned.why.reason == infeasibility::cause::global_batch) return all;
    if (lacks_memory(rest)) continue;
    expect_current_of(problem, kept);
    return rest;
  }
  if (options.control.stop_requested()) {
    all.planned.why = {};
    all.status = search_status::stopped;
    all.limit = search_limit::stop;
  }
  return all;
}

}  // namespace detail

OMNIBAL_INLINE evaluated_run evaluate_run(const run_problem& problem,
                                          const grouping<std::uint32_t>& packs,
                                          const dispatch_plan& dispatch, const loads<2>& capacity,
                                          const pipeline_plan& plan, const run_options& options) {
  validate(problem);
  if (problem.oversize != oversize_policy::skip)
    return detail::run_planner(problem, options).evaluate(packs, dispatch, capacity, plan);
  const detail::kept_samples kept = detail::samples_in(problem.samples, packs);
  run_problem rest = problem;
  rest.samples = kept.samples;
  evaluated_run run =
      detail::run_planner(rest, options)
          .evaluate(detail::renumbered(packs, kept.places()), dispatch, capacity, plan);
  run.strategy.data.packing.packs = packs;
  run.skipped = kept.skipped;
  return run;
}

OMNIBAL_INLINE pipeline_problem planning_problem(const run_problem& problem,
                                                 const run_strategy& strategy) {
  if (problem.oversize != oversize_policy::skip)
    return detail::run_context(problem, {}).problem_for(strategy);
  const detail::kept_samples kept =
      detail::samples_in(problem.samples, strategy.data.packing.packs);
  run_problem rest = problem;
  rest.samples = kept.samples;
  return detail::run_context(rest, {}).problem_for(strategy);
}

OMNIBAL_INLINE run_result plan_run(const run_problem& problem, const run_options& options) {
  validate(problem);
  const schedule_shape schedule{.kind = problem.schedule,
                                .stages = problem.stages,
                                .virtual_stages = problem.virtual_stages,
                                .microbatches = problem.stages};
  validate(schedule);
  if (problem.chain.size() < schedule.total_stages()) {
    run_result result;
    result.planned.why = {.reason = infeasibility::cause::fewer_layers_than_stages};
    result.naive.why = result.unbalanced.why = result.published.why = result.planned.why;
    return result;
  }
  if (problem.oversize == oversize_policy::skip)
    return problem.capacity
               ? detail::plan_without_skipped(problem, detail::samples_within(problem), options)
               : detail::plan_within_memory(problem, options);
  if (problem.oversize == oversize_policy::reject && problem.capacity)
    detail::refuse_oversize(problem);
  if (problem.current && problem.current->data)
    detail::expect_current_of(problem, detail::all_samples(problem.samples));
  return detail::run_planner(problem, options).plan();
}

}  // namespace omnibal::inline v0
