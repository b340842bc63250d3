// SPDX-License-Identifier: Apache-2.0
/// @file
/// Strategies for the same run compared: naive, unbalanced, the paper baseline and the planned one,
/// with their data, plans and epoch times, and the ablation from unbalanced to planned. Result
/// types of plan_run().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/run/capacity_search.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/microbatches.hpp>

namespace omnibal::inline v0 {

/// A way to run the epoch. If no plan of its kind fits the memory, `status` is infeasible and only
/// `data` and `why` are set.
struct run_strategy {
  search_status status = search_status::infeasible;
  schedule_shape schedule = {};           ///< With the largest number of micro-batches per rank.
  std::optional<loads<2>> capacity = {};  ///< If samples are packed.
  batch_plan data = {};
  pipeline_plan plan = {};
  epoch_outcome epoch = {};
  /// Nanoseconds of the epoch with micro-batches in the order of their assignment, before the order
  /// search.
  std::int64_t time_as_assigned = 0;
  bool fits = true;               ///< Whether its memory stays within the limit.
  bool keeps_constraints = true;  ///< `together`, `apart` and `fixed_cuts` of the problem.
  infeasibility why = {};

  [[nodiscard]] double epoch_seconds() const noexcept {
    return static_cast<double>(epoch.time) * 1e-9;
  }
  [[nodiscard]] double step_seconds() const noexcept {
    return epoch.steps == 0 ? 0.0 : epoch_seconds() / static_cast<double>(epoch.steps);
  }
};

/// An existing plan of a run, evaluated at the costs of a problem.
struct evaluated_run {
  run_strategy strategy = {};  ///< `fits`: whether its memory stays within the limit.
  std::int64_t bound = 0;      ///< Nanoseconds, a lower bound for any plan.
  /// Samples in no pack, under oversize_policy::skip.
  std::vector<std::uint32_t> skipped = {};
};

/// One row of the ablation from unbalanced to planned.
struct ablation_row {
  std::string name;
  bool fits = true;
  bool keeps_constraints = true;  ///< As of a strategy.
  std::int64_t epoch_time = 0;    ///< Nanoseconds.
};

/// The result of plan_run().
struct run_result {
  /// Of the planned strategy: optimal if its epoch takes as long as the bound says, infeasible if
  /// there is none, stopped if options.control ended the search.
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;
  std::int64_t objective = 0;  ///< Nanoseconds of the planned epoch; 0 if infeasible.
  std::int64_t bound = 0;      ///< Nanoseconds, a proven lower bound for any plan.
  /// The part of the bound in which devices wait for the first micro-batch of a step to come down
  /// and for the last one to go back, under any schedule.
  std::int64_t bound_fill_and_drain = 0;
  run_strategy naive = {};  ///< Infeasible if there are fewer language layers than stages.
  run_strategy unbalanced = {};
  run_strategy published = {};               ///< The paper baseline (OmniBal).
  std::optional<run_strategy> current = {};  ///< If the problem has a current layout.
  run_strategy planned = {};
  std::vector<ablation_row> ablation = {};
  capacity_search_result capacities = {};  ///< The capacities tried, if they were searched for.
  /// Samples in no pack of any strategy, under oversize_policy::skip.
  std::vector<std::uint32_t> skipped = {};
};

}  // namespace omnibal::inline v0
