// SPDX-License-Identifier: Apache-2.0
/// @file
/// Results of the library for a run, turned into the reports of `omnibal plan`.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/schedule_search.hpp>

#include "commands/plan_arguments.hpp"
#include "commands/plan_costs.hpp"
#include "reports/plan_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// The run that is planned.
struct plan_subject {
  const cost_source& costs;
  const chain_costs& calibrated;
  const plan_arguments& arguments;
  const std::vector<table_input>& inputs;
  std::size_t samples;
  memory_setup memory;
  std::optional<std::size_t> nearest_vision_stages = {};  ///< That have a partition.
};

[[nodiscard]] run_setting setting_of(const plan_subject& subject);

/// The report but for Megatron-LM's arguments, the cluster shapes tried and the seconds spent.
[[nodiscard]] run_report report_of(const plan_subject& subject, const run_result& plan);

[[nodiscard]] megatron_report report_of(const plan_subject& subject, const megatron_layout& layout);

[[nodiscard]] std::vector<shape_trial> trials_of(const std::vector<shape_candidate>& candidates);

[[nodiscard]] std::vector<schedule_trial> trials_of(
    const std::vector<schedule_candidate>& candidates);

[[nodiscard]] evaluation_report report_of(const plan_subject& subject, const evaluated_run& run,
                                          double promised_seconds);

}  // namespace omnibal::cli
