// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the library returns for a run, as the reports of `omnibal plan` tell it.
#pragma once

#include <cstddef>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/plan_run.hpp>

#include "commands/plan_arguments.hpp"
#include "commands/plan_costs.hpp"
#include "reports/plan_report.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

/// What was planned for.
struct plan_subject {
  const cost_source& costs;
  const calibration& priced;
  const plan_arguments& arguments;
  const std::vector<table_input>& inputs;
  std::size_t samples;
  memory_setup memory;
};

[[nodiscard]] run_setting setting_of(const plan_subject& subject);

/// All but Megatron-LM's arguments, the shapes that were tried and the seconds spent.
[[nodiscard]] run_report report_of(const plan_subject& subject, const run_plan& plan);

[[nodiscard]] megatron_report report_of(const plan_subject& subject, const megatron_layout& layout);

[[nodiscard]] std::vector<shape_trial> trials_of(const std::vector<shape_candidate>& candidates);

[[nodiscard]] repriced_report report_of(const plan_subject& subject, const evaluated_run& run,
                                        double promised_seconds);

}  // namespace omnibal::cli
