// SPDX-License-Identifier: Apache-2.0

#include "model_stage.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>

namespace omnibal::trainer {

namespace {

void validate(const model_config& config, const stage_layout& layout) {
  if (layout.end_layer <= layout.first_layer || layout.end_layer > layer_count(config))
    throw invalid_input(
        "layout.end_layer", layout.end_layer,
        "must be more than first_layer and at most " + std::to_string(layer_count(config)));
  if (layout.kinds.size() != layout.end_layer - layout.first_layer)
    throw invalid_input(
        "layout.kinds", layout.kinds.size(),
        "are given: must be " + std::to_string(layout.end_layer - layout.first_layer));
  for (std::size_t l = 0; l < layout.kinds.size(); ++l)
    if (layout.kinds[l] == recompute_kind::custom)
      throw invalid_input("layout.kinds", l, to_string(layout.kinds[l]),
                          "must be none, selective or full");
}

void require_size(std::size_t size, const extent& wanted, std::string_view field) {
  if (size != wanted.size())
    throw invalid_input(field, size,
                        "numbers are given: must be " + std::to_string(wanted.rows) + " rows of " +
                            std::to_string(wanted.columns));
}

}  // namespace

stage_layout layout_of(const execution_plan& plan, std::size_t stage, std::uint64_t seed) {
  if (stage >= plan.stages.size())
    throw invalid_input(
        "stage", stage,
        "must be less than those of the plan, " + std::to_string(plan.stages.size()));
  const execution_stage& planned = plan.stages[stage];
  stage_layout layout{.first_layer = planned.first_layer,
                      .end_layer = planned.end_layer,
                      .splits_backward = plan.splits_backward,
                      .seed = seed};
  for (std::uint32_t l = planned.first_layer; l < planned.end_layer; ++l)
    layout.kinds.push_back(plan.layers[l].kind);
  return layout;
}

template <typename Real>
model_stage<Real>::model_stage(model_config config, stage_layout layout)
    : config_(std::move(config)), layout_(std::move(layout)) {
  validate(config_, layout_);
  on_->fused_attention = config_.fused_attention;
  const std::vector<gradient_needs> needs = gradients_of(config_);
  for (std::size_t l = layout_.first_layer; l < layout_.end_layer; ++l) {
    layers_.push_back(make_layer<Real>(*on_, config_, l, layout_.seed));
    needs_.push_back(needs[l]);
    for (trained_parameter<Real>* one : layers_.back()->parameters())
      if (!needs[l].of_weights) one->gradient = {};
  }
}

template <typename Real>
void model_stage<Real>::begin_step(std::span<const microbatch> microbatches) {
  microbatches_.clear();
  for (const microbatch& one : microbatches)
    microbatches_.push_back({.batch = place(*on_, one, config_.tiles, config_.vocabulary())});
  for (auto& layer : layers_) layer->start(microbatches.size());
  for (auto& layer : layers_)
    for (trained_parameter<Real>* one : layer->parameters())
      if (one->is_trained()) set_zero(*on_, one->gradient.view());
  on_->finish();  // ranks without micro-batches read the gradients at once
  on_->restart_peak(memory_use::activations);
  peak_saved_ = bytes_held();
}

template <typename Real>
extent model_stage<Real>::input(std::size_t microbatch) const {
  require_started(microbatch);
  if (layout_.first_layer == 0) return {};
  return output_of(config_, layout_.first_layer - 1, microbatches_[microbatch].batch.work);
}

template <typename Real>
extent model_stage<Real>::output(std::size_t microbatch) const {
  require_started(microbatch);
  return output_of(config_, layout_.end_layer - 1, microbatches_[microbatch].batch.work);
}

template <typename Real>
void model_stage<Real>::forward(std::size_t microbatch, std::span<const Real> in,
                                std::span<Real> out) {
  running& now = in_progress(microbatch, progress::started, "forward");
  matrix<Real> rows = received(in, input(microbatch), "in");
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    rows = layers_[l]->forward(now.batch, microbatch, std::move(rows), layout_.kinds[l]);
    if (!needs_[l].any()) layers_[l]->forget(microbatch);
  }
  pass_on(rows, out, output(microbatch), "out");
  rows = {};
  now.after = progress::forward_done;
  note_saved();
}

template <typename Real>
void model_stage<Real>::backward(std::size_t microbatch, std::span<const Real> out_gradient,
                                 std::span<Real> in_gradient) {
  running& now = in_progress(microbatch, progress::forward_done, "backward");
  const extent size = needs_.back().any() ? output(microbatch) : extent{};
  matrix<Real> rows = received(out_gradient, size, "out_gradient");
  for (std::size_t l = layers_.size(); l-- > 0 && needs_[l].any();) {
    rows = layers_[l]->backward(now.batch, microbatch, std::move(rows));
    if (!waits(l)) layers_[l]->weight_gradient(now.batch, microbatch);
  }
  if (!in_gradient.empty()) pass_on(rows, in_gradient, input(microbatch), "in_gradient");
  rows = {};
  on_->finish();
  now.after = layout_.splits_backward ? progress::backward_done : progress::started;
  note_saved();
}

template <typename Real>
void model_stage<Real>::weight_gradient(std::size_t microbatch) {
  running& now = in_progress(microbatch, progress::backward_done, "weight gradient");
  for (std::size_t l = layers_.size(); l-- > 0;)
    if (waits(l)) layers_[l]->weight_gradient(now.batch, microbatch);
  on_->finish();
  now.after = progress::started;
  note_saved();
}

template <typename Real>
void model_stage<Real>::forget(std::size_t microbatch) {
  require_started(microbatch);
  for (auto& layer : layers_) layer->forget(microbatch);
  microbatches_[microbatch].after = progress::started;
}

template <typename Real>
const microbatch_result& model_stage<Real>::result(std::size_t microbatch) const {
  require_started(microbatch);
  return microbatches_[microbatch].batch.result;
}

template <typename Real>
std::vector<stage_parameter<Real>> model_stage<Real>::parameters() {
  std::vector<stage_parameter<Real>> all;
  for (std::size_t l = 0; l < layers_.size(); ++l)
    for (trained_parameter<Real>* one : layers_[l]->parameters())
      all.push_back({.name = one->name,
                     .layer = layout_.first_layer + l,
                     .rows = one->value.rows(),
                     .value = {one->value.view().data, one->value.view().size()},
                     .gradient = {one->gradient.view().data, one->gradient.view().size()}});
  return all;
}

template <typename Real>
std::int64_t model_stage<Real>::saved_bytes(const workload& work) const {
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l)
    if (needs_[l].any()) sum += layers_[l]->saved_bytes(work, layout_.kinds[l]);
  return sum;
}

template <typename Real>
std::int64_t model_stage<Real>::waiting_bytes(const workload& work) const {
  std::int64_t sum = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l)
    if (waits(l)) sum += layers_[l]->waiting_bytes(work);
  return sum;
}

template <typename Real>
linear_cost model_stage<Real>::cost_of(std::int64_t (model_stage::*bytes)(const workload&)
                                           const) const {
  return cost_per({.tile = static_cast<double>((this->*bytes)({.tiles = 1})),
                   .token = static_cast<double>((this->*bytes)({.tokens = 1}))});
}

template <typename Real>
linear_cost model_stage<Real>::saved_cost() const {
  return cost_of(&model_stage::saved_bytes);
}

template <typename Real>
linear_cost model_stage<Real>::waiting_cost() const {
  return cost_of(&model_stage::waiting_bytes);
}

template <typename Real>
pass_peaks model_stage<Real>::predicted_peaks(const workload& work) const {
  pass_peaks most;
  std::int64_t saved_before = 0;  // by the layers before the one that runs
  std::int64_t waiting_before = 0;
  const std::int64_t waiting = waiting_bytes(work);
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const pass_peaks alone = layers_[l]->peak_bytes(work, layout_.kinds[l]);
    most.forward = std::max(most.forward, saved_before + alone.forward);
    if (!needs_[l].any()) continue;
    const std::int64_t own_waiting = waits(l) ? layers_[l]->waiting_bytes(work) : 0;
    const std::int64_t waiting_after = waiting - waiting_before - own_waiting;
    most.backward = std::max(most.backward, saved_before + alone.backward + waiting_after);
    if (waits(l))
      most.weight_gradient = std::max(most.weight_gradient, waiting_before + alone.weight_gradient);
    saved_before += layers_[l]->saved_bytes(work, layout_.kinds[l]);
    waiting_before += own_waiting;
  }
  return most;
}

template <typename Real>
linear_cost model_stage<Real>::transient_cost() const {
  const auto beside_saved = [this](const workload& work) {
    const pass_peaks peaks = predicted_peaks(work);
    return std::max({peaks.forward, peaks.backward, peaks.weight_gradient}) - saved_bytes(work);
  };
  // Only logits do not grow with the tokens beyond those of a chunk: the bound has the growth of
  // very many tokens, and is high enough for one chunk.
  constexpr std::int64_t many = std::int64_t{1} << 36;
  constexpr std::int64_t chunk = head_chunk;
  const std::int64_t per_token =
      (beside_saved({.tokens = 2 * many}) - beside_saved({.tokens = many})) / many;
  const std::int64_t of_logits = beside_saved({.tokens = chunk}) - chunk * per_token;
  return cost_per({.constant = static_cast<double>(std::max<std::int64_t>(0, of_logits)),
                   .tile = static_cast<double>(beside_saved({.tiles = 1})),
                   .token = static_cast<double>(per_token)});
}

template <typename Real>
typename model_stage<Real>::running& model_stage<Real>::in_progress(std::size_t microbatch,
                                                                    progress after,
                                                                    std::string_view pass) {
  require_started(microbatch);
  if (microbatches_[microbatch].after != after)
    throw invalid_input("microbatch", microbatch,
                        "is not ready for its " + std::string(pass) +
                            ": forward, backward and a split weight gradient follow each other");
  return microbatches_[microbatch];
}

template <typename Real>
void model_stage<Real>::require_started(std::size_t microbatch) const {
  if (microbatch >= microbatches_.size())
    throw invalid_input(
        "microbatch", microbatch,
        "must be less than the number that was started, " + std::to_string(microbatches_.size()));
}

template <typename Real>
matrix<Real> model_stage<Real>::received(std::span<const Real> from, const extent& size,
                                         std::string_view field) {
  require_size(from.size(), size, field);
  if (size.columns == 0) return {};
  matrix<Real> rows(*on_, size.rows, size.columns);
  copy_in(*on_, from, rows.view().data);
  return rows;
}

template <typename Real>
void model_stage<Real>::pass_on(const matrix<Real>& from, std::span<Real> to, const extent& size,
                                std::string_view field) {
  require_size(to.size(), size, field);
  copy_out(*on_, from.view().data, to);
}

template class model_stage<float>;
template class model_stage<double>;

}  // namespace omnibal::trainer
