// SPDX-License-Identifier: Apache-2.0
/// @file
/// A model small enough to be computed twice: layer l maps each number x of its input to
/// tanh(w[l] · x). With it the engine is tested under every schedule without the trainer's layers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/plan_run.hpp>

namespace omnibal::test {

/// Numbers per token of a micro-batch.
inline constexpr std::size_t toy_width = 3;

/// The input of the first layer for a pack: different for every pack and token.
inline std::vector<float> toy_input(std::uint32_t pack, std::int64_t tokens) {
  std::vector<float> values(static_cast<std::size_t>(tokens) * toy_width);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::sin(1.0F + static_cast<float>(pack) * 3.7F + static_cast<float>(i));
  return values;
}

struct toy_parameter {
  std::size_t layer = 0;
  std::span<float> value = {};
  std::span<float> gradient = {};
};

/// Layers first … end − 1 of the toy, of which those below `frozen` are not trained. The loss is
/// the sum of squares of the last layer's output.
class toy_stage {
 public:
  toy_stage(const execution_plan& plan, std::size_t stage, std::uint32_t frozen = 0)
      : first_(plan.stages[stage].first_layer),
        is_last_(stage + 1 == plan.stages.size()),
        frozen_(frozen),
        splits_(plan.splits_backward) {
    for (std::uint32_t l = first_; l < plan.stages[stage].end_layer; ++l)
      weights_.push_back(1.0F + 0.1F * static_cast<float>(l));
    gradients_.resize(weights_.size());
  }

  /// inputs[m] is that of the first layer for micro-batch m.
  void begin_step(std::vector<std::vector<float>> inputs) {
    inputs_ = std::move(inputs);
    std::fill(gradients_.begin(), gradients_.end(), 0.0F);
    loss_ = 0;
  }

  /// From now on the forward of this micro-batch throws.
  void fail_at(std::size_t microbatch) { failing_ = static_cast<std::int64_t>(microbatch); }

  void forward(std::size_t m, std::span<const float> input, std::span<float> output) {
    if (static_cast<std::int64_t>(m) == failing_) throw std::runtime_error("planted failure");
    std::vector<float> x = first_ == 0 ? inputs_.at(m) : std::vector(input.begin(), input.end());
    auto& saved = saved_[m];
    for (const float weight : weights_) {
      saved.push_back(x);
      for (float& value : x) value = std::tanh(weight * value);
    }
    peak_ = bytes_held() + static_cast<std::int64_t>(x.size() * sizeof(float));
    if (is_last_)
      for (const float value : x) loss_ += double{value} * value;
    else
      std::copy(x.begin(), x.end(), output.begin());
  }

  void backward(std::size_t m, std::span<const float> output_gradient,
                std::span<float> input_gradient) {
    auto& saved = saved_.at(m);
    std::vector<float> slope(output_gradient.begin(), output_gradient.end());
    if (is_last_) slope.assign(saved.back().size(), 0.0F);
    for (std::size_t l = weights_.size(); l-- > 0;) {
      for (std::size_t i = 0; i < slope.size(); ++i) {
        const float x = saved[l][i];
        const float y = std::tanh(weights_[l] * x);
        if (is_last_ && l + 1 == weights_.size()) slope[i] = 2 * y;
        slope[i] *= 1 - y * y;
        saved[l][i] = x * slope[i];
        slope[i] *= weights_[l];
      }
    }
    if (!splits_) weight_gradient(m);
    if (!input_gradient.empty()) std::copy(slope.begin(), slope.end(), input_gradient.begin());
  }

  void weight_gradient(std::size_t m) {
    const auto& products = saved_.at(m);
    for (std::size_t l = 0; l < weights_.size(); ++l)
      if (first_ + l >= frozen_)
        for (const float product : products[l]) gradients_[l] += product;
    saved_.erase(m);
  }

  [[nodiscard]] std::vector<toy_parameter> parameters() {
    std::vector<toy_parameter> all;
    for (std::size_t l = 0; l < weights_.size(); ++l)
      all.push_back({.layer = first_ + l,
                     .value = std::span(weights_).subspan(l, 1),
                     .gradient = std::span(gradients_).subspan(l, 1)});
    return all;
  }

  [[nodiscard]] std::int64_t bytes_held() const {
    std::size_t values = 0;
    for (const auto& [m, layers] : saved_)
      for (const auto& each : layers) values += each.size();
    return static_cast<std::int64_t>(values * sizeof(float));
  }

  /// A forward holds one more layer's numbers while it runs.
  [[nodiscard]] std::int64_t peak_bytes() const { return std::max(peak_, bytes_held()); }
  void restart_peak() { peak_ = bytes_held(); }

  [[nodiscard]] double loss() const { return loss_; }

 private:
  std::uint32_t first_;
  bool is_last_;
  std::uint32_t frozen_;
  bool splits_;
  std::vector<float> weights_;
  std::vector<float> gradients_;
  std::vector<std::vector<float>> inputs_;
  // Of each layer: the input, from the backward on its product with the gradient.
  std::map<std::size_t, std::vector<std::vector<float>>> saved_;
  std::int64_t peak_ = 0;
  std::int64_t failing_ = -1;
  double loss_ = 0;
};

/// The costs of a layer of the toy.
inline layer_cost toy_layer(std::size_t number, bool trained) {
  constexpr std::int64_t one = std::int64_t{1} << fixed_point_bits;
  const auto per_token = [](std::int64_t amount) { return linear_cost{.per_token = amount * one}; };
  constexpr auto bytes = static_cast<std::int64_t>(toy_width * sizeof(float));
  return {
      .name = "layer" + std::to_string(number),
      .parameters = 1,
      .trainable = trained,
      .forward_time = per_token(10),
      .backward_time = per_token(20),
      .weight_gradient_time = per_token(10),
      .output_bytes = per_token(bytes),
      .modes = {{.name = "none", .kind = recompute_kind::none, .saved_bytes = per_token(bytes)}}};
}

/// How many packs each replica has in each step.
using pack_counts = std::vector<std::vector<std::size_t>>;

/// A plan of the toy with two layers per stage: counts[step][replica] packs of one sample each.
inline execution_plan toy_plan(any_schedule kind, std::size_t devices, std::size_t virtual_stages,
                               const pack_counts& counts, std::size_t frozen = 0) {
  std::vector<layer_cost> chain;
  pipeline_plan cuts{.cuts = {0}};
  for (std::size_t j = 0; j < devices * virtual_stages; ++j) {
    for (int k = 0; k < 2; ++k) chain.push_back(toy_layer(chain.size(), chain.size() >= frozen));
    cuts.cuts.push_back(chain.size());
  }
  cuts.modes.assign(chain.size(), 0);

  std::vector<vision_language_sample> samples;
  grouping<std::uint32_t> packs;
  dispatch_plan dispatch{.ranks = static_cast<std::uint32_t>(counts[0].size())};
  for (const auto& step : counts)
    for (const std::size_t count : step) {
      for (std::size_t k = 0; k < count; ++k) {
        const auto sample = static_cast<std::uint32_t>(samples.size());
        samples.push_back({1, 2 + sample * 5 % 9});
        packs.append(std::vector<std::uint32_t>{sample});
        dispatch.groups.push_back(sample);
      }
      dispatch.groups.close_group();
    }
  const run_problem problem{.samples = samples,
                            .chain = chain,
                            .schedule = kind,
                            .stages = devices,
                            .virtual_stages = virtual_stages,
                            .data_parallel = counts[0].size(),
                            .global_batch = 1,
                            .memory = {.limit = std::int64_t{1} << 40}};
  const auto run = evaluate_run(problem, packs, dispatch, {100, 10000}, cuts);
  return make_execution_plan(problem, run.strategy);
}

}  // namespace omnibal::test
