// SPDX-License-Identifier: Apache-2.0
/// @file
/// The search for pack capacities: the tiles and tokens per micro-batch with which the epoch is
/// shortest. Larger packs waste a smaller share of their capacity, but need more activation memory,
/// which costs recomputation, and leave fewer micro-batches to fill the pipeline. plan_run() calls
/// it if no capacity is given.
///
/// Candidates come from the samples alone: the smallest capacities that hold every sample, a grid
/// of multiples of both, and multiples of the mean load. The best of them is refined by steps that
/// become smaller. All of them are compared by one plan each, the best by all plans that a run
/// considers, simulated on a random part of the samples if there are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>

namespace omnibal::inline v0 {

/// How carefully a capacity is planned: by one plan and a short search for the order of
/// micro-batches, which takes longer than necessary but distinguishes good capacities from bad
/// ones, or by all plans that a run considers.
enum class capacity_effort { one_plan, all_plans };

/// The result of planning with a capacity.
struct capacity_outcome {
  bool fits = false;
  double time_per_sample = 0;   ///< Seconds of the epoch per sample.
  double samples_per_step = 0;  ///< Of full steps.
  double packs_over_bound = 1;  ///< Packs over their lower bound; 1 if proven fewest.
  std::uint64_t packs = 0;
};

/// A capacity that was tried.
struct capacity_candidate {
  loads<2> capacity = {};
  /// Capacity of all packs over the load of their samples, millionths: the mean over the resources
  /// of which any sample has load; 1,000,000 if no capacity is wasted.
  std::int64_t capacity_ratio = 0;
  capacity_effort effort = capacity_effort::one_plan;
  capacity_outcome outcome = {};
  std::string passed_over = {};  ///< Why it was not chosen; empty for the best.
};

/// The capacity chosen and all candidates, ascending.
struct capacity_search_result {
  search_status status = search_status::infeasible;  ///< Infeasible if no candidate fits.
  search_limit limit = search_limit::none;
  double objective = 0;  ///< Seconds per sample of the best; 0 if none fits.
  double bound = 0;      ///< Proven lower bound on it, from capacity_problem::bound.
  loads<2> best = {};
  std::vector<capacity_candidate> candidates = {};
};

/// What capacities are searched for.
struct capacity_problem {
  std::span<const loads<2>> samples = {};  ///< Tiles and tokens.
  std::span<const loads<2>> covered = {};  ///< Those that every capacity must hold; all if empty.
  /// Plans with a capacity on a part of the samples.
  std::function<capacity_outcome(const loads<2>&, std::span<const loads<2>>, capacity_effort)>
      evaluate = {};
  /// A proven lower bound on the seconds per sample of that part, whatever the capacity; 0 if
  /// empty.
  std::function<double(std::span<const loads<2>>)> bound = {};
  std::int64_t global_batch = 1;  ///< Samples per step, on average.
  double batch_tolerance = 0.1;   ///< The share by which that average may differ from it.
};

/// Limits and control of the search.
struct capacity_search_options {
  std::uint64_t seed = 0;             ///< Of the part of the samples.
  std::size_t sample_limit = 12'000;  ///< Samples on which candidates are compared.
  std::size_t most_tried = 100;       ///< Candidates planned by one plan.
  std::size_t most_planned = 12;      ///< Candidates planned by all plans.
  /// The best time per sample known: where no first candidate comes within a tenth of it, the
  /// search ends.
  std::optional<double> known_time = {};
  search_control control = {};
};

/// Chooses the candidate of least time per sample among those that fit and stay within the
/// tolerance of the global batch; if there is none, the one of least time that fits; if none fits,
/// the smallest. Larger capacities may fit where smaller ones do not, since a step of fewer
/// micro-batches has fewer of them in flight: where no candidate fits, larger ones are tried up to
/// those that hold all samples. When asked to stop, it ends as soon as a candidate fits, or after
/// nine of them. At most `most_tried` calls of `evaluate` with one plan, at most `most_planned`
/// with all.
[[nodiscard]] capacity_search_result search_capacity(const capacity_problem& problem,
                                                     const capacity_search_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/run/impl/capacity_search.ipp>
#endif
