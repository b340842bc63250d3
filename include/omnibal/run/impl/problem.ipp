// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/problem.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE void validate(const run_problem& problem) {
  if (problem.samples.empty())
    throw invalid_input("samples", "nothing", "a run needs at least one sample");
  if (problem.data_parallel == 0 || problem.data_parallel > (std::size_t{1} << 20))
    throw invalid_input("data_parallel", problem.data_parallel, "must be between 1 and 2^20");
  if (problem.global_batch < 1)
    throw invalid_input("global_batch", problem.global_batch, "must be at least 1");
  if (!(problem.batch_tolerance >= 0 && problem.batch_tolerance <= 1))
    throw invalid_input("batch_tolerance", std::to_string(problem.batch_tolerance),
                        "must be between 0 and 1");
  if (problem.memory.limit <= problem.memory.reserved)
    throw invalid_input(
        "memory.limit", problem.memory.limit,
        "must be more than memory.reserved, " + std::to_string(problem.memory.reserved));
}

}  // namespace omnibal::inline v0
