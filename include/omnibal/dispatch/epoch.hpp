// SPDX-License-Identifier: Apache-2.0
/// @file
/// Iteration over the steps of all epochs of a training run, which can be checkpointed after any
/// step and resumed exactly there.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/emptied_when_moved.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/dispatch/plan.hpp>

namespace omnibal::inline v0 {

/// The position of a run, to be saved in a checkpoint. The same on all ranks, and for any number of
/// ranks.
struct epoch_state {
  std::uint64_t epoch = 0;
  std::uint64_t step = 0;          ///< The next step of that epoch.
  std::uint64_t global_batch = 0;  ///< Packs in a full step of that epoch.
  std::uint64_t inputs = 0;        ///< epoch_options::inputs.
  std::uint64_t plan = 0;          ///< epoch_fingerprint of that epoch.

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

/// The packs of an epoch, each a group of samples, and their assignment to steps and ranks. They
/// belong together: the plan over the packs of another epoch trains on wrong samples.
struct epoch_plan {
  grouping<std::uint32_t> packs = {};
  dispatch_plan plan = {};

  friend bool operator==(const epoch_plan&, const epoch_plan&) = default;
};

/// A fingerprint of the samples of each step, in their packs, the same on every platform and for
/// every number of ranks. O(samples + packs · log(packs in a step)).
[[nodiscard]] std::uint64_t epoch_fingerprint(const epoch_plan& epoch);

/// Throws invalid_input unless the plan is consistent (dispatch/plan.hpp) and names no pack beyond
/// the last. O(packs).
void validate(const epoch_plan& epoch);

/// A function from the number of an epoch to its packs and their plan.
template <typename PlanFor>
concept plan_source = requires(const PlanFor& plan_for, std::uint64_t epoch) {
  { plan_for(epoch) } -> std::convertible_to<epoch_plan>;
};

/// Iterates over the steps of all epochs:
///
///     for (epoch_iterator run(plan_for, {.epochs = 3}); !run.done(); run.advance())
///       for (const auto microbatch : run.samples(rank)) train(microbatch);
///
/// plan_for(epoch) makes the packs and the plan of an epoch, usually by packing and dispatching
/// with its number. It is called once per epoch, and must give the same ones every time it is
/// called for the same epoch. What it refers to must outlive the iterator and its copies, which
/// share it. The iterator stores one epoch. A step takes O(1), an epoch one call of plan_for and
/// the time of epoch_fingerprint. Epochs without steps are skipped.
///
/// A call that throws changes nothing. An iterator that was moved from is done, and cannot restore.
template <plan_source PlanFor>
class epoch_iterator {
 public:
  /// Starts at the first step of epoch 0. Throws invalid_input for no epochs and inconsistent
  /// plans.
  explicit epoch_iterator(PlanFor plan_for, const epoch_options& options = {})
      : options_(options), plan_for_(std::make_shared<const PlanFor>(std::move(plan_for))) {
    if (options.epochs == 0) throw invalid_input("epochs", 0, "must be at least 1");
    at_ = first_step_from(0);
  }

  /// Whether all steps of all epochs are done.
  [[nodiscard]] bool done() const noexcept { return step() == steps(); }
  /// The current epoch and the current step in it.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return at().epoch; }
  [[nodiscard]] std::uint64_t step() const noexcept { return at().step; }
  /// The number of steps of this epoch.
  [[nodiscard]] std::uint64_t steps() const noexcept { return plan().steps(); }
  /// The packs of this epoch, and their plan.
  [[nodiscard]] const grouping<std::uint32_t>& packs() const noexcept { return at().planned.packs; }
  [[nodiscard]] const dispatch_plan& plan() const noexcept { return at().planned.plan; }

  /// The samples of each of a rank's micro-batches in this step, in order; valid until the run goes
  /// to another epoch. Throws invalid_input for a rank beyond the last and after the last step.
  [[nodiscard]] std::vector<std::span<const std::uint32_t>> samples(std::uint32_t rank) const {
    std::vector<std::span<const std::uint32_t>> microbatches;
    for (const std::uint32_t pack : packs(rank)) microbatches.push_back(packs()[pack]);
    return microbatches;
  }
  /// The packs that these micro-batches are, as indices into packs(). Valid and throws likewise.
  [[nodiscard]] std::span<const std::uint32_t> packs(std::uint32_t rank) const {
    check(rank);
    return plan().packs(step(), rank);
  }
  /// Which of them are real (1) or repeated (0); empty when the epoch repeats none.
  [[nodiscard]] std::span<const std::uint8_t> real(std::uint32_t rank) const {
    check(rank);
    return plan().real(step(), rank);
  }

  /// Goes to the next step, after the last step of an epoch to the next epoch. Throws invalid_input
  /// when done, and what plan_for throws.
  void advance() {
    if (done()) throw invalid_input("step", step(), "is beyond the last step of the last epoch");
    if (step() + 1 == steps() && epoch() + 1 < options_.epochs)
      at_ = first_step_from(epoch() + 1);
    else
      ++at_.value().step;
  }

  /// The position, for a checkpoint. O(1).
  [[nodiscard]] epoch_state state() const noexcept {
    return {.epoch = epoch(),
            .step = step(),
            .global_batch = global_batch(plan()),
            .inputs = options_.inputs,
            .plan = at().fingerprint};
  }

  /// Goes to the position of another run, which may have had other ranks or more epochs. Throws
  /// invalid_input when this run does not have the epoch, or has other inputs, another global batch
  /// or other samples in its steps. Calls plan_for for that epoch.
  void restore(const epoch_state& state) {
    if (state.inputs != options_.inputs)
      throw invalid_input("state inputs", state.inputs,
                          "is not the fingerprint of this run's, " +
                              std::to_string(options_.inputs) + ": it was saved for other samples");
    if (state.epoch >= options_.epochs)
      throw invalid_input(
          "state epoch", state.epoch,
          "must be less than this run's epochs, " + std::to_string(options_.epochs));
    position restored = start_of(state.epoch);
    check_state(state, restored);
    restored.step = state.step;
    if (state.step == restored.planned.plan.steps() && state.epoch + 1 < options_.epochs)
      restored = first_step_from(state.epoch + 1);
    at_ = std::move(restored);
  }

 private:
  struct position {
    epoch_plan planned = {};
    std::uint64_t fingerprint = 0;
    std::uint64_t epoch = 0;
    std::uint64_t step = 0;
  };

  [[nodiscard]] const position& at() const noexcept { return at_.value(); }

  [[nodiscard]] static std::uint64_t global_batch(const dispatch_plan& plan) noexcept {
    return plan.steps() == 0 ? 0 : plan.packs(0).size();
  }

  [[nodiscard]] position start_of(std::uint64_t epoch) const {
    if (!plan_for_)
      throw invalid_input("epoch_iterator", "moved from", "has no packs and plans any more");
    position start{.planned = (*plan_for_)(epoch), .epoch = epoch};
    validate(start.planned);
    start.fingerprint = epoch_fingerprint(start.planned);
    return start;
  }

  // The first step of this epoch, or of the next one that has steps.
  [[nodiscard]] position first_step_from(std::uint64_t epoch) const {
    position start = start_of(epoch);
    while (start.planned.plan.steps() == 0 && epoch + 1 < options_.epochs)
      start = start_of(++epoch);
    return start;
  }

  void check(std::uint32_t rank) const {
    if (rank >= plan().ranks)
      throw invalid_input("rank", rank, "must be less than " + std::to_string(plan().ranks));
    if (done()) throw invalid_input("step", step(), "is beyond the last step of the last epoch");
  }

  static void check_state(const epoch_state& state, const position& epoch) {
    const dispatch_plan& plan = epoch.planned.plan;
    if (state.global_batch != global_batch(plan))
      throw invalid_input("state global_batch", state.global_batch,
                          "is not the number of packs in this run's steps, " +
                              std::to_string(global_batch(plan)) +
                              ": ranks * microbatches must be what they were");
    if (state.plan != epoch.fingerprint)
      throw invalid_input("state plan", state.plan,
                          "is not the fingerprint of this run's epoch " +
                              std::to_string(state.epoch) + ", " +
                              std::to_string(epoch.fingerprint) +
                              ": packs, costs, seed and options must be what they were");
    if (state.step > plan.steps())
      throw invalid_input(
          "state step", state.step,
          "must be at most the steps of the epoch, " + std::to_string(plan.steps()));
  }

  emptied_when_moved<position> at_;
  epoch_options options_;
  std::shared_ptr<const PlanFor> plan_for_;
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dispatch/impl/epoch.ipp>
#endif
