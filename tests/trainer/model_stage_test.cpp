// SPDX-License-Identifier: Apache-2.0

#include "model_stage.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "model_runs.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::frozen_part;
using omnibal::recompute_kind;
using omnibal::workload;

namespace {

constexpr std::array all_kinds = {recompute_kind::none, recompute_kind::selective,
                                  recompute_kind::full};

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

std::vector<recompute_kind> mixed_kinds(const model_config& config) {
  std::vector<recompute_kind> kinds;
  for (std::size_t l = 0; l < layer_count(config); ++l)
    kinds.push_back(all_kinds[(l * 5 + 1) % all_kinds.size()]);
  return kinds;
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

TEST_CASE("initial weights follow from seed and layer") {
  const model_config config = micro_model();
  const auto values = [&](std::vector<std::size_t> cuts, std::uint64_t seed) {
    step_plan plan = one_stage(config);
    plan.cuts = std::move(cuts);
    gradients<float> all;
    for (auto& stage : stages_of<float>(config, plan, seed))
      for (const auto& one : stage.parameters())
        all[{one.layer, one.name}] = {one.value.begin(), one.value.end()};
    return all;
  };
  const std::size_t layers = layer_count(config);
  const auto whole = values({0, layers}, 1);
  CHECK(whole == values({0, 2, 5, layers}, 1));
  const auto other = values({0, layers}, 2);
  CHECK(whole.at({1, "qkv"}) != other.at({1, "qkv"}));
  CHECK(whole.at({1, "qkv"}) != whole.at({2, "qkv"}));
  CHECK(whole.at({1, "up"}).front() != whole.at({1, "qkv"}).front());
}

TEST_CASE("initial weights are distributed as documented") {
  machine on;
  initial_values initial(on, 1, 0);
  const auto weights = initial.weights<double>("w", 48, 500);
  double sum = 0;
  double squares = 0;
  const auto all = weights.value.view();
  for (std::size_t i = 0; i < all.size(); ++i) {
    sum += all.data[i];
    squares += all.data[i] * all.data[i];
  }
  const auto count = static_cast<double>(all.size());
  CHECK(std::abs(sum / count) < 0.002);
  CHECK(std::sqrt(squares / count) == Approx(1.0 / 12).epsilon(0.02));
}

TEST_CASE("models have the parameters that the library counts") {
  const std::string name = GENERATE("tiny", "small");
  const model_config config = model_of(name, 40);
  std::int64_t count = 0;
  for (std::size_t l = 0; l < layer_count(config); ++l) {
    model_stage<float> stage(
        config, {.first_layer = l, .end_layer = l + 1, .kinds = {recompute_kind::none}});
    std::int64_t of_layer = 0;
    for (const auto& one : stage.parameters())
      of_layer += static_cast<std::int64_t>(one.value.size());
    CHECK(stage.parameter_bytes() == 8 * of_layer);
    count += of_layer;
  }
  CHECK(count == parameter_count(config));
}

TEST_CASE("models have the sizes that their names say") {
  const auto millions = [](std::string_view name) {
    return static_cast<double>(parameter_count(model_of(name, 40))) / 1e6;
  };
  CHECK(millions("tiny") == Approx(0.3).epsilon(0.1));
  CHECK(millions("small") == Approx(20).epsilon(0.1));
  CHECK(millions("1b") == Approx(1000).epsilon(0.1));
  for (const std::string_view name : model_names)
    CHECK(layer_names(model_of(name, 40)).size() == layer_count(model_of(name, 40)));
  CHECK(layer_names(micro_model()) == std::vector<std::string>{"patch_embedding", "vision0",
                                                               "vision1", "projector", "embedding",
                                                               "language0", "language1", "head"});
  CHECK_THROWS_WITH(model_of("huge", 40), "model = huge: must be tiny, small or 1b");
  CHECK_THROWS_WITH(model_of("tiny", 0), "vocabulary = 0: must be at least 1");
}

TEST_CASE("micro-batches that do not fit are refused by member, index and value") {
  const model_config config = micro_model();
  auto stages = stages_of<float>(config, one_stage(config));
  microbatch batch = batch_of(config, {{1, 5}, {0, 3}});
  std::string message;
  const auto refused = [&](auto&& change) {
    microbatch changed = batch;
    change(changed);
    try {
      stages[0].begin_step(std::vector{changed});
    } catch (const omnibal::invalid_input& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refused([](microbatch&) {}) == "accepted");
  CHECK(refused([](microbatch& one) { one.position_ids.pop_back(); }) ==
        "microbatch.position_ids = 11: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.targets.push_back(1); }) ==
        "microbatch.targets = 13: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.loss_weights.clear(); }) ==
        "microbatch.loss_weights = 0: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.pixels.pop_back(); }) ==
        "microbatch.pixels = 63: entries are given: must be a multiple of 64");
  CHECK(refused([](microbatch& one) { one.image_slots.pop_back(); }) ==
        "microbatch.image_slots = 3: entries are given: must be 4");
  CHECK(refused([](microbatch& one) { one.image_slots[1] = 0; }) ==
        "microbatch.image_slots[1] = 0: must be greater than the one before it");
  CHECK(refused([](microbatch& one) { one.image_slots[3] = 12; }) ==
        "microbatch.image_slots[3] = 12: must be at least 0 and less than 12");
  CHECK(refused([](microbatch& one) { one.token_ids[2] = 11; }) ==
        "microbatch.token_ids[2] = 11: must be at least 0 and less than 11");
  CHECK(refused([](microbatch& one) { one.targets[6] = -1; }) ==
        "microbatch.targets[6] = -1: must be at least 0 and less than 11");
  CHECK(refused([](microbatch& one) { one.cu_seqlens.back() = 11; }) ==
        "microbatch.cu_seqlens = 11: must ascend from 0 to the number of tokens, 12");
  CHECK(refused([](microbatch& one) { one.cu_seqlens = {}; }) ==
        "microbatch.cu_seqlens = 0: must ascend from 0 to the number of tokens, 12");
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
