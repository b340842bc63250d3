// SPDX-License-Identifier: Apache-2.0
/// @file
/// Checkpoints of a run: the ranks of the first replica write their layers, rank 0 the rest; any
/// rank of any cut goes on from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "checkpoint.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "optimizer.hpp"
#include "training_run.hpp"

namespace omnibal::trainer {

/// How far a run has come.
struct run_progress {
  std::uint64_t steps = 0;
  std::vector<double> losses = {};  ///< One per step.
};

/// Returns when all ranks have called it.
template <tensor_channel Channel>
void meet(Channel& world);

/// Writes a checkpoint in run.checkpoints. Called by all ranks, with all stages by number: those of
/// other ranks are null.
template <tensor_channel Channel>
void save_checkpoint(Channel& world, const training_run& run, const run_progress& progress,
                     std::span<model_stage<float>* const> stages,
                     sharded_adamw<Channel>& optimizer);

/// Gives the rank's stages and its optimizer what the checkpoint run.resume has. Frozen layers stay
/// those of the initial weights. Throws checkpoint_error for one that cannot be read and
/// invalid_input for one of another run.
template <tensor_channel Channel>
[[nodiscard]] run_progress resume_checkpoint(const training_run& run,
                                             std::span<model_stage<float>* const> stages,
                                             sharded_adamw<Channel>& optimizer);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// Layers that are not trained, with moments of 0: a checkpoint has the whole model.
[[nodiscard]] inline std::vector<layer_state> frozen_states(model_stage<float>& stage) {
  std::vector<layer_state> states;
  for (const auto& each : stage.parameters()) {
    if (!each.gradient.empty()) continue;
    if (states.empty() || states.back().layer != each.layer)
      states.push_back({.layer = each.layer});
    std::vector<float>& values = states.back().values;
    values.insert(values.end(), each.value.begin(), each.value.end());
  }
  for (layer_state& state : states) {
    state.first_moments.resize(state.values.size());
    state.second_moments.resize(state.values.size());
  }
  return states;
}

/// Throws unless the checkpoint is one of this run.
inline void require_same_run(const run_position& position, const training_run& run) {
  require_same("model", position.model, run.model.shape.id);
  require_same("seed", std::to_string(position.seed), std::to_string(run.seed));
  if (const std::size_t steps = run.planned.plan.steps(); position.steps > steps)
    throw invalid_input("steps of the checkpoint", position.steps,
                        "this run has fewer, " + std::to_string(steps));
  require_same("batch", std::to_string(position.batch), std::to_string(run.batch));
  require_same("precision", position.precision, std::string(name_of(run.model.numbers)));
  require_same("frozen layers", position.frozen, std::string(to_string(run.model.frozen)));
  if (position.task != fingerprint(run.task.options()))
    throw checkpoint_error(run.resume, "has learned another task: --blind or --lengths differ");
}

}  // namespace detail

template <tensor_channel Channel>
void meet(Channel& world) {
  std::vector<double> token = {0};
  world.all_reduce(view_of(token), reduction::sum).wait();
}

template <tensor_channel Channel>
void save_checkpoint(Channel& world, const training_run& run, const run_progress& progress,
                     std::span<model_stage<float>* const> stages,
                     sharded_adamw<Channel>& optimizer) {
  if (world.rank() == 0) begin_checkpoint(run.checkpoints, progress.steps);
  meet(world);
  const std::filesystem::path folder = writing_folder(run.checkpoints, progress.steps);
  for (std::uint32_t j = 0; j < stages.size(); ++j) {
    if (stages[j] == nullptr) continue;
    for (const auto& states : {optimizer.states(j), detail::frozen_states(*stages[j])})
      for (const layer_state& state : states)
        if (world.rank() < run.planned.plan.devices) write_layer(folder, state);
  }
  meet(world);
  if (world.rank() == 0)
    finish_checkpoint(run.checkpoints, folder,
                      {.model = run.model.shape.id,
                       .seed = run.seed,
                       .task = fingerprint(run.task.options()),
                       .frozen = std::string(to_string(run.model.frozen)),
                       .precision = std::string(name_of(run.model.numbers)),
                       .batch = run.batch,
                       .steps = progress.steps,
                       .updates = optimizer.updates(),
                       .layers = run.planned.plan.layers.size(),
                       .losses = progress.losses,
                       .costs = run.costs});
}

template <tensor_channel Channel>
run_progress resume_checkpoint(const training_run& run, std::span<model_stage<float>* const> stages,
                               sharded_adamw<Channel>& optimizer) {
  const run_position position = read_position(run.resume);
  detail::require_same_run(position, run);
  const std::vector<gradient_needs> needs = gradients_of(run.model);
  for (std::uint32_t j = 0; j < stages.size(); ++j) {
    if (stages[j] == nullptr) continue;
    const execution_stage& planned = run.planned.plan.stages[j];
    std::vector<layer_state> states;
    for (std::uint32_t l = planned.first_layer; l < planned.end_layer; ++l)
      if (needs[l].of_weights) states.push_back(read_layer(run.resume, l));
    optimizer.restore(j, states);
  }
  optimizer.restore_updates(position.updates);
  return {.steps = position.steps, .losses = position.losses};
}

}  // namespace omnibal::trainer
