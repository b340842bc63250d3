// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal generate` about the table that it wrote.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <omnibal/dataset/length_shape.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

struct column_summary {
  std::string name = {};
  length_summary values = {};
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
