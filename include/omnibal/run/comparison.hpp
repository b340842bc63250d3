// SPDX-License-Identifier: Apache-2.0
/// @file
/// Strategies for one run side by side: what each does and how long its epoch takes.
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

/// One way to run the epoch. `status` is infeasible where no plan of its kind fits the memory;
/// then only data figures and `why` mean anything.
struct run_strategy {
  search_status status = search_status::infeasible;
  schedule_shape schedule = {};           ///< With the most micro-batches of any rank and step.
  std::optional<loads<2>> capacity = {};  ///< Where samples are packed.
  batch_plan data = {};
  pipeline_plan plan = {};
  epoch_outcome epoch = {};
  /// Nanoseconds of the epoch with micro-batches in the order in which they were dealt.
  std::int64_t time_as_assigned = 0;
  bool fits = true;  ///< Whether its memory stays within the limit.
  infeasibility why = {};

  [[nodiscard]] double epoch_seconds() const noexcept {
    return static_cast<double>(epoch.time) * 1e-9;
  }
  [[nodiscard]] double step_seconds() const noexcept {
    return epoch.steps == 0 ? 0.0 : epoch_seconds() / static_cast<double>(epoch.steps);
  }
};

/// A run planned before, at today's costs.
struct evaluated_run {
  run_strategy column = {};           ///< `fits` says whether its memory does.
  std::int64_t bound_epoch_time = 0;  ///< Nanoseconds.
};

/// A step from unbalanced to planned.
struct ablation_row {
  std::string name;
  bool fits = true;
  std::int64_t epoch_time = 0;  ///< Nanoseconds.
};

struct run_plan {
  run_strategy unbalanced = {};
  run_strategy published = {};
  run_strategy planned = {};
  std::int64_t bound_epoch_time = 0;  ///< Nanoseconds.
  std::vector<ablation_row> ablation = {};
  capacity_search capacities = {};  ///< What the search for capacities saw, where it ran.
};

}  // namespace omnibal::inline v0
