// SPDX-License-Identifier: Apache-2.0
// The chain of a model from shape, device and profile in one call.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/chain_costs.hpp>
#include <omnibal/cost/presets.hpp>

#include "../catch.hpp"
#include "preset.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;
using omnibal::test::preset;
using names = std::vector<std::string>;

namespace {

chain_problem small_problem(std::int64_t tensor_parallel = 2) {
  chain_problem problem{.model = preset("internvl2-8b"),
                        .device = device_presets()[0],
                        .setup = {.tensor_parallel = tensor_parallel, .data_parallel = 4}};
  problem.model.vision.layers = 3;
  problem.model.language.layers = 2;
  return problem;
}

names names_of(const std::vector<layer_cost>& chain) {
  names list;
  for (const layer_cost& layer : chain) list.push_back(layer.name);
  return list;
}

const layer_cost& named(const std::vector<layer_cost>& chain, const std::string& name) {
  return *std::ranges::find(chain, name, &layer_cost::name);
}

/// Forwards of 1 ms per tile, saved bytes of 5000 per tile but for the errors of a measurement.
std::vector<measured_layer> vision_rows(double error = 0) {
  std::vector<measured_layer> rows;
  for (std::int64_t tiles = 1; tiles <= 8; ++tiles)
    rows.push_back({.name = "vision",
                    .work = {.tiles = tiles, .tokens = 100 + tiles, .squared_tokens = 9000},
                    .forward_time = 1e6 * static_cast<double>(tiles),
                    .saved_bytes = 5e3 * static_cast<double>(tiles) *
                                   (1 + error * (tiles % 2 == 0 ? 1 : -1))});
  return rows;
}

std::string refusal(const chain_problem& problem) {
  try {
    (void)cost_chain(problem);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A chain without a profile is predicted, every layer of it") {
  for (const std::int64_t tp : {1, 2, 8}) {
    const chain_problem problem = small_problem(tp);
    const chain_costs costs = cost_chain(problem);
    CHECK(costs.chain == cost_layers(problem.model, problem.device, problem.setup));
    CHECK(costs.analytic == names_of(costs.chain));
    CHECK(costs.partly.empty());
    CHECK(costs.margin == 0.0);
    CHECK(costs.division.padded == padded_model(problem.model, tp));
  }
}

TEST_CASE("A chain with a profile has the fitted costs of measured layers, else the predicted") {
  chain_problem problem = small_problem();
  const auto predicted = cost_chain(problem).chain;
  problem.profile = fit_profile(vision_rows(), 2);
  const chain_costs costs = cost_chain(problem);
  const workload work{.tiles = 3, .tokens = 100, .squared_tokens = 10'000};
  for (const std::string name : {"vision0", "vision1", "vision2"}) {
    INFO(name);
    const layer_cost& layer = named(costs.chain, name);
    CHECK(std::abs(layer.forward_time.of(work) - 3'000'000) <= 1);
    CHECK(std::abs(layer.modes[0].saved_bytes.of(work) - 15'000) <= 1);
    CHECK(layer.backward_time == named(predicted, name).backward_time);
    CHECK(layer.static_bytes == named(predicted, name).static_bytes);
  }
  CHECK(costs.partly == names{"vision0", "vision1", "vision2"});
  CHECK(costs.analytic == names{"projector", "embedding", "language0", "language1", "head"});
  for (const std::string& name : costs.analytic)
    CHECK(named(costs.chain, name) == named(predicted, name));
  CHECK(costs.margin < 1e-6);
}

TEST_CASE("The margin of a chain covers every measured byte") {
  chain_problem problem = small_problem();
  const auto rows = vision_rows(0.1);
  problem.profile = fit_profile(rows);
  const chain_costs costs = cost_chain(problem);
  CHECK(costs.margin > 0.05);
  CHECK(costs.margin == suggested_margin(problem.profile->fits));
  const linear_cost& saved = named(costs.chain, "vision1").modes[0].saved_bytes;
  for (const measured_layer& row : rows)
    CHECK(static_cast<double>(saved.of(row.work)) * (1 + costs.margin) >= *row.saved_bytes - 1);
}

TEST_CASE("A profile measured at another tensor parallelism is refused") {
  chain_problem problem = small_problem(2);
  problem.profile = fit_profile(vision_rows(), 4);
  CHECK_THAT(refusal(problem), ContainsSubstring("profile.tensor_parallel = 4: "));
  CHECK_THAT(refusal(problem), ContainsSubstring("this run, 2"));
  problem.profile->tensor_parallel = 2;
  CHECK(refusal(problem).empty());
  problem.profile->tensor_parallel.reset();
  CHECK(refusal(problem).empty());
}

TEST_CASE("A fit that the model has no layer or no mode for is refused by its number") {
  chain_problem problem = small_problem();
  auto rows = vision_rows();
  rows.push_back({.name = "audio", .work = {.tokens = 5, .squared_tokens = 25}, .forward_time = 4});
  problem.profile = fit_profile(rows);
  CHECK_THAT(refusal(problem),
             ContainsSubstring("profile.fits[1] = audio: is no layer of the model"));
  rows.back() = {.name = "vision", .mode = "half", .work = {.tiles = 1}, .saved_bytes = 9};
  problem.profile = fit_profile(rows);
  CHECK_THAT(refusal(problem),
             ContainsSubstring("profile.fits[0] = half: is no mode of layer vision0"));
}

TEST_CASE("What a chain rests on is checked before its profile") {
  chain_problem problem = small_problem(3);
  problem.profile = fit_profile(vision_rows(), 4);
  CHECK_THAT(refusal(problem), ContainsSubstring("tensor_parallel = 3: must divide"));
  problem = small_problem();
  problem.device.matrix_flops = 0;
  CHECK_THAT(refusal(problem), ContainsSubstring("matrix_flops"));
}

TEST_CASE("A profile has the most tiles and the most tokens of its measurements") {
  std::vector<measured_layer> rows = vision_rows();
  rows.push_back(
      {.name = "head", .work = {.tokens = 700, .squared_tokens = 490'000}, .forward_time = 9});
  const layer_profile profile = fit_profile(rows, 8);
  CHECK(profile.measurements == 9);
  CHECK(profile.tensor_parallel == 8);
  CHECK(profile.largest.tiles == 8);
  CHECK(profile.largest.tokens == 700);
  CHECK(profile.fits.size() == 2);
  CHECK(!is_extrapolated(profile, {.tiles = 8, .tokens = 700}));
  CHECK(is_extrapolated(profile, {.tiles = 9, .tokens = 1}));
  CHECK(is_extrapolated(profile, {.tiles = 0, .tokens = 701}));
  CHECK_THROWS_AS(fit_profile({}), invalid_input);
}
