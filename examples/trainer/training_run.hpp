// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a training run is, and what comes of it: of a step, and of a rank at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "data.hpp"
#include "engine.hpp"
#include "held_out.hpp"
#include "model.hpp"
#include "optimizer.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {

/// What a step gave; the same on every rank.
struct step_report {
  std::uint64_t step = 0;
  double loss = 0;                  ///< Mean over the tokens of answers.
  double norm = 0;                  ///< Of the gradients, before clipping.
  std::int64_t time = 0;            ///< Nanoseconds, of the slowest rank.
  double busy = 0;                  ///< Share of the ranks' time that they computed in operations.
  std::vector<step_log> logs = {};  ///< Of all ranks.
};

/// A run, the same on every rank.
struct training_run {
  const model_config& model;
  const training_plan& planned;
  const picture_task& task;
  std::uint64_t seed = 1;  ///< Of the initial weights.
  adamw_options optimizer = {};
  std::uint32_t batch = 24;                ///< Samples per step.
  std::uint32_t held_out = 512;            ///< Questions at the end.
  std::filesystem::path checkpoints = {};  ///< Empty: none are written.
  std::uint64_t checkpoint_every = 50;     ///< Steps; the last step is saved in any case.
  nlohmann::json costs = {};               ///< Stored with them.
  std::filesystem::path resume = {};       ///< The folder of a checkpoint; empty: from the start.
  /// Called on every rank after each step, by its thread.
  std::function<void(std::size_t rank, const step_report&)> after_step = {};
  /// Of so many steps, the last, run_on_threads() and its like keep the logs: those of a long run
  /// need more memory than the training.
  std::size_t kept_logs = 1;
};

/// What a rank ends with; losses and held_out are the same on all.
struct rank_report {
  std::vector<double> losses = {};  ///< One per step, those before a resumption included.
  held_out_result held_out = {};
  std::int64_t peak_saved_bytes = 0;            ///< Of saved activations.
  std::int64_t predicted_peak_saved_bytes = 0;  ///< By the order of the plan and the layers.
  std::int64_t peak_activation_bytes = 0;       ///< Also within operations.
  std::int64_t predicted_peak_activation_bytes = 0;
  std::int64_t peak_message_bytes = 0;
  std::int64_t parameter_bytes = 0;  ///< Weights, gradients and the optimizer's.
  std::int64_t busy = 0;             ///< Nanoseconds computed in operations, over all steps.
  std::int64_t time = 0;             ///< Nanoseconds of all steps.
};

}  // namespace omnibal::trainer
