// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal rebalance`: the moves, and the Pareto frontier of cost and bytes sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/rebalance/problem.hpp>

#include "files/json.hpp"
#include "reports/search_report.hpp"

namespace omnibal::cli {

struct frontier_row {
  std::int64_t cost = 0;
  double cost_ratio = 1;
  std::int64_t bytes = 0;
  std::size_t moves = 0;
};

/// Ratios are to the mean cost per rank.
struct rebalance_report {
  std::uint32_t ranks = 0;
  std::size_t samples = 0;
  double cost_ratio_before = 1;
  double cost_ratio = 1;
  std::int64_t cost = 0;
  std::int64_t bytes = 0;
  std::int64_t bytes_bound = 0;
  search_outcome outcome = {};
  std::vector<sample_move> moves = {};
  std::vector<frontier_row> frontier = {};
  double seconds = 0;
};

[[nodiscard]] json to_json(const rebalance_report& report);
[[nodiscard]] std::string to_text(const rebalance_report& report);

}  // namespace omnibal::cli
