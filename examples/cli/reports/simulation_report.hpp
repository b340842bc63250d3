// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal simulate` about a schedule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "files/json.hpp"

namespace omnibal::cli {

struct simulation_report {
  std::int64_t makespan = 0;
  double bubble_ratio = 0;
  // Per device:
  std::vector<std::int64_t> busy = {};
  std::vector<std::int64_t> peak_activation = {};
  std::vector<std::size_t> peak_in_flight = {};
};

[[nodiscard]] json to_json(const simulation_report& report);
[[nodiscard]] std::string to_text(const simulation_report& report);

}  // namespace omnibal::cli
