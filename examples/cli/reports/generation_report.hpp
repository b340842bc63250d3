// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal generate` about the table that it wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "files/json.hpp"

namespace omnibal::cli {

struct column_summary {
  std::string name = {};
  std::int64_t least = 0;
  double mean = 0;
  std::int64_t most = 0;
};

struct generation_report {
  std::string out = {};
  std::size_t samples = 0;
  std::vector<column_summary> columns = {};
  std::string sha256 = {};
};

[[nodiscard]] json to_json(const generation_report& report);
[[nodiscard]] std::string to_text(const generation_report& report);

}  // namespace omnibal::cli
