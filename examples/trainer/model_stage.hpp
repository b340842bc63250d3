// SPDX-License-Identifier: Apache-2.0
/// @file
/// A pipeline stage of the trainer's model: layers first … end − 1, each with its recompute kind.
/// It is what the engine runs; between stages pass rows of numbers alone.
///
///     model_stage<float> stage(config, {.first_layer = 0, .end_layer = 4, .kinds = {…}, .seed =
///     1}); stage.start(microbatches);                    // of this rank, for one step
///     stage.forward(m, received, to_send);
///     stage.backward(m, received_gradient, gradient_to_send);
///     for (auto& one : stage.parameters()) step(one.value, one.gradient);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/workload.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "batch.hpp"
#include "layers/block.hpp"
#include "machine.hpp"
#include "model.hpp"

namespace omnibal::trainer {

/// Which layers a stage has, and how it runs them.
struct stage_layout {
  std::size_t first_layer = 0;
  std::size_t end_layer = 0;               ///< One past the last; at least one layer.
  std::vector<recompute_kind> kinds = {};  ///< One per layer; none is `custom`.
  bool splits_backward = false;  ///< Whether weight_gradient() is called after each backward().
  std::uint64_t seed = 0;        ///< Of the initial weights.
};

/// The layout of a stage of an execution plan. Throws invalid_input for a stage that is not there.
[[nodiscard]] stage_layout layout_of(const execution_plan& plan, std::size_t stage,
                                     std::uint64_t seed);

/// A parameter as optimizers and checkpoints take it.
template <typename Real>
struct stage_parameter {
  std::string name = {};  ///< Within its layer.
  std::size_t layer = 0;  ///< In the chain.
  std::size_t rows = 0;   ///< Of the value; 1 of gains and biases.
  std::span<Real> value = {};
  std::span<Real> gradient = {};  ///< Empty where the layer is frozen.
};

/// Used by one thread at a time. Calls that do not fit throw invalid_input: a micro-batch that was
/// not started, a pass whose predecessor is missing, rows of the wrong size.
template <typename Real>
class model_stage {
 public:
  /// Throws invalid_input for no layers, layers beyond the last, and kinds that do not fit.
  model_stage(model_config config, stage_layout layout);

  /// Takes the micro-batches of a step, all of this rank, forgets those before, and sets all
  /// gradients to 0. Throws invalid_input for micro-batches that place() refuses.
  void begin_step(std::span<const microbatch> microbatches);

  /// What forward() takes and gives, in rows and columns; backward() the other way round.
  [[nodiscard]] extent input(std::size_t microbatch) const;
  [[nodiscard]] extent output(std::size_t microbatch) const;

  void forward(std::size_t microbatch, std::span<const Real> in, std::span<Real> out);
  /// The gradient of the input from that of the output; in_gradient may be empty where nobody needs
  /// it. Also adds those of the parameters, unless the backward is split: then weight_gradient()
  /// adds those of most matrices.
  void backward(std::size_t microbatch, std::span<const Real> out_gradient,
                std::span<Real> in_gradient);
  void weight_gradient(std::size_t microbatch);
  /// Frees what a forward saved, where no backward follows.
  void forget(std::size_t microbatch);

  /// Loss and predictions of a micro-batch whose forward ran on the stage with the head.
  [[nodiscard]] const microbatch_result& result(std::size_t microbatch) const;

  /// Views of all parameters, valid as long as the stage.
  [[nodiscard]] std::vector<stage_parameter<Real>> parameters();

  /// Bytes of activations that are allocated now; between calls those that are saved.
  [[nodiscard]] std::int64_t bytes_held() const noexcept {
    return on_->held(memory_use::activations);
  }
  /// The most bytes_held() between calls since the start of the step.
  [[nodiscard]] std::int64_t peak_saved_bytes() const noexcept { return peak_saved_; }
  /// The most bytes_held() at any time since the start of the step, or since restart_peak(): with
  /// what passes need while they run.
  [[nodiscard]] std::int64_t peak_bytes() const noexcept {
    return on_->peak(memory_use::activations);
  }
  void restart_peak() noexcept { on_->restart_peak(memory_use::activations); }
  /// Bytes of weights, of what they are rounded to, and of their gradients.
  [[nodiscard]] std::int64_t parameter_bytes() const noexcept {
    return on_->held(memory_use::parameters);
  }

  /// What a forward of this workload saves, and what a backward leaves for the weight gradient.
  [[nodiscard]] std::int64_t saved_bytes(const workload& work) const;
  [[nodiscard]] std::int64_t waiting_bytes(const workload& work) const;
  /// The most bytes of a micro-batch at a time within each pass of the stage: while a layer runs,
  /// those before it have what they saved, and in a backward those after it have what waits. Other
  /// micro-batches come on top. Exactly, but for the workspace of a GPU's own attention.
  [[nodiscard]] pass_peaks predicted_peaks(const workload& work) const;
  /// saved_bytes() as a cost of any workload, exactly.
  [[nodiscard]] linear_cost saved_cost() const;
  /// waiting_bytes() as a cost of any workload, exactly.
  [[nodiscard]] linear_cost waiting_cost() const;
  /// What passes have at most beside saved_bytes(), as a cost of any workload: of one transformer
  /// block exactly, of others at least.
  [[nodiscard]] linear_cost transient_cost() const;

 private:
  /// A function without a constant as a cost.
  [[nodiscard]] linear_cost cost_of(std::int64_t (model_stage::*bytes)(const workload&)
                                        const) const;

  enum class progress { started, forward_done, backward_done };

  struct running {
    placed_batch batch;
    progress after = progress::started;
  };

  /// The micro-batch, which must have got this far.
  [[nodiscard]] running& in_progress(std::size_t microbatch, progress after, std::string_view pass);
  void require_started(std::size_t microbatch) const;
  [[nodiscard]] matrix<Real> received(std::span<const Real> from, const extent& size,
                                      std::string_view field);
  void pass_on(const matrix<Real>& from, std::span<Real> to, const extent& size,
               std::string_view field);
  /// Whether the weight gradient of this layer waits for weight_gradient().
  [[nodiscard]] bool waits(std::size_t l) const noexcept {
    return layout_.splits_backward && needs_[l].of_weights &&
           layout_.kinds[l] == recompute_kind::none;
  }
  void note_saved() noexcept { peak_saved_ = std::max(peak_saved_, bytes_held()); }

  model_config config_;
  stage_layout layout_;
  std::unique_ptr<machine> on_ = std::make_unique<machine>();
  std::vector<std::unique_ptr<any_layer<Real>>> layers_ = {};
  std::vector<gradient_needs> needs_ = {};  // of each layer
  std::vector<running> microbatches_ = {};
  std::int64_t peak_saved_ = 0;
};

// Compiled once, in model_stage.cpp: double precision is for comparisons with finite differences.
extern template class model_stage<float>;
extern template class model_stage<double>;

}  // namespace omnibal::trainer
