// SPDX-License-Identifier: Apache-2.0
/// @file
/// Iteration over the steps of all epochs of a training run, which can be checkpointed after any
/// step and resumed exactly there.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// The position of a run, to be saved in a checkpoint. The same on all ranks, and for any number of
/// ranks.
struct epoch_state {
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;          ///< The next step of that epoch.
  std::uint64_t global_batch = 0;  ///< Packs in a full step of that epoch.
  std::uint64_t inputs = 0;        ///< epoch_options::inputs.
  std::uint64_t plan = 0;          ///< step_fingerprint of that epoch's plan.

  friend bool operator==(const epoch_state&, const epoch_state&) = default;
};

/// The state as 60 bytes: version 1, little-endian, with a checksum.
[[nodiscard]] std::vector<std::byte> to_bytes(const epoch_state& state);

/// The state from its bytes. Throws invalid_input when they are damaged, of another version or not
/// a state.
[[nodiscard]] epoch_state epoch_state_from_bytes(std::span<const std::byte> bytes);

/// Options of epoch_iterator.
struct epoch_options {
  std::uint64_t epochs = 1;  ///< Number of epochs, at least 1; they are counted from 0.
  /// A fingerprint of the samples, for example table_fingerprint: a state is restored only into a
  /// run with the same one. 0 if this is not checked.
  std::uint64_t inputs = 0;
};

/// A function from the number of an epoch to its plan.
template <typename PlanFor>
concept plan_source = requires(const PlanFor& plan_for, std::uint64_t epoch) {
  { plan_for(epoch) } -> std::convertible_to<dispatch_plan>;
};

/// Iterates over the steps of all epochs:
///
///     for (epoch_iterator run(plan_for, {.epochs = 3}); !run.done(); run.advance())
///       train(run.packs(rank), run.real(rank));
///
/// plan_for(epoch) makes the plan of an epoch, usually by packing and dispatching with its number.
/// It is called once per epoch, and must give the same steps every time it is called for the same
/// epoch. The iterator stores the plan of one epoch. A step takes O(1), an epoch one call of
/// plan_for and O(packs · log(packs in a step)) for the fingerprint. Epochs without steps are
/// skipped.
template <plan_source PlanFor>
class epoch_iterator {
 public:
  /// Starts at the first step of epoch 0. Throws invalid_input for no epochs and inconsistent
  /// plans.
  explicit epoch_iterator(PlanFor plan_for, const epoch_options& options = {})
      : plan_for_(std::move(plan_for)), options_(options) {
    if (options.epochs == 0) throw invalid_input("epochs", 0, "must be at least 1");
    begin(0);
  }

  /// Whether all steps of all epochs are done.
  [[nodiscard]] bool done() const noexcept { return step_ == plan_.steps(); }
  /// The current epoch and the current step in it.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] std::uint64_t step() const noexcept { return step_; }
  /// The number of steps of this epoch.
  [[nodiscard]] std::uint64_t steps() const noexcept { return plan_.steps(); }
  /// The plan of this epoch.
  [[nodiscard]] const dispatch_plan& plan() const noexcept { return plan_; }

  /// The packs of a rank's micro-batches in this step, in order; valid until the run advances.
  /// Throws invalid_input for a rank beyond the last and after the last step.
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint32_t rank) const {
    check(rank);
    return plan_.packs(step_, rank);
  }
  /// Which of them are real (1) or repeated (0); empty when the epoch repeats none.
  [[nodiscard]] std::span<const std::uint8_t> real(std::uint32_t rank) const {
    check(rank);
    return plan_.real(step_, rank);
  }

  /// Goes to the next step, after the last step of an epoch to the next epoch. Throws invalid_input
  /// when done; when plan_for throws, the position does not change.
  void advance() {
    if (done()) throw invalid_input("step", step_, "is beyond the last step of the last epoch");
    if (step_ + 1 == plan_.steps() && epoch_ + 1 < options_.epochs)
      begin(epoch_ + 1);
    else
      ++step_;
  }

  /// The position, for a checkpoint. O(1).
  [[nodiscard]] epoch_state state() const noexcept {
    return {.epoch = epoch_,
            .step = step_,
            .global_batch = global_batch(plan_),
            .inputs = options_.inputs,
            .plan = fingerprint_};
  }

  /// Goes to the position of another run, which may have had other ranks or more epochs. Throws
  /// invalid_input when this run does not have the epoch, or has other inputs, another global batch
  /// or other packs in its steps; the position then does not change. Calls plan_for for that epoch.
  void restore(const epoch_state& state) {
    if (state.inputs != options_.inputs)
      throw invalid_input("state inputs", state.inputs,
                          "is not the fingerprint of this run's, " +
                              std::to_string(options_.inputs) + ": it was saved for other samples");
    if (state.epoch >= options_.epochs)
      throw invalid_input(
          "state epoch", state.epoch,
          "must be less than this run's epochs, " + std::to_string(options_.epochs));
    dispatch_plan plan = checked_plan(state.epoch);
    check_plan_of(state, plan);
    if (state.step == plan.steps() && state.epoch + 1 < options_.epochs)
      begin(state.epoch + 1);
    else
      go_to(state.epoch, state.step, std::move(plan));
  }

 private:
  [[nodiscard]] static std::uint64_t global_batch(const dispatch_plan& plan) noexcept {
    return plan.steps() == 0 ? 0 : plan.packs(0).size();
  }

  // Goes to the first step of this epoch, or of the next one that has steps.
  void begin(std::uint64_t epoch) {
    dispatch_plan plan = checked_plan(epoch);
    while (plan.steps() == 0 && epoch + 1 < options_.epochs) plan = checked_plan(++epoch);
    go_to(epoch, 0, std::move(plan));
  }

  [[nodiscard]] dispatch_plan checked_plan(std::uint64_t epoch) const {
    dispatch_plan plan = plan_for_(epoch);
    validate(plan);
    return plan;
  }

  void go_to(std::uint64_t epoch, std::uint64_t step, dispatch_plan plan) {
    fingerprint_ = step_fingerprint(plan);
    plan_ = std::move(plan);
    epoch_ = epoch;
    step_ = step;
  }

  void check(std::uint32_t rank) const {
    if (rank >= plan_.ranks)
      throw invalid_input("rank", rank, "must be less than " + std::to_string(plan_.ranks));
    if (done()) throw invalid_input("step", step_, "is beyond the last step of the last epoch");
  }

  void check_plan_of(const epoch_state& state, const dispatch_plan& plan) const {
    const std::uint64_t fingerprint = step_fingerprint(plan);
    if (state.global_batch != global_batch(plan))
      throw invalid_input("state global_batch", state.global_batch,
                          "is not the number of packs in this run's steps, " +
                              std::to_string(global_batch(plan)) +
                              ": ranks * microbatches must be what they were");
    if (state.plan != fingerprint)
      throw invalid_input("state plan", state.plan,
                          "is not the fingerprint of this run's epoch " +
                              std::to_string(state.epoch) + ", " + std::to_string(fingerprint) +
                              ": packs, costs, seed and options must be what they were");
    if (state.step > plan.steps())
      throw invalid_input(
          "state step", state.step,
          "must be at most the steps of the epoch, " + std::to_string(plan.steps()));
  }

  PlanFor plan_for_;
  epoch_options options_;
  dispatch_plan plan_;
  std::uint64_t fingerprint_ = 0;
  std::uint64_t epoch_ = 0;
  std::uint64_t step_ = 0;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/epoch.ipp>
#endif
