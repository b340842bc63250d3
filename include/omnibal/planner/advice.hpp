// SPDX-License-Identifier: Apache-2.0
/// @file
/// What would make a problem fit whose plans all overrun memory: for each kind of change the
/// smallest that does, each proven by planning the changed problem.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// A change is left empty where none of its kind helps.
struct fit_advice {
  std::int64_t bytes = 0;                        ///< More on every device.
  std::optional<std::size_t> microbatches = {};  ///< At most so many a step.
  std::optional<std::size_t> stages = {};        ///< At least so many devices.
  /// A layer that needs a mode which keeps nothing and holds its activations while it recomputes.
  std::optional<std::size_t> layer = {};
};

/// Precondition: plan_jointly() found the problem infeasible for memory, and said `why`.
/// A few dozen plans for the bottleneck.
[[nodiscard]] fit_advice advise(const pipeline_problem& problem, const infeasibility& why);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/planner/impl/advice.ipp>
#endif
