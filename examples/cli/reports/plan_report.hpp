// SPDX-License-Identifier: Apache-2.0
/// @file
/// What `omnibal plan` says of a whole run, as JSON, and the file a trainer reads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/run/plan_run.hpp>

#include "commands/plan_arguments.hpp"
#include "commands/plan_costs.hpp"
#include "files/json.hpp"
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

/// The comparison: unbalanced, published, planned, bound, speedup, ablation, assumptions.
[[nodiscard]] json run_report(const plan_subject& subject, const run_plan& plan);

/// The planned layers as arguments of Megatron-LM, with what these cannot say. Precondition: a plan
/// was found.
[[nodiscard]] json megatron_report(const plan_subject& subject, const megatron_layout& layout);

/// A plan made before, at today's costs, beside what was promised for it.
[[nodiscard]] json repriced_report(const plan_subject& subject, const repriced_run& run,
                                   double promised_seconds);

/// The bytes of plan.json: packs.json (packs_file.hpp) with cuts, layers and modes by name, and
/// what was planned for, and Megatron-LM's arguments. Precondition: a plan was found.
[[nodiscard]] std::string plan_text(const plan_subject& subject, const run_plan& plan,
                                    const json& megatron);

}  // namespace omnibal::cli
