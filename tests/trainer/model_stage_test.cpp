// SPDX-License-Identifier: Apache-2.0

#include "model_stage.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "model_runs.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::recompute_kind;

namespace {

/// The loss of one forward.
double loss_of(std::vector<model_stage<double>>& stages, std::span<const microbatch> batches) {
  double loss = 0;
  for (auto& stage : stages) stage.begin_step(batches);
  for (std::size_t m = 0; m < batches.size(); ++m) {
    run_forward(stages, m);
    loss += stages.back().result(m).loss;
  }
  return loss;
}

/// The slope of the loss along one entry of a parameter.
double slope_of(std::vector<model_stage<double>>& stages, std::span<const microbatch> batches,
                double& entry) {
  const double before = entry;
  const double step = 1e-5;
  entry = before + step;
  const double above = loss_of(stages, batches);
  entry = before - step;
  const double below = loss_of(stages, batches);
  entry = before;
  return (above - below) / (2 * step);
}

}  // namespace
TEST_CASE("gradients are the slopes of the loss") {
  const model_config config = micro_model();
  const std::vector batches = {batch_of(config, {{1, 5}, {0, 4}, {2, 3}})};
  const step_plan plan = one_stage(config);
  auto stages = stages_of<double>(config, plan);
  std::mt19937 random(3);
  // Gains of 1 and biases of 0 would hide factors and terms.
  for (auto& one : stages[0].parameters())
    for (double& value : one.value) value += 0.1 * (static_cast<double>(random() % 100) / 50 - 1);
  const auto outcome = run_step(stages, plan, batches);
  for (const auto& one : stages[0].parameters()) {
    INFO("layer " << one.layer << ", " << one.name);
    const std::vector<double>& gradient = outcome.of.at({one.layer, one.name});
    double length = 0;
    for (const double value : gradient) length = std::max(length, std::abs(value));
    CHECK(length > 1e-4);
    for (int k = 0; k < 6; ++k) {
      const std::size_t i = random() % one.value.size();
      CHECK(std::abs(slope_of(stages, batches, one.value[i]) - gradient[i]) < 1e-5 * length);
    }
  }
}

TEST_CASE("gradients are the same to the bit for all cuts, kinds and orders") {
  const model_config config = micro_model();
  const std::size_t layers = layer_count(config);
  const auto batches = some_batches(config);
  const auto expected = run_step<float>(config, one_stage(config), batches);
  REQUIRE(std::isfinite(expected.loss));
  const auto same = [&](const step_plan& plan) {
    const auto found = run_step<float>(config, plan, batches);
    return found.loss == expected.loss && found.of == expected.of;
  };
  for (const recompute_kind kind : all_kinds)
    for (const bool split : {false, true})
      for (const bool all_forwards_first : {false, true}) {
        step_plan plan = one_stage(config, kind);
        plan.splits_backward = split;
        plan.all_forwards_first = all_forwards_first;
        CHECK(same(plan));
        plan.cuts = {0, 2, 4, 5, layers};
        CHECK(same(plan));
      }
  for (std::size_t cut = 1; cut < layers; ++cut) {
    step_plan plan{.cuts = {0, cut, layers}, .kinds = mixed_kinds(config)};
    plan.splits_backward = cut % 2 == 0;
    CHECK(same(plan));
  }
}

TEST_CASE("packed documents have the gradients of documents alone") {
  const model_config config = micro_model();
  const std::vector<document> documents = {{1, 5}, {0, 90}, {2, 80}, {0, 1}, {0, 2}, {1, 1}};
  std::vector<microbatch> alone;
  for (const document& one : documents) alone.push_back(batch_of(config, {one}));
  const auto expected = run_step<float>(config, one_stage(config), alone);
  const auto difference_of = [&](const microbatch& packed) {
    const auto found = run_step<float>(config, one_stage(config), std::vector{packed});
    return std::max(difference(found.of, expected.of), std::abs(found.loss - expected.loss));
  };
  const microbatch packed = batch_of(config, documents);
  CHECK(difference_of(packed) < 1e-6);

  microbatch leaks = packed;  // two documents see each other
  leaks.cu_seqlens.erase(leaks.cu_seqlens.begin() + 2);
  CHECK(difference_of(leaks) > 1e-3);
  microbatch one_token = packed;  // one document sees the last token of the one before it
  --one_token.cu_seqlens[2];
  CHECK(difference_of(one_token) > 1e-4);
  microbatch weighted = packed;  // a token counts one and a half times
  weighted.loss_weights[weighted.tokens() / 2] *= 1.5F;
  CHECK(difference_of(weighted) > 1e-4);
  microbatch moved = packed;  // a document goes on with the positions of the one before it
  moved.position_ids[static_cast<std::size_t>(moved.cu_seqlens[2]) + 20] += 5;
  CHECK(difference_of(moved) > 1e-4);
}

TEST_CASE("a micro-batch does not change the next one") {
  const model_config config = micro_model();
  const auto batches = some_batches(config);
  const step_plan plan = one_stage(config);
  auto stages = stages_of<float>(config, plan);
  run_step(stages, plan, batches);
  const auto again = run_step(stages, plan, batches);
  CHECK(again.of == run_step<float>(config, plan, batches).of);
}

TEST_CASE("empty micro-batches leave loss and gradients at 0") {
  const model_config config = micro_model();
  const step_plan plan{.cuts = {0, 2, layer_count(config)}, .kinds = mixed_kinds(config)};
  const auto outcome = run_step<float>(config, plan, std::vector<microbatch>(2));
  CHECK(outcome.loss == 0);
  for (const auto& [name, values] : outcome.of)
    CHECK(std::ranges::all_of(values, [](float value) { return value == 0; }));
}

TEST_CASE("predictions are the most probable tokens, losses those of the definition") {
  const model_config config = micro_model();
  const microbatch batch = batch_of(config, {{1, 8}, {0, 6}});
  const std::size_t head_at = layer_count(config) - 1;
  model_stage<double> head(
      config, {.first_layer = head_at, .end_layer = head_at + 1, .kinds = {recompute_kind::none}});
  head.begin_step(std::vector{batch});
  std::vector<double> rows(head.input(0).size());
  std::mt19937 random(5);
  for (double& value : rows) value = static_cast<double>(random() % 200) / 100 - 1;
  head.forward(0, rows, {});
  const auto weights = head.parameters()[1].value;
  const std::size_t columns = head.input(0).columns;
  double loss = 0;
  for (std::size_t t = 0; t < batch.tokens(); ++t) {
    double squares = 0;
    for (std::size_t c = 0; c < columns; ++c) squares += std::pow(rows[t * columns + c], 2);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(columns) + 1e-5);
    std::vector<double> logits(config.vocabulary());
    double sum = 0;
    for (std::size_t v = 0; v < logits.size(); ++v) {
      for (std::size_t c = 0; c < columns; ++c)
        logits[v] += rows[t * columns + c] * scale * weights[c * logits.size() + v];
      sum += std::exp(logits[v]);
    }
    const auto largest = std::ranges::max_element(logits) - logits.begin();
    CHECK(head.result(0).predictions[t] == largest);
    if (batch.targets[t] == no_target) continue;
    loss += static_cast<double>(batch.loss_weights[t]) *
            (std::log(sum) - logits[static_cast<std::size_t>(batch.targets[t])]);
  }
  CHECK(head.result(0).loss == Approx(loss).epsilon(1e-12));
}

TEST_CASE("a forward can be forgotten") {
  const model_config config = micro_model();
  auto stages = stages_of<float>(config, one_stage(config));
  const auto batches = some_batches(config);
  stages[0].begin_step(batches);
  stages[0].forward(0, {}, {});
  const double loss = stages[0].result(0).loss;
  stages[0].forget(0);
  CHECK(stages[0].bytes_held() == 0);
  stages[0].forward(0, {}, {});
  CHECK(stages[0].result(0).loss == loss);
}

TEST_CASE("passes that do not follow each other are refused") {
  const model_config config = micro_model();
  auto stages = stages_of<float>(config, one_stage(config));
  auto& stage = stages[0];
  CHECK_THROWS_WITH(stage.forward(0, {}, {}),
                    "microbatch = 0: must be less than the number that was started, 0");
  stage.begin_step(some_batches(config));
  CHECK_THROWS_AS(stage.backward(0, {}, {}), omnibal::invalid_input);
  stage.forward(0, {}, {});
  CHECK_THROWS_AS(stage.forward(0, {}, {}), omnibal::invalid_input);
  CHECK_THROWS_AS(stage.weight_gradient(0), omnibal::invalid_input);
  std::vector<float> rows(3);
  CHECK_THROWS_WITH(stage.backward(0, rows, {}),
                    "out_gradient = 3: numbers are given: must be 0 rows of 0");
}

TEST_CASE("layouts that do not fit are refused") {
  const model_config config = micro_model();
  using stage = model_stage<float>;
  const auto none = recompute_kind::none;
  CHECK_THROWS_WITH(stage(config, {.first_layer = 2, .end_layer = 2}),
                    "layout.end_layer = 2: must be more than first_layer and at most 8");
  CHECK_THROWS_WITH(stage(config, {.first_layer = 7, .end_layer = 9, .kinds = {none, none}}),
                    "layout.end_layer = 9: must be more than first_layer and at most 8");
  CHECK_THROWS_WITH(stage(config, {.first_layer = 2, .end_layer = 4, .kinds = {none}}),
                    "layout.kinds = 1: are given: must be 2");
  CHECK_THROWS_WITH(
      stage(config, {.first_layer = 2, .end_layer = 3, .kinds = {recompute_kind::custom}}),
      "layout.kinds[0] = custom: must be none, selective or full");
}
