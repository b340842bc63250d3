// SPDX-License-Identifier: Apache-2.0
/// @file
/// Small models and micro-batches, and a step of a model cut into stages, run one operation after
/// the other: what the tests of the trainer's layers compare.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "model_stage.hpp"

namespace omnibal::trainer::tests {

/// A model of a few thousand parameters; two heads share a key.
inline model_config micro_model() {
  model_config config = model_of("tiny", 11);
  config.shape.vision.hidden = 8;
  config.shape.vision.heads = 2;
  config.shape.vision.ffn = 12;
  config.shape.language.layers = 2;
  config.shape.language.hidden = 16;
  config.shape.language.kv_heads = 2;
  config.shape.language.ffn = 10;
  config.shape.projector = {{32, 16}, {16, 16}};
  config.tiles = {.side = 8, .patch = 2, .merge = 2};
  return config;
}

inline model_config micro_model_of(element_type numbers) {
  model_config config = micro_model();
  config.numbers = numbers;
  return config;
}

struct document {
  std::size_t tiles = 0;
  std::size_t text = 1;  ///< Tokens, of which the last has no target.
};

/// A micro-batch of documents, images first. The numbers of each document depend on its tiles and
/// text alone, so that it is the same in any micro-batch. Weights vary between tokens.
inline microbatch batch_of(const model_config& config, const std::vector<document>& documents) {
  microbatch batch;
  for (const document& one : documents) {
    std::mt19937 random(static_cast<std::uint32_t>(one.tiles * 1000 + one.text));
    const std::size_t images = one.tiles * config.tiles.image_rows();
    for (std::size_t p = 0; p < one.tiles * config.tiles.pixels(); ++p)
      batch.pixels.push_back(static_cast<float>(random() % 1000) / 1000 - 0.5F);
    for (std::size_t t = 0; t < images + one.text; ++t) {
      if (t < images) batch.image_slots.push_back(static_cast<std::int32_t>(batch.tokens()));
      batch.token_ids.push_back(static_cast<std::int32_t>(random() % config.vocabulary()));
      batch.position_ids.push_back(static_cast<std::int32_t>(t));
      const bool counts = t >= images && t + 1 < images + one.text;
      batch.targets.push_back(counts ? static_cast<std::int32_t>(random() % config.vocabulary())
                                     : no_target);
      batch.loss_weights.push_back(counts ? 0.01F * static_cast<float>(1 + random() % 3) : 0.0F);
    }
    batch.cu_seqlens.push_back(static_cast<std::int32_t>(batch.tokens()));
  }
  return batch;
}

/// Three micro-batches: images and text, text alone, and one whose logits are in two chunks.
inline std::vector<microbatch> some_batches(const model_config& config) {
  return {batch_of(config, {{1, 5}, {0, 3}, {2, 7}, {0, 1}}), batch_of(config, {{0, 9}, {0, 4}}),
          batch_of(config, {{3, 90}, {1, 50}})};
}

/// How a step is run.
struct step_plan {
  std::vector<std::size_t> cuts = {};  ///< First layer of each stage; then the number of layers.
  std::vector<recompute_kind> kinds = {};  ///< One per layer.
  bool splits_backward = false;
  bool all_forwards_first = false;
};

inline constexpr std::array all_kinds = {recompute_kind::none, recompute_kind::selective,
                                         recompute_kind::full};

/// All kinds, neighbours unlike, from another one on for every shift.
inline std::vector<recompute_kind> mixed_kinds(const model_config& config, std::size_t shift = 0) {
  std::vector<recompute_kind> kinds;
  for (std::size_t l = 0; l < layer_count(config); ++l)
    kinds.push_back(all_kinds[(l * 5 + 1 + shift) % all_kinds.size()]);
  return kinds;
}

inline step_plan one_stage(const model_config& config, recompute_kind kind = recompute_kind::none) {
  return {.cuts = {0, layer_count(config)}, .kinds = std::vector(layer_count(config), kind)};
}

template <typename Real>
std::vector<model_stage<Real>> stages_of(const model_config& config, const step_plan& plan,
                                         std::uint64_t seed = 7) {
  std::vector<model_stage<Real>> stages;
  for (std::size_t s = 0; s + 1 < plan.cuts.size(); ++s)
    stages.push_back(model_stage<Real>(
        config, {.first_layer = plan.cuts[s],
                 .end_layer = plan.cuts[s + 1],
                 .kinds = {plan.kinds.begin() + static_cast<std::ptrdiff_t>(plan.cuts[s]),
                           plan.kinds.begin() + static_cast<std::ptrdiff_t>(plan.cuts[s + 1])},
                 .splits_backward = plan.splits_backward,
                 .seed = seed}));
  return stages;
}

template <typename Real>
void run_forward(std::vector<model_stage<Real>>& stages, std::size_t m) {
  std::vector<Real> rows;
  for (auto& stage : stages) {
    std::vector<Real> out(stage.output(m).size());
    stage.forward(m, rows, out);
    rows = std::move(out);
  }
}

template <typename Real>
void run_backward(std::vector<model_stage<Real>>& stages, std::size_t m, bool split) {
  std::vector<Real> rows;
  for (std::size_t s = stages.size(); s-- > 0;) {
    std::vector<Real> in(stages[s].input(m).size());
    stages[s].backward(m, rows, in);
    rows = std::move(in);
  }
  for (auto& stage : stages)
    if (split) stage.weight_gradient(m);
}

/// Gradients by layer and name.
template <typename Real>
using gradients = std::map<std::pair<std::size_t, std::string>, std::vector<Real>>;

template <typename Real>
struct step_outcome {
  double loss = 0;
  gradients<Real> of = {};
};

template <typename Real>
gradients<Real> gradients_of(std::vector<model_stage<Real>>& stages) {
  gradients<Real> all;
  for (auto& stage : stages)
    for (const auto& one : stage.parameters())
      all[{one.layer, one.name}] = {one.gradient.begin(), one.gradient.end()};
  return all;
}

/// Runs a step on stages that were made for the plan.
template <typename Real>
step_outcome<Real> run_step(std::vector<model_stage<Real>>& stages, const step_plan& plan,
                            std::span<const microbatch> batches) {
  step_outcome<Real> outcome;
  for (auto& stage : stages) stage.begin_step(batches);
  for (std::size_t m = 0; m < batches.size(); ++m) {
    run_forward(stages, m);
    outcome.loss += stages.back().result(m).loss;
    if (!plan.all_forwards_first) run_backward(stages, m, plan.splits_backward);
  }
  for (std::size_t m = 0; plan.all_forwards_first && m < batches.size(); ++m)
    run_backward(stages, m, plan.splits_backward);
  outcome.of = gradients_of(stages);
  return outcome;
}

template <typename Real>
step_outcome<Real> run_step(const model_config& config, const step_plan& plan,
                            std::span<const microbatch> batches) {
  auto stages = stages_of<Real>(config, plan);
  return run_step(stages, plan, batches);
}

/// The largest difference of a parameter's gradients, relative to the length of the second.
template <typename Real>
double difference(const gradients<Real>& found, const gradients<Real>& expected) {
  double worst = found.size() == expected.size() ? 0 : 1;
  for (const auto& [name, values] : expected) {
    double apart = 0;
    double length = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      apart += std::pow(static_cast<double>(found.at(name)[i] - values[i]), 2);
      length += std::pow(static_cast<double>(values[i]), 2);
    }
    worst = std::max(worst, length > 0 ? std::sqrt(apart / length) : apart);
  }
  return worst;
}

}  // namespace omnibal::trainer::tests
