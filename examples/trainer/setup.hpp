// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the first process reads and measures before a run, for all processes: lengths of samples,
/// the checkpoint to go on from, and the costs of the layers.
#pragma once

#include <filesystem>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>

#include "data.hpp"
#include "model.hpp"
#include "options.hpp"
#include "ranks.hpp"

namespace omnibal::trainer {

struct run_setup {
  std::vector<sample_lengths> lengths = {};
  std::filesystem::path resume = {};  ///< The folder of a checkpoint; empty: from the start.
  std::vector<layer_cost> costs = {};
};

/// The model and the task of a run. The lengths outlive the task.
[[nodiscard]] model_config model_of(const program_options& options,
                                    const std::vector<sample_lengths>& lengths);
[[nodiscard]] picture_task task_of(const program_options& options,
                                   const std::vector<sample_lengths>& lengths);

/// Called by all processes. What went wrong on the first is thrown on all of them, as
/// program_error.
[[nodiscard]] run_setup make_setup(const program_options& options, training_ranks& ranks);

}  // namespace omnibal::trainer
