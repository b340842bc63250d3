// SPDX-License-Identifier: Apache-2.0

#include "model.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "model_runs.hpp"
#include "model_stage.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;
using omnibal::recompute_kind;

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
