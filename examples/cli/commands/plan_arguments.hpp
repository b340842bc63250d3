// SPDX-License-Identifier: Apache-2.0
/// @file
/// The options of `omnibal plan`, and its two uses: a run on real length tables, and a planning
/// problem of plain numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/layer_binding.hpp>

#include "commands/commands.hpp"
#include "reports/search_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

struct plan_arguments {
  table_options tables = {};
  std::string problem = {};
  std::string model = {};
  std::string device = "a100";
  std::int64_t data_parallel = 0;
  std::int64_t pipeline_parallel = 0;
  std::int64_t tensor_parallel = 0;   ///< 0 where not given, as with the two above.
  std::int64_t devices_per_node = 0;  ///< 0 where not given: those of the device.
  std::int64_t devices = 0;           ///< To be divided into a shape; 0 where the shape is given.
  std::int64_t memory = 0;
  std::int64_t reserve = std::int64_t{6} << 30;
  std::optional<double> margin = {};  ///< Absent: that of the profile, or 0.
  std::string profile = {};
  double batch_tolerance = 0.1;
  std::int64_t global_batch = 0;
  any_schedule schedule = {};
  bool search_schedule = false;          ///< In place of `schedule`.
  std::vector<any_schedule> allow = {};  ///< Those searched; empty if not given.
  std::int64_t virtual_stages = 0;       ///< 0, if not given, becomes the least of the schedule.
  std::string capacity = "auto";
  oversize_policy oversize = oversize_policy::own_pack;
  std::vector<std::string> together = {};  ///< Of each option: kinds or ranges of layers.
  std::int64_t vision_stages = 0;          ///< 0 where not given.
  std::string current = {};
  frozen_part freeze = frozen_part::none;
  std::optional<weight_gradient_recompute> recompute_for_w = {};  ///< Absent: once.
  step_overlap overlap = {};
  bool shard_optimizer = false;
  bool sequence_parallel = false;
  std::int64_t optimizer_bytes = 12;
  std::optional<std::string> objective = {};
  std::optional<std::string> alpha = {};
  bool published = false;
  std::optional<double> time_limit = {};
  std::string evaluate = {};
  std::int64_t seed = 1024;
  std::string report = {};
  std::string out = {};
  std::string execution = {};
  order_source execution_order = order_source::exact;
  std::string labels = {};  ///< The column of tokens that count in the loss; empty if none.

  [[nodiscard]] weight_gradient_recompute recomputation_for_w() const {
    return recompute_for_w.value_or(weight_gradient_recompute::once);
  }
  /// Whether layers hold what they recompute until W.
  [[nodiscard]] bool holds_until_w() const {
    return schedule.capabilities().splits_backward &&
           recomputation_for_w() == weight_gradient_recompute::once;
  }
  [[nodiscard]] const char* recomputation_word() const {
    return recomputation_for_w() == weight_gradient_recompute::once ? "once" : "twice";
  }
};

/// `omnibal plan --lengths ...`: the whole chain on real lengths.
[[nodiscard]] exit_status plan_tables(const command_context& context,
                                      const plan_arguments& arguments);

/// `omnibal plan --problem ...`: cuts and modes for a problem of plain numbers.
[[nodiscard]] exit_status plan_problem(const command_context& context,
                                       const plan_arguments& arguments);

/// What a search without a plan reports: infeasible where that none exists is proven.
[[nodiscard]] no_answer describe_lack(const infeasibility& why, std::string suggestion);

/// What a person can do about layers that do not make so many stages.
[[nodiscard]] std::string suggestion(const infeasibility& why);

/// What a person can do about a run that has no plan, for so many samples, of which some are
/// skipped.
[[nodiscard]] std::string suggestion(const infeasibility& why, const plan_arguments& arguments,
                                     std::size_t samples, std::size_t skipped);

}  // namespace omnibal::cli
