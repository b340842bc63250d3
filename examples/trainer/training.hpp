// SPDX-License-Identifier: Apache-2.0
/// @file
/// The training loop of a rank: micro-batches of the step, the engine, the loss of all ranks, a
/// checkpoint now and then; at the end the questions that were held out.
///
///     run_as_ranks(plan.ranks(), [&](thread_communicator& ranks) {
///       thread_channel world = open_thread_channel(ranks);
///       const rank_report mine = train_rank(world, run);
///     });
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "batch.hpp"
#include "checkpoint.hpp"
#include "data.hpp"
#include "engine.hpp"
#include "gathered_logs.hpp"
#include "held_out.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "optimizer.hpp"
#include "training_plan.hpp"

namespace omnibal::trainer {

// ---- what is run, and what comes of it ---------------------------------------------------------

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
  std::int64_t peak_message_bytes = 0;
  std::int64_t parameter_bytes = 0;  ///< Weights, gradients and the optimizer's.
  std::int64_t busy = 0;             ///< Nanoseconds computed in operations, over all steps.
  std::int64_t time = 0;             ///< Nanoseconds of all steps.
};

/// Trains from the first step, or from that of the checkpoint, to the last of the plan. Called by
/// all ranks of the plan. Throws step_failure where this rank fails and communication_error where
/// another one does, checkpoint_error for a checkpoint that cannot be read, and invalid_input for
/// one of another run.
template <tensor_channel Channel>
[[nodiscard]] rank_report train_rank(Channel& world, const training_run& run);

/// The most that the stages of a rank save at a time, in the order of the items of a step.
/// `stages` as for the engine.
[[nodiscard]] std::int64_t predicted_peak_saved(const execution_plan& plan, std::size_t step,
                                                std::size_t rank,
                                                std::span<model_stage<float>* const> stages);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// 1 / (tokens of the step that count in the loss, over all replicas).
[[nodiscard]] inline float loss_weight(const execution_plan& plan, std::size_t step) {
  std::int64_t tokens = 0;
  for (std::size_t r = 0; r < plan.replicas; ++r)
    for (const std::uint32_t pack : plan.assignment[step * plan.replicas + r])
      tokens += plan.label_tokens[pack];
  return 1.0F / static_cast<float>(tokens);
}

template <tensor_channel Channel>
class rank_trainer {
 public:
  rank_trainer(Channel& world, const training_run& run)
      : world_(world),
        run_(run),
        plan_(run.planned.plan),
        replicas_(*world.split(static_cast<int>(world.rank() % plan_.devices), 0)),
        stages_(make_stages()),
        optimizer_(world, replicas_, views(), plan_.layers.size(), run.optimizer),
        engine_(plan_, world, stages_) {}

  [[nodiscard]] rank_report train() {
    const std::uint64_t first = run_.resume.empty() ? 0 : resume();
    for (std::uint64_t step = first; step < plan_.steps(); ++step) {
      run_step(step);
      const bool last = step + 1 == plan_.steps();
      if (!run_.checkpoints.empty() && (last || (step + 1) % run_.checkpoint_every == 0))
        at(step, "checkpoint", [&] { save(step + 1); });
    }
    at(plan_.steps(), "held-out questions", [&] {
      report_.held_out = ask_held_out(world_, plan_, std::span<model_stage<float>* const>(stages_),
                                      run_.task, {.samples = run_.held_out, .batch = run_.batch});
    });
    report_.parameter_bytes = optimizer_.bytes_held();
    for_own_stages(
        [&](std::uint32_t j) { report_.parameter_bytes += stages_[j]->parameter_bytes(); });
    return std::move(report_);
  }

 private:
  // ---- set-up ----

  [[nodiscard]] std::vector<model_stage<float>*> make_stages() {
    std::vector<model_stage<float>*> stages(plan_.stages.size());
    for (std::size_t j = 0; j < stages.size(); ++j) {
      if (plan_.stages[j].device != world_.rank() % plan_.devices) continue;
      owned_.push_back(
          std::make_unique<model_stage<float>>(run_.model, layout_of(plan_, j, run_.seed)));
      stages[j] = owned_.back().get();
    }
    return stages;
  }

  [[nodiscard]] std::vector<std::vector<parameter_view>> views() {
    std::vector<std::vector<parameter_view>> all(stages_.size());
    for_own_stages([&](std::uint32_t j) { all[j] = views_of(*stages_[j]); });
    return all;
  }

  template <typename Body>
  void for_own_stages(const Body& body) const {
    for (std::uint32_t j = 0; j < stages_.size(); ++j)
      if (stages_[j] != nullptr) body(j);
  }

  // ---- a step ----

  void run_step(std::uint64_t step) {
    begin_step(microbatches_of(step));
    const step_log log = engine_(step, optimizer_);
    note(step, log);
    step_report report{.step = step, .norm = optimizer_.norm()};
    at(step, "loss of the step", [&] { report.loss = loss_over_ranks(); });
    report_.losses.push_back(report.loss);
    if (!run_.after_step) return;
    at(step, "logs of the step", [&] { report.logs = gathered_logs(world_, plan_, step, log); });
    complete(report);
    run_.after_step(world_.rank(), report);
    at(step, "end of the step", [&] { meet(); });  // what one rank reports, others do not wait for
  }

  static void complete(step_report& report) {
    double busy = 0;
    double time = 0;
    for (const step_log& log : report.logs) {
      report.time = std::max(report.time, log.step.duration());
      busy += static_cast<double>(log.busy());
      time += static_cast<double>(log.step.duration());
    }
    report.busy = busy / time;
  }

  [[nodiscard]] std::vector<microbatch> microbatches_of(std::uint64_t step) const {
    const float weight = loss_weight(plan_, step);
    std::vector<microbatch> batches;
    for (const std::uint32_t pack :
         plan_.assignment[step * plan_.replicas + world_.rank() / plan_.devices])
      batches.push_back(
          make_microbatch(run_.task, plan_.packs[pack], weight, run_.planned.padded_tokens));
    return batches;
  }

  void begin_step(const std::vector<microbatch>& batches) {
    microbatches_ = batches.size();
    for_own_stages([&](std::uint32_t j) { stages_[j]->begin_step(batches); });
  }

  void note(std::uint64_t step, const step_log& log) {
    report_.peak_saved_bytes = std::max(report_.peak_saved_bytes, log.peak_saved_bytes);
    report_.predicted_peak_saved_bytes =
        std::max(report_.predicted_peak_saved_bytes,
                 predicted_peak_saved(plan_, step, world_.rank(), stages_));
    report_.peak_activation_bytes = std::max(report_.peak_activation_bytes, log.peak_bytes);
    report_.peak_message_bytes = std::max(report_.peak_message_bytes, log.peak_message_bytes);
    report_.busy += log.busy();
    report_.time += log.step.duration();
  }

  [[nodiscard]] double loss_over_ranks() {
    std::vector<double> loss = {own_loss()};
    world_.all_reduce(view_of(loss), reduction::sum).wait();
    return loss[0];
  }

  /// Of this rank's micro-batches, where it has the last stage.
  [[nodiscard]] double own_loss() const {
    double loss = 0;
    for (std::size_t m = 0; m < microbatches_ && stages_.back() != nullptr; ++m)
      loss += stages_.back()->result(m).loss;
    return loss;
  }

  /// What ranks do together beside the items of the plan: where it fails, the error says so.
  template <typename Body>
  void at(std::uint64_t step, std::string_view place, const Body& body) {
    try {
      body();
    } catch (const communication_error& error) {
      throw step_interruption(world_.rank(), step, place, error);
    }
  }

  // ---- checkpoints ----

  /// Rank 0 makes and finishes the folder, the ranks of the first replica write their layers.
  void save(std::uint64_t steps) {
    std::filesystem::path folder;
    if (world_.rank() == 0) folder = begin_checkpoint(run_.checkpoints, steps);
    meet();
    folder = writing_folder(run_.checkpoints, steps);
    for_own_stages([&](std::uint32_t j) {
      for (const auto& states : {optimizer_.states(j), frozen_states(*stages_[j])})
        for (const layer_state& state : states)
          if (world_.rank() < plan_.devices) write_layer(folder, state);
    });
    meet();
    if (world_.rank() == 0)
      finish_checkpoint(run_.checkpoints, folder,
                        {.model = run_.model.shape.id,
                         .seed = run_.seed,
                         .task = fingerprint(run_.task.options()),
                         .frozen = std::string(to_string(run_.model.frozen)),
                         .precision = std::string(name_of(run_.model.numbers)),
                         .batch = run_.batch,
                         .steps = steps,
                         .updates = optimizer_.updates(),
                         .layers = plan_.layers.size(),
                         .losses = report_.losses,
                         .costs = run_.costs});
  }

  /// Layers that are not trained, with moments of 0: a checkpoint has the whole model.
  [[nodiscard]] static std::vector<layer_state> frozen_states(model_stage<float>& stage) {
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

  /// Returns the first step to run. Frozen layers are those of the initial weights.
  [[nodiscard]] std::uint64_t resume() {
    const run_position position = read_position(run_.resume);
    require_same("model", position.model, run_.model.shape.id);
    require_same("seed", std::to_string(position.seed), std::to_string(run_.seed));
    if (position.steps > plan_.steps())
      throw invalid_input("steps of the checkpoint", position.steps,
                          "this run has fewer, " + std::to_string(plan_.steps()));
    require_same("batch", std::to_string(position.batch), std::to_string(run_.batch));
    require_same("precision", position.precision, std::string(name_of(run_.model.numbers)));
    require_same("frozen layers", position.frozen, std::string(to_string(run_.model.frozen)));
    if (position.task != fingerprint(run_.task.options()))
      throw checkpoint_error(run_.resume, "has learned another task: --blind or --lengths differ");
    const std::vector<gradient_needs> needs = gradients_of(run_.model);
    for_own_stages([&](std::uint32_t j) {
      std::vector<layer_state> states;
      for (std::uint32_t l = plan_.stages[j].first_layer; l < plan_.stages[j].end_layer; ++l)
        if (needs[l].of_weights) states.push_back(read_layer(run_.resume, l));
      optimizer_.restore(j, states);
    });
    optimizer_.restore_updates(position.updates);
    report_.losses = position.losses;
    return position.steps;
  }

  /// Returns when all ranks have called it.
  void meet() {
    std::vector<double> token = {0};
    world_.all_reduce(view_of(token), reduction::sum).wait();
  }

  Channel& world_;
  const training_run& run_;
  const execution_plan& plan_;
  Channel replicas_;
  std::vector<std::unique_ptr<model_stage<float>>> owned_;
  std::vector<model_stage<float>*> stages_;
  sharded_adamw<Channel> optimizer_;
  engine<model_stage<float>, Channel> engine_;
  std::size_t microbatches_ = 0;
  rank_report report_;
};

}  // namespace detail

inline std::int64_t predicted_peak_saved(const execution_plan& plan, std::size_t step,
                                         std::size_t rank,
                                         std::span<model_stage<float>* const> stages) {
  const rank_step work = step_of(plan, step, rank);
  std::int64_t held = 0;
  std::int64_t peak = 0;
  for (const execution_item& item : work.items) {
    if (!is_operation(item.kind) || item.microbatch >= work.packs.size()) continue;
    const workload& size = plan.workloads[work.packs[item.microbatch]];
    const std::int64_t saved = stages[item.stage]->saved_bytes(size);
    const std::int64_t waiting = plan.splits_backward ? stages[item.stage]->waiting_bytes(size) : 0;
    if (item.kind == item_kind::forward) held += saved;
    if (item.kind == item_kind::backward) held += waiting - saved;
    if (item.kind == item_kind::weight_gradient) held -= waiting;
    peak = std::max(peak, held);
  }
  return peak;
}

template <tensor_channel Channel>
rank_report train_rank(Channel& world, const training_run& run) {
  try {
    return detail::rank_trainer<Channel>(world, run).train();
  } catch (const communication_error&) {
    throw;
  } catch (const std::exception& error) {
    world.abort(error.what());  // nobody waits for this rank
    throw;
  }
}

}  // namespace omnibal::trainer
