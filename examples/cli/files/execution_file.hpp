// SPDX-License-Identifier: Apache-2.0
/// @file
/// execution.json: an execution plan (run/execution_plan.hpp), and measured durations of its items.
/// docs/execution.md describes both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/run/execution_plan.hpp>

#include "tables/tables.hpp"

namespace omnibal::cli {

/// The bytes of the file: the same for the same plan. `inputs` are the tables that samples are
/// numbered in, one after the other.
[[nodiscard]] std::string to_text(const execution_plan& plan,
                                  const std::vector<table_input>& inputs);

/// Reads the file that an option named. Throws invalid_input where it is broken, was changed since
/// it was written, is of another version, or its plan is not valid.
[[nodiscard]] execution_plan read_execution_file(const char* source, const std::string& path);

/// Measured durations of a step: per rank and item, in nanoseconds.
struct measured_step {
  std::size_t step = 0;
  std::vector<std::vector<std::int64_t>> durations = {};
};

/// Reads measured durations, in the form of docs/execution.md or as Chrome trace events. Throws
/// invalid_input where the file is broken, and naming rank and item where a duration is missing or
/// given twice.
[[nodiscard]] std::vector<measured_step> read_measured_file(const std::string& path,
                                                            const execution_plan& plan);

}  // namespace omnibal::cli
