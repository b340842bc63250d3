// SPDX-License-Identifier: Apache-2.0
// The bytes of a stage are those that its layers say.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <omnibal/comm/tensor.hpp>

#include "catch.hpp"
#include "model_runs.hpp"
#include "model_stage.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::element_type;
using omnibal::frozen_part;
using omnibal::recompute_kind;
using omnibal::workload;

namespace {

workload workload_of(const model_config& config, const microbatch& batch) {
  return {.tiles = static_cast<std::int64_t>(batch.pixels.size() / config.tiles.pixels()),
          .tokens = static_cast<std::int64_t>(batch.tokens())};
}

/// The most bytes within each pass of a stage, one micro-batch alone, as they were allocated.
pass_peaks measured_peaks(model_stage<float>& stage, std::size_t m, bool splits, bool needs_any) {
  std::vector<float> in(stage.input(m).size(), 0.5F);
  std::vector<float> out(stage.output(m).size());
  pass_peaks found;
  stage.restart_peak();
  stage.forward(m, in, out);
  found.forward = stage.peak_bytes();
  stage.restart_peak();
  stage.backward(m, needs_any ? out : std::vector<float>(), {});
  found.backward = stage.peak_bytes();
  stage.restart_peak();
  if (splits) stage.weight_gradient(m);
  found.weight_gradient = stage.peak_bytes();
  return found;
}

/// Micro-batches of the tests; one more has no tokens, and one more tokens than two chunks of
/// logits.
std::vector<microbatch> batches_of_all_sizes(const model_config& config) {
  std::vector<microbatch> batches = some_batches(config);
  batches.emplace_back();
  batches.push_back(batch_of(config, {{2, 280}}));
  return batches;
}

void check_peaks(const model_config& config, const stage_layout& layout) {
  const auto batches = batches_of_all_sizes(config);
  model_stage<float> stage(config, layout);
  const bool needs_any = gradients_of(config)[layout.end_layer - 1].any();
  for (std::size_t m = 0; m < batches.size(); ++m) {
    INFO(name_of(config.numbers) << ", frozen " << to_string(config.frozen) << ", layers "
                                 << layout.first_layer << " to " << layout.end_layer << ", "
                                 << to_string(layout.kinds[0]) << ", split "
                                 << layout.splits_backward << ", micro-batch " << m);
    stage.begin_step(batches);
    const workload work = workload_of(config, batches[m]);
    const pass_peaks predicted = stage.predicted_peaks(work);
    const pass_peaks found = measured_peaks(stage, m, layout.splits_backward, needs_any);
    CHECK(found.forward == predicted.forward);
    CHECK(found.backward == predicted.backward);
    CHECK(found.weight_gradient == predicted.weight_gradient * layout.splits_backward);
    const std::int64_t bound = stage.saved_bytes(work) + stage.transient_cost().of(work);
    CHECK(std::max({found.forward, found.backward, found.weight_gradient}) <= bound);
  }
}

}  // namespace

TEST_CASE("saved and waiting bytes are those that layers say, to the byte") {
  const model_config config = micro_model();
  std::vector<microbatch> batches = some_batches(config);
  batches.emplace_back();
  const std::size_t layers = layer_count(config);
  std::vector<step_plan> plans;
  for (const recompute_kind kind : all_kinds)
    for (const bool split : {false, true}) {
      plans.push_back(one_stage(config, kind));
      plans.back().splits_backward = split;
      plans.back().cuts.clear();
      for (std::size_t l = 0; l <= layers; ++l) plans.back().cuts.push_back(l);
    }
  plans.push_back({.cuts = {0, 3, layers}, .kinds = mixed_kinds(config), .splits_backward = true});
  for (const step_plan& plan : plans) {
    auto stages = stages_of<float>(config, plan);
    for (auto& stage : stages) stage.begin_step(batches);
    std::vector<std::int64_t> expected(stages.size(), 0);
    const auto check_all = [&](std::size_t m, std::int64_t saved, std::int64_t waiting) {
      for (std::size_t s = 0; s < stages.size(); ++s) {
        const workload work{
            .tiles = static_cast<std::int64_t>(batches[m].pixels.size() / config.tiles.pixels()),
            .tokens = static_cast<std::int64_t>(batches[m].tokens())};
        expected[s] +=
            saved * stages[s].saved_bytes(work) + waiting * stages[s].waiting_bytes(work);
        INFO("stage " << s << ", micro-batch " << m);
        CHECK(stages[s].bytes_held() == expected[s]);
      }
    };
    for (std::size_t m = 0; m < batches.size(); ++m) {
      run_forward(stages, m);
      check_all(m, 1, 0);
    }
    std::vector<std::int64_t> peaks = expected;
    for (std::size_t m = 0; m < batches.size(); ++m) {
      run_backward(stages, m, false);
      check_all(m, -1, 1);
    }
    for (std::size_t m = 0; plan.splits_backward && m < batches.size(); ++m) {
      for (auto& stage : stages) stage.weight_gradient(m);
      check_all(m, 0, -1);
    }
    for (std::size_t s = 0; s < stages.size(); ++s) {
      CHECK(stages[s].bytes_held() == 0);
      CHECK(stages[s].peak_saved_bytes() == peaks[s]);
      CHECK(stages[s].peak_bytes() >= peaks[s]);
    }
  }
}

TEST_CASE("frozen layers take the bytes of their weights, and save nothing below what is trained") {
  model_config config = micro_model();
  const std::size_t layers = layer_count(config);
  for (const frozen_part frozen : {frozen_part::vision, frozen_part::language})
    for (const recompute_kind kind : all_kinds)
      for (std::size_t l = 0; l < layers; ++l) {
        INFO(to_string(frozen) << ", layer " << l);
        const stage_layout layout{.first_layer = l, .end_layer = l + 1, .kinds = {kind}};
        config.frozen = frozen_part::none;
        const model_stage<float> trained(config, layout);
        config.frozen = frozen;
        model_stage<float> stage(config, layout);
        const omnibal::gradient_needs needs = gradients_of(config)[l];
        CHECK(stage.parameter_bytes() == trained.parameter_bytes() / (needs.of_weights ? 1 : 2));
        const workload work{.tiles = 3, .tokens = 95};
        CHECK(stage.saved_bytes(work) == (needs.any() ? trained.saved_bytes(work) : 0));
        stage.begin_step(some_batches(config));
        std::vector<float> in(stage.input(2).size(), 0.5F);
        std::vector<float> out(stage.output(2).size());
        stage.forward(2, in, out);
        CHECK(stage.bytes_held() == stage.saved_bytes({.tiles = 4,
                                                       .tokens = static_cast<std::int64_t>(
                                                           some_batches(config)[2].tokens())}));
        stage.backward(2, needs.any() ? out : std::vector<float>(), {});
        CHECK(stage.bytes_held() == 0);
      }
}

TEST_CASE("saved bytes are linear in the workload, and what waits is a part of them") {
  const model_config config = micro_model();
  for (std::size_t l = 0; l < layer_count(config); ++l) {
    std::int64_t before = std::numeric_limits<std::int64_t>::max();
    for (const recompute_kind kind : all_kinds) {
      const model_stage<float> layer(
          config, {.first_layer = l, .end_layer = l + 1, .kinds = {kind}, .splits_backward = true});
      const auto of_tile = layer.saved_bytes({.tiles = 1});
      const auto of_token = layer.saved_bytes({.tokens = 1});
      const workload work{.tiles = 5, .tokens = 77, .squared_tokens = 900};
      CHECK(layer.saved_bytes(work) == 5 * of_tile + 77 * of_token);
      CHECK(layer.waiting_bytes(work) <= layer.saved_bytes(work));
      CHECK((kind == recompute_kind::none || layer.waiting_bytes(work) == 0));
      CHECK(layer.saved_cost().of(work) == layer.saved_bytes(work));
      CHECK(layer.saved_bytes(work) <= before);
      before = layer.saved_bytes(work);
    }
  }
}

TEST_CASE("what full recomputation saves of a block is its input") {
  const model_config config = micro_model();
  const workload work{.tiles = 5, .tokens = 77};
  for (const std::size_t l : {std::size_t{1}, std::size_t{5}}) {
    const model_stage<float> layer(
        config, {.first_layer = l, .end_layer = l + 1, .kinds = {recompute_kind::full}});
    CHECK(layer.saved_bytes(work) ==
          static_cast<std::int64_t>(output_of(config, l, work).size() * sizeof(float)));
  }
}

TEST_CASE("the bytes within the passes of a layer are those that it says, to the byte") {
  for (const element_type numbers : {element_type::f32, element_type::bf16})
    for (const frozen_part frozen :
         {frozen_part::none, frozen_part::vision, frozen_part::language}) {
      model_config config = micro_model_of(numbers);
      config.frozen = frozen;
      for (std::size_t l = 0; l < layer_count(config); ++l)
        for (const recompute_kind kind : all_kinds)
          for (const bool splits : {false, true})
            check_peaks(
                config,
                {.first_layer = l, .end_layer = l + 1, .kinds = {kind}, .splits_backward = splits});
    }
}

TEST_CASE("in a stage, layers before have what they saved and layers after what waits") {
  for (const element_type numbers : {element_type::f32, element_type::bf16})
    for (const frozen_part frozen : {frozen_part::none, frozen_part::vision, frozen_part::language})
      for (std::size_t shift = 0; shift < 3; ++shift) {
        model_config config = micro_model_of(numbers);
        config.frozen = frozen;
        const std::size_t layers = layer_count(config);
        const std::vector<recompute_kind> kinds = mixed_kinds(config, shift);
        for (const std::size_t cut : {std::size_t{2}, std::size_t{5}})
          for (const bool splits : {false, true}) {
            const auto middle = kinds.begin() + static_cast<std::ptrdiff_t>(cut);
            check_peaks(config, {.first_layer = 0,
                                 .end_layer = cut,
                                 .kinds = {kinds.begin(), middle},
                                 .splits_backward = splits});
            check_peaks(config, {.first_layer = cut,
                                 .end_layer = layers,
                                 .kinds = {middle, kinds.end()},
                                 .splits_backward = splits});
          }
      }
}

TEST_CASE("what passes need beside the saved bytes is known exactly of transformer blocks") {
  for (const element_type numbers : {element_type::f32, element_type::bf16}) {
    const model_config config = micro_model_of(numbers);
    for (const std::size_t l : {std::size_t{1}, std::size_t{5}})
      for (const recompute_kind kind : all_kinds) {
        const model_stage<float> stage(config,
                                       {.first_layer = l, .end_layer = l + 1, .kinds = {kind}});
        const workload work{.tiles = 5, .tokens = 77};
        CHECK(stage.predicted_peaks(work).backward ==
              stage.saved_bytes(work) + stage.transient_cost().of(work));
      }
  }
}

TEST_CASE("bounds hold for heads of any vocabulary and any number of tokens") {
  for (const element_type numbers : {element_type::f32, element_type::bf16})
    for (const std::int64_t vocabulary : {1, 11, 300, 100'000}) {
      model_config config = micro_model_of(numbers);
      config.shape.language.vocabulary = vocabulary;
      const std::size_t last = layer_count(config) - 1;
      const model_stage<float> head(
          config,
          {.first_layer = last, .end_layer = last + 1, .kinds = {recompute_kind::selective}});
      for (const std::int64_t tokens : {0, 1, 127, 128, 129, 1000, 1'000'000}) {
        INFO(name_of(numbers) << ", vocabulary " << vocabulary << ", tokens " << tokens);
        const workload work{.tokens = tokens};
        const pass_peaks peaks = head.predicted_peaks(work);
        const std::int64_t bound = head.saved_bytes(work) + head.transient_cost().of(work);
        CHECK(std::max(peaks.forward, peaks.backward) <= bound);
        CHECK(bound <= std::max(peaks.forward, peaks.backward) +
                           128 * vocabulary * (numbers == element_type::f32 ? 4 : 6));
      }
    }
}
