// SPDX-License-Identifier: Apache-2.0
// The costs of layers, measured and as a file.
#include "profile.hpp"

#include <chrono>
#include <cstddef>

#include <nlohmann/json.hpp>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "costs_file.hpp"
#include "data.hpp"
#include "model.hpp"
#include "model_stage.hpp"
#include "short_runs.hpp"

using namespace omnibal;
using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

TEST_CASE("costs are read as they were written, and other files are refused by name") {
  const auto chain = made_up_chain(narrow_model());
  const nlohmann::json json = costs_to_json(chain, element_type::f32);
  const auto read_from = [](const nlohmann::json& from) {
    return costs_from_json(from, element_type::f32, "file");
  };
  auto read = read_from(nlohmann::json::parse(json.dump()));
  CHECK(read != chain);  // what layers are is not in the file: the model says it
  describe_layers(read, narrow_model(), 1);
  CHECK(read == chain);
  nlohmann::json other = json;
  other["layers"][1]["forward_time"] = {1, 2, 3};
  CHECK_THROWS_AS(read_from(other), invalid_input);
  other = json;
  other["layers"][1]["forward_time"][2] = -1;
  CHECK_THROWS_WITH(read_from(other), "cost = -1: must not be negative");
  CHECK_THROWS_WITH(read_from({{"format", "x"}}), Catch::Matchers::StartsWith("file = "));
  CHECK_THROWS_WITH(costs_from_json(json, element_type::bf16, "file"),
                    "file = f32: is the precision of these costs, this run has bf16: each needs a "
                    "file of its own");
}

TEST_CASE("a profile has the bytes that the layers declare and times of every direction") {
  const model_config config = narrow_model();
  const picture_task task({.seed = 4});
  const auto chain = measured_chain(
      config, task, {.samples = {1, 2, 3, 4}, .time = std::chrono::milliseconds(0), .replicas = 2});
  REQUIRE(chain.size() == layer_count(config));
  const workload work{.tiles = 6, .tokens = 50, .squared_tokens = 500};
  for (std::size_t l = 0; l < chain.size(); ++l) {
    INFO(chain[l].name);
    CHECK(chain[l].name == layer_names(config)[l]);
    CHECK(chain[l].forward_time.of(work) > 0);
    CHECK(chain[l].backward_time.of(work) > 0);
    CHECK(chain[l].output_bytes == output_cost(config, l));
    // Weights and gradients; half of four numbers for each element of whole blocks.
    CHECK(chain[l].static_bytes ==
          8 * chain[l].parameters + 8 * 1024 * ((chain[l].parameters + 1023) / 1024));
    for (const mode_cost& mode : chain[l].modes) {
      const model_stage<float> stage(config,
                                     {.first_layer = l, .end_layer = l + 1, .kinds = {mode.kind}});
      CHECK(mode.saved_bytes == stage.saved_cost());
      CHECK(mode.transient_bytes == stage.transient_cost());
      CHECK(mode.saved_for_weight_gradient.has_value() == (mode.kind == recompute_kind::none));
    }
  }
  // Blocks have all three kinds, the embedding has nothing to recompute.
  CHECK(chain[1].modes.size() == 3);
  CHECK(chain[4].modes.size() == 1);
}
