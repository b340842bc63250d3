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
#include <exception>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "batch.hpp"
#include "engine.hpp"
#include "gathered_logs.hpp"
#include "held_out.hpp"
#include "memory_prediction.hpp"
#include "model_stage.hpp"
#include "optimizer.hpp"
#include "run_checkpoint.hpp"
#include "training_run.hpp"

namespace omnibal::trainer {

/// Trains from the first step, or from that of the checkpoint, to the last of the plan. Called by
/// all ranks of the plan. Throws step_failure where this rank fails and communication_error where
/// another one does, checkpoint_error for a checkpoint that cannot be read, and invalid_input for
/// one of another run.
template <tensor_channel Channel>
[[nodiscard]] rank_report train_rank(Channel& world, const training_run& run);

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
    const std::uint64_t first = resumed();
    for (std::uint64_t step = first; step < plan_.steps(); ++step) {
      run_step(step);
      const bool last = step + 1 == plan_.steps();
      if (!run_.checkpoints.empty() && (last || (step + 1) % run_.checkpoint_every == 0))
        at(step, "checkpoint", [&] {
          save_checkpoint(world_, run_, {.steps = step + 1, .losses = report_.losses}, stages_,
                          optimizer_);
        });
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

  /// The first step to run.
  [[nodiscard]] std::uint64_t resumed() {
    if (run_.resume.empty()) return 0;
    run_progress progress = resume_checkpoint(run_, stages_, optimizer_);
    report_.losses = std::move(progress.losses);
    return progress.steps;
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
    at(step, "report of the step",
       [&] { meet(world_); });  // what one rank reports, others do not wait for
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
    const predicted_memory predicted = memory_of_step(plan_, step, world_.rank(), stages_);
    report_.predicted_peak_saved_bytes =
        std::max(report_.predicted_peak_saved_bytes, predicted.saved);
    report_.predicted_peak_activation_bytes =
        std::max(report_.predicted_peak_activation_bytes, predicted.activations);
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
      const step_interruption interruption(world_.rank(), step, place, error);
      world_.abort(interruption.what());
      throw interruption;
    }
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
