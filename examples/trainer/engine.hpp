// SPDX-License-Identifier: Apache-2.0
/// @file
/// The engine: runs the items of an execution plan on one rank, in the order of the plan, and
/// writes down when each began and ended. It knows stages and channels, and nothing of layers or of
/// what a micro-batch contains.
///
///     engine<model_stage, thread_channel> run(plan, channel, stages);
///     for (std::size_t step = 0; step < plan.steps(); ++step) {
///       for (model_stage* stage : stages) stage->begin_step(microbatches_of(step));
///       const step_log log = run(step, optimizer);
///     }
///
/// Operations run at once; messages are issued in their place in the order and go on beside the
/// operations. An operation waits for what it receives. docs/execution.md proves that no rank waits
/// for ever.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/pipeline_link.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "item_times.hpp"

namespace omnibal::trainer {

/// A virtual stage of a model. Activations are rows of floats; spans are valid during the call, so
/// what the stage needs later it copies. The first stage has no input. The last has no output: it
/// computes the loss, and so the gradient of its output. The gradient of an input is empty where no
/// layer before it is trained.
///
/// - `forward(m, input, output)` of micro-batch m; saves what its backward needs.
/// - `backward(m, output_gradient, input_gradient)`: recomputes as the plan says. Where the plan
///   splits the backward, the stage keeps what the weight gradient needs; where it does not, the
///   weight gradient is part of this call.
/// - `weight_gradient(m)`: adds to the gradients of the parameters and releases the micro-batch.
/// - `parameters()`: views of them that stay valid, each with its layer in the chain, its value and
///   its gradient.
/// - `bytes_held()`: of saved activations, now. `peak_bytes()`: the most at any time since
///   restart_peak(), also while an operation runs.
template <typename Type>
concept stage = requires(Type& stage, const Type& constant, std::size_t m,
                         std::span<const float> read, std::span<float> written) {
  stage.forward(m, read, written);
  stage.backward(m, read, written);
  stage.weight_gradient(m);
  { stage.parameters()[m].layer } -> std::convertible_to<std::size_t>;
  { stage.parameters()[m].value } -> std::convertible_to<std::span<float>>;
  { stage.parameters()[m].gradient } -> std::convertible_to<std::span<float>>;
  { constant.bytes_held() } -> std::convertible_to<std::int64_t>;
  { constant.peak_bytes() } -> std::convertible_to<std::int64_t>;
  stage.restart_peak();
};

/// What follows the operations of a step: reduce() of the rank's stages, then clip(), which every
/// rank calls once, whatever stages it has, then step() and gather() of the stages. abort(reason)
/// ends the channels that it has of its own, so that ranks that wait in one of them learn the
/// reason.
template <typename Type>
concept stage_update = requires(Type& update, std::uint32_t stage, std::string_view reason) {
  update.reduce(stage);
  update.clip();
  update.step(stage);
  update.gather(stage);
  update.abort(reason);
};

/// What a rank did in a step.
struct step_log {
  std::vector<execution_item> items = {};
  std::vector<item_times> times = {};  ///< One per item; an operation without its waiting.
  item_times step = {};
  std::int64_t peak_saved_bytes = 0;    ///< The most of all stages after any operation.
  std::int64_t peak_bytes = 0;          ///< The most at any time, also within operations.
  std::int64_t peak_message_bytes = 0;  ///< The most in buffers of messages.

  /// Nanoseconds computed in operations.
  [[nodiscard]] std::int64_t busy() const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (is_operation(items[i].kind)) sum += times[i].computed;
    return sum;
  }
};

/// "rank 1, step 7, forward of stage 1, micro-batch 3: " and the reason.
[[nodiscard]] inline std::string failure_text(std::size_t rank, std::size_t step,
                                              std::string_view place, std::string_view reason) {
  return "rank " + std::to_string(rank) + ", step " + std::to_string(step) + ", " +
         std::string(place) + ": " + std::string(reason);
}

/// Thrown on the rank on which something failed; what() is its failure_text.
class step_failure : public std::runtime_error {
 public:
  step_failure(std::size_t rank, std::size_t step, std::string_view place, std::string_view reason)
      : std::runtime_error(failure_text(rank, step, place, reason)) {}
};

/// Thrown on the other ranks, where they were; the reason has what() of the rank that failed, or
/// says who did not come.
class step_interruption : public communication_error {
 public:
  step_interruption(std::size_t rank, std::size_t step, std::string_view place,
                    const communication_error& error)
      : communication_error(error),
        text_(std::make_shared<std::string>(failure_text(rank, step, place, error.what()))) {}

  [[nodiscard]] const char* what() const noexcept override { return text_->c_str(); }

 private:
  std::shared_ptr<const std::string> text_;  // exceptions are copied without throwing
};

/// Runs the steps of a plan on one rank. The plan, the channel over all ranks of the plan and the
/// stages outlive it.
template <stage Stage, tensor_channel Channel>
requires(Channel::space == memory_space::host) class engine {
 public:
  /// `stages` has all stages of the plan by number; those of other ranks are not used and may be
  /// null. Throws invalid_input when the channel has another number of ranks than the plan, and
  /// when a stage of this rank is missing.
  engine(const execution_plan& plan, Channel& channel, std::vector<Stage*> stages)
      : plan_(&plan), channel_(&channel), stages_(std::move(stages)), link_(channel) {
    if (channel.size() != plan.ranks())
      throw invalid_input("channel.size()", channel.size(),
                          "must be the ranks of the plan, " + std::to_string(plan.ranks()));
    stages_.resize(plan.stages.size());
    for (std::size_t j = 0; j < stages_.size(); ++j)
      if (is_own(j) && stages_[j] == nullptr)
        throw invalid_input("stages", j, "null", "is a stage of this rank");
  }

  /// Runs a step; called by all ranks. The stages have its micro-batches, those of
  /// step_of(plan, step, rank).packs. Whatever throws ends the step everywhere: by step_failure
  /// here, by step_interruption on the other ranks; the channel cannot be used any more.
  template <stage_update Update>
  step_log operator()(std::size_t step, Update& update) {
    work_ = step_of(*plan_, step, channel_->rank());
    log_ = {.items = work_.items, .times = std::vector<item_times>(work_.items.size())};
    log_.step.begin = steady_nanoseconds();
    std::size_t i = 0;
    try {
      for (; i < first_update(); ++i) run(i, update);
      update.clip();
      for (; i < work_.items.size(); ++i) run(i, update);
      link_.finish();
    } catch (const communication_error& error) {
      const step_interruption interruption(channel_->rank(), step, place(i), error);
      abort(update, interruption.what());
      throw interruption;
    } catch (const std::exception& error) {
      const step_failure failure(channel_->rank(), step, place(i), error.what());
      abort(update, failure.what());
      throw failure;
    }
    log_.step.end = steady_nanoseconds();
    return std::move(log_);
  }

 private:
  [[nodiscard]] bool is_own(std::size_t j) const {
    return plan_->stages[j].device == channel_->rank() % plan_->devices;
  }

  /// The first item after the reductions.
  [[nodiscard]] std::size_t first_update() const {
    const auto found = std::ranges::find_if(work_.items, [](const execution_item& item) {
      return item.kind == item_kind::step || item.kind == item_kind::gather;
    });
    return static_cast<std::size_t>(found - work_.items.begin());
  }

  [[nodiscard]] std::string place(std::size_t i) const {
    return i < work_.items.size() ? to_string(work_.items[i]) : "end of the step";
  }

  template <typename Update>
  void abort(Update& update, std::string_view reason) {
    channel_->abort(reason);
    update.abort(reason);
  }

  template <typename Update>
  void run(std::size_t i, Update& update) {
    const execution_item& item = work_.items[i];
    begin(log_.times[i]);
    switch (item.kind) {
      case item_kind::forward:
      case item_kind::backward:
      case item_kind::weight_gradient:
        if (item.microbatch < work_.packs.size()) operate(i);
        break;
      case item_kind::send_activation:
      case item_kind::receive_activation:
      case item_kind::send_gradient:
      case item_kind::receive_gradient: issue(i); break;
      case item_kind::reduce: update.reduce(item.stage); break;
      case item_kind::step: update.step(item.stage); break;
      case item_kind::gather: update.gather(item.stage); break;
    }
    log_.times[i].end = steady_nanoseconds();
    log_.times[i].computed = thread_nanoseconds() - computed_before_;
    link_.poll();
  }

  void begin(item_times& times) {
    times.begin = steady_nanoseconds();
    computed_before_ = thread_nanoseconds();
  }

  // ---- messages ----

  void issue(std::size_t i) {
    item_times& times = log_.times[i];
    link_.issue(work_.items[i], work_.bytes[i], [&times] { times.end = steady_nanoseconds(); });
    note_message_bytes();
  }

  // ---- operations ----

  void operate(std::size_t i) {
    const auto [kind, j, m, peer] = work_.items[i];
    const std::int64_t others = saved_bytes() - stages_[j]->bytes_held();
    stages_[j]->restart_peak();
    switch (kind) {
      case item_kind::forward: forward(i); break;
      case item_kind::backward: backward(i); break;
      default: stages_[j]->weight_gradient(m); break;
    }
    log_.peak_bytes = std::max(log_.peak_bytes, others + stages_[j]->peak_bytes());
    log_.peak_saved_bytes = std::max(log_.peak_saved_bytes, saved_bytes());
  }

  void forward(std::size_t i) {
    const auto [kind, j, m, peer] = work_.items[i];
    const std::span<const float> input = floats_of(link_.input(work_.items[i]));
    const std::span<float> output = make_output(i, plan_->stages[j].activation_bytes);
    begin(log_.times[i]);
    stages_[j]->forward(m, input, output);
    link_.release_input(work_.items[i]);
  }

  void backward(std::size_t i) {
    const auto [kind, j, m, peer] = work_.items[i];
    const std::span<const float> output_gradient = floats_of(link_.input(work_.items[i]));
    const std::span<float> input_gradient =
        j > 0 ? make_output(i, plan_->stages[j - 1].gradient_bytes) : std::span<float>();
    begin(log_.times[i]);
    stages_[j]->backward(m, output_gradient, input_gradient);
    link_.release_input(work_.items[i]);
  }

  /// The buffer of what an operation passes on; empty where nothing passes.
  [[nodiscard]] std::span<float> make_output(std::size_t i, const linear_cost& bytes) {
    const std::uint32_t pack = work_.packs[work_.items[i].microbatch];
    const tensor_view made = link_.output(work_.items[i], bytes.of(plan_->workloads[pack]));
    note_message_bytes();
    return {reinterpret_cast<float*>(made.data), made.count};
  }

  [[nodiscard]] static std::span<const float> floats_of(const const_tensor_view& values) {
    return {reinterpret_cast<const float*>(values.data), values.count};
  }

  /// Of all stages of the rank.
  [[nodiscard]] std::int64_t saved_bytes() const {
    std::int64_t sum = 0;
    for (std::size_t j = 0; j < stages_.size(); ++j)
      if (is_own(j)) sum += stages_[j]->bytes_held();
    return sum;
  }

  void note_message_bytes() {
    log_.peak_message_bytes = std::max(log_.peak_message_bytes, link_.held_bytes());
  }

  const execution_plan* plan_;
  Channel* channel_;
  std::vector<Stage*> stages_;
  pipeline_link<Channel> link_;
  rank_step work_;
  step_log log_;
  std::int64_t computed_before_ = 0;  // when the item began
};

}  // namespace omnibal::trainer
