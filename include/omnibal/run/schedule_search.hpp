// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for the pipeline schedule: every schedule that a trainer can run, the interleaved one
/// with several numbers of virtual stages, is planned with its own memory on a part of the samples.
///
///     const auto ranked = omnibal::rank_schedules({.run = problem, .most_virtual_stages = 4});
///     if (ranked.has_plan()) problem.schedule = ranked.candidates.front().schedule;
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/run/candidate_ranking.hpp>
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
};

struct schedule_search_options {
  std::size_t sample_limit = 1024;  ///< Random samples that each schedule is planned on.
  run_options plans = {};           ///< A stop request ends the search as soon as one fits.
  /// A request ends it also where none fits, once the first few were tried.
  std::stop_token give_up = {};
};

/// A schedule that was tried.
struct schedule_candidate {
  any_schedule schedule = {};
  std::size_t virtual_stages = 1;
  bool fits = false;
  double time_per_sample = 0;    ///< Seconds, on the part of the samples.
  double bound = 0;              ///< Proven lower bound on it; 0 if it was not planned.
  std::int64_t bytes_short = 0;  ///< Bytes missing on a device if it does not fit.
  std::string passed_over = {};  ///< Why it cannot be used, if so.
};

using schedule_search_result = candidate_ranking<schedule_candidate>;

/// All schedules allowed, with every number of virtual stages that they and the layers allow, at
/// least 2 where there may be any: first those that fit, by rising time, then those that do not
/// fit, by rising bytes_short, then those that cannot run. Each is planned on at most
/// `sample_limit` random samples, at the run's capacity or, if there is none, at the faster of the
/// paper's capacity and the largest sample; those within 5 % of the fastest then as a run is.
/// Throws invalid_input if no schedule is allowed.
[[nodiscard]] schedule_search_result rank_schedules(const schedule_problem& problem,
                                                    const schedule_search_options& options = {});

/// Makes the bound of a planned run one for any of the schedules tried. O(samples · stages).
void extend_bound(run_result& plan, const run_problem& problem,
                  std::span<const schedule_candidate> tried);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/schedule_search.ipp>
#endif
