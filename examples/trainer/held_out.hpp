// SPDX-License-Identifier: Apache-2.0
/// @file
/// The questions at the end of a run: pictures that were not trained on, answered by the pipeline
/// of each replica, forward only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "batch.hpp"
#include "data.hpp"
#include "model_stage.hpp"

namespace omnibal::trainer {

struct held_out_result {
  std::uint32_t samples = 0;
  std::uint32_t exact = 0;

  [[nodiscard]] double share() const noexcept {
    return samples == 0 ? 0 : static_cast<double>(exact) / samples;
  }
};

/// How many questions, and about how many pictures at a time.
struct held_out_options {
  std::uint32_t samples = 512;
  std::uint32_t batch = 24;
};

/// Asks about pictures like those of the task. `stages` as for the engine. Called by all ranks;
/// blocks; the result is the same on all.
template <tensor_channel Channel>
[[nodiscard]] held_out_result ask_held_out(Channel& world, const execution_plan& plan,
                                           std::span<model_stage<float>* const> stages,
                                           const picture_task& trained,
                                           const held_out_options& options);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

/// Stages pass micro-batches on, forward only, one after the other.
template <tensor_channel Channel>
class forward_pipeline {
 public:
  forward_pipeline(const execution_plan& plan, Channel& channel,
                   std::span<model_stage<float>* const> stages)
      : plan_(&plan), channel_(&channel), stages_(stages) {}

  /// The stages have begun a step with the micro-batch; the last has its result afterwards.
  void run(std::size_t m) {
    std::vector<float> rows;
    for (std::size_t j = 0; j < stages_.size(); ++j) {
      if (stages_[j] == nullptr) continue;
      if (j > 0 && stages_[j - 1] == nullptr) {
        rows.resize(stages_[j]->input(m).size());
        if (!rows.empty()) channel_->receive(view_of(rows), rank_of(j - 1)).wait();
      }
      std::vector<float> output(stages_[j]->output(m).size());
      stages_[j]->forward(m, rows, output);
      stages_[j]->forget(m);
      rows = std::move(output);
      const bool passes = j + 1 < stages_.size() && stages_[j + 1] == nullptr;
      if (passes && !rows.empty())
        channel_->send(view_of(std::as_const(rows)), rank_of(j + 1)).wait();
    }
  }

 private:
  [[nodiscard]] std::size_t rank_of(std::size_t j) const {
    return channel_->rank() / plan_->devices * plan_->devices + plan_->stages[j].device;
  }

  const execution_plan* plan_;
  Channel* channel_;
  std::span<model_stage<float>* const> stages_;
};

/// The replica's share of the questions.
[[nodiscard]] inline std::vector<microbatch> held_out_batches(const picture_task& trained,
                                                              const held_out_options& options,
                                                              std::size_t replica,
                                                              std::size_t replicas) {
  task_options held_out = trained.options();
  held_out.split = data_split::held_out;
  held_out.questions = 1;
  const picture_task task(held_out);
  std::vector<microbatch> batches;
  for (std::uint32_t first = 0, turn = 0; first < options.samples; first += options.batch, ++turn) {
    if (turn % replicas != replica) continue;
    std::vector<std::uint32_t> samples(std::min(options.batch, options.samples - first));
    std::iota(samples.begin(), samples.end(), first);
    batches.push_back(make_microbatch(task, samples, 0));
  }
  return batches;
}

}  // namespace detail

template <tensor_channel Channel>
held_out_result ask_held_out(Channel& world, const execution_plan& plan,
                             std::span<model_stage<float>* const> stages,
                             const picture_task& trained, const held_out_options& options) {
  const std::vector<microbatch> batches =
      detail::held_out_batches(trained, options, world.rank() / plan.devices, plan.replicas);
  for (model_stage<float>* stage : stages)
    if (stage != nullptr) stage->begin_step(batches);
  detail::forward_pipeline<Channel> pipeline(plan, world, stages);
  std::vector<double> exact = {0};
  for (std::size_t m = 0; m < batches.size(); ++m) {
    pipeline.run(m);
    if (stages.back() != nullptr)
      exact[0] +=
          static_cast<double>(exact_answers(batches[m], stages.back()->result(m).predictions));
  }
  world.all_reduce(view_of(exact), reduction::sum).wait();
  return {.samples = options.samples, .exact = static_cast<std::uint32_t>(exact[0])};
}

}  // namespace omnibal::trainer
