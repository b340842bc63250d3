// SPDX-License-Identifier: Apache-2.0
/// @file
/// Constraints on the stages of a run: --together and --vision-stages of `omnibal plan`.
#pragma once

#include <cstddef>
#include <optional>

#include <omnibal/run/problem.hpp>

#include "commands/plan_arguments.hpp"

namespace omnibal::cli {

/// Adds the constraints for the layers of the problem's chain. Throws invalid_input where the chain
/// has no such layers.
void add_constraints(run_problem& problem, const plan_arguments& arguments);

/// The number of vision stages nearest to the one asked for, of nearest ones the least, with which
/// there is a partition that keeps the other constraints. Precondition: the problem has those of
/// the arguments.
[[nodiscard]] std::optional<std::size_t> nearest_vision_stages(const run_problem& problem,
                                                               const plan_arguments& arguments);

}  // namespace omnibal::cli
