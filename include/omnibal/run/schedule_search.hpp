// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for the pipeline schedule: every schedule that a trainer can run, the interleaved one
/// with several numbers of virtual stages, is planned with its own memory on a part of the samples.
///
///     const auto ranked = omnibal::rank_schedules({.run = problem, .most_virtual_stages = 4});
///     if (ranked.front().fits) problem.schedule = ranked.front().schedule;
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

/// The run to choose a schedule for.
struct schedule_problem {
  run_problem run = {};  ///< Its schedule and virtual_stages are those tried.
  std::vector<any_schedule> allowed = {schedules::one_forward_one_backward{},
                                       schedules::interleaved{}, schedules::zero_bubble_h1{},
                                       schedules::zero_bubble_v{}};
  std::size_t most_virtual_stages = 4;  ///< Of schedules with any number of them.
  std::size_t sample_limit = 1024;
};

/// A schedule that was tried.
struct schedule_candidate {
  any_schedule schedule = {};
  std::size_t virtual_stages = 1;
  bool fits = false;
  double time_per_sample = 0;    ///< Seconds, on the part of the samples.
  std::int64_t bytes_short = 0;  ///< Bytes missing on a device if it does not fit.
  std::string passed_over = {};  ///< Why it cannot be used, if so.
};

/// All schedules allowed, with every number of virtual stages that they and the layers allow, at
/// least 2 where there may be any: first those that fit, by rising time, then those that do not
/// fit, by rising bytes_short, then those that cannot run. Each is planned on at most
/// `sample_limit` random samples, at the run's capacity or, if there is none, at the faster of the
/// paper's capacity and the largest sample. When asked to stop, it ends as soon as one fits. Throws
/// invalid_input if no schedule is allowed.
[[nodiscard]] std::vector<schedule_candidate> rank_schedules(const schedule_problem& problem,
                                                             const search_control& control = {});

/// Makes the bound of a planned run one for any of the schedules tried. O(samples · stages).
void extend_bound(run_plan& plan, const run_problem& problem,
                  std::span<const schedule_candidate> tried);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/schedule_search.ipp>
#endif
