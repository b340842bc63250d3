// SPDX-License-Identifier: Apache-2.0
/// @file
/// plan.json: packs.json (files/packs_file.hpp) with cuts, layers and modes by name, the setting of
/// the run, and Megatron-LM's arguments.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/problem.hpp>

#include "files/packs_file.hpp"
#include "reports/plan_report.hpp"

namespace omnibal::cli {

/// What a plan file holds beside its packs.
struct earlier_plan {
  pipeline_plan plan = {};
  std::optional<double> epoch_seconds = {};  ///< Expected when it was made.
  std::vector<std::uint32_t> skipped = {};   ///< Samples in no pack.
};

/// Reads what plan.json at `path` holds, which must be for the cluster and the layers of this run:
/// throws invalid_input where it is not. Does not read the packs.
[[nodiscard]] earlier_plan read_plan(const json& content, const std::string& path,
                                     const run_setting& setting,
                                     const std::vector<layer_cost>& chain);

/// Reads the division of the devices in plan.json. Throws invalid_input where it has none.
[[nodiscard]] cluster_shape read_shape(const json& content, const std::string& path);

/// Reads the layout in plan.json, with its packs if it has any; the schedule and the virtual stages
/// are those of the file. Throws invalid_input as read_plan() does.
[[nodiscard]] current_layout read_layout(const json& content, const std::string& path,
                                         run_setting setting, const std::vector<layer_cost>& chain,
                                         const length_tables& tables);

/// The bytes of plan.json. Precondition: the report is that of this plan.
[[nodiscard]] std::string plan_file_text(const run_report& report, std::int64_t seed,
                                         const std::vector<layer_cost>& chain,
                                         const pipeline_plan& plan, const packs_file& packs);

}  // namespace omnibal::cli
