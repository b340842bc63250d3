// SPDX-License-Identifier: Apache-2.0
/// @file
/// The report of `omnibal pack`, for packs made now or before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/core/search_status.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

/// A capacity that the search for one tried.
struct capacity_row {
  std::vector<std::int64_t> capacity = {};  ///< One per resource.
  double samples_per_pack = 0;
  double capacity_ratio = 0;     ///< Capacity that packs take / loads of their samples.
  std::string passed_over = {};  ///< Why it was not chosen; empty for the one that was.
};

struct pack_seconds {
  double read = 0;
  double capacities = 0;
  double pack = 0;
  double dispatch = 0;
};

/// Lists beside `oversize` and `capacities` have one entry per resource.
struct pack_report {
  search_status status = search_status::feasible;
  std::vector<std::string> resources = {};
  std::size_t samples = 0;
  std::optional<std::size_t> drawn = {};  ///< How many samples a mixture drew, if one did.
  std::uint64_t packed = 0;
  std::vector<std::uint32_t> oversize = {};  ///< Samples beyond the capacity.
  std::vector<std::int64_t> capacity = {};
  std::uint64_t packs = 0;
  std::uint64_t bound = 0;
  std::vector<double> fill = {};
  double samples_per_pack = 0;
  std::size_t steps = 0;
  std::size_t dropped = 0;
  std::vector<double> dist_ratio = {};
  double cost_ratio = 1;
  double cost_ratio_bound = 1;
  double full_steps_cost_ratio = 1;
  double window_deviation = 0;
  double pack_cost_variation = 0;
  std::optional<double> group_cost_variation = {};  ///< Where packs are assigned in groups.
  std::vector<capacity_row> capacities = {};        ///< Empty where the capacity was given.
  pack_seconds seconds = {};
};

[[nodiscard]] json to_json(const pack_report& report);

/// Shows the number of oversize samples in place of their ids, and leaves out the capacities tried.
[[nodiscard]] std::string to_text(const pack_report& report);

}  // namespace omnibal::cli
