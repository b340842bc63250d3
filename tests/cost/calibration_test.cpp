// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/presets.hpp>

#include "../catch.hpp"

using namespace omnibal;
using names = std::vector<std::string>;

namespace {

std::vector<layer_cost> small_chain() {
  for (model_shape model : model_presets())
    if (model.id == "internvl2-8b") {
      model.vision.layers = 12;
      model.language.layers = 3;
      return cost_layers(model, device_presets()[0], {});
    }
  return {};
}

const layer_cost& named(const std::vector<layer_cost>& chain, const std::string& name) {
  return *std::ranges::find(chain, name, &layer_cost::name);
}

std::vector<workload> some_workloads() {
  std::vector<workload> all;
  for (std::int64_t k = 1; k <= 6; ++k)
    all.push_back(workload{.tiles = 1 + k % 4} + sample_workload(0, 300 * k) +
                  sample_workload(0, 100 * k * k));
  return all;
}

/// What a layer's cost says it takes, as if measured; under a name of one's choice.
std::vector<measured_layer> rows_of(const layer_cost& layer, const std::string& name) {
  const auto value = [](const linear_cost& cost, const workload& work) {
    return std::ldexp(static_cast<double>(cost.exactly(work)), -fixed_point_bits);
  };
  std::vector<measured_layer> rows;
  for (const mode_cost& mode : layer.modes)
    for (const workload& work : some_workloads())
      rows.push_back(
          {.name = name,
           .mode = mode.name,
           .work = work,
           .forward_time = value(layer.forward_time, work),
           .backward_time = value(layer.backward_time, work) + value(mode.extra_time, work),
           .saved_bytes = value(mode.saved_bytes, work),
           .transient_bytes = value(mode.transient_bytes, work)});
  return rows;
}

void append(std::vector<measured_layer>& rows, const std::vector<measured_layer>& more) {
  rows.insert(rows.end(), more.begin(), more.end());
}

bool close(const linear_cost& left, const linear_cost& right) {
  const auto near = [](std::int64_t a, std::int64_t b) {
    return std::abs(static_cast<double>(a - b)) <= 1 + 1e-6 * static_cast<double>(std::max(a, b));
  };
  return near(left.constant, right.constant) && near(left.per_tile, right.per_tile) &&
         near(left.per_token, right.per_token) &&
         near(left.per_squared_token, right.per_squared_token);
}

bool close(const layer_cost& left, const layer_cost& right) {
  bool same = close(left.forward_time, right.forward_time) &&
              close(left.backward_time, right.backward_time) &&
              close(left.weight_gradient_time, right.weight_gradient_time) &&
              left.modes.size() == right.modes.size();
  for (std::size_t m = 0; same && m < left.modes.size(); ++m)
    same = close(left.modes[m].extra_time, right.modes[m].extra_time) &&
           close(left.modes[m].saved_bytes, right.modes[m].saved_bytes) &&
           close(left.modes[m].transient_bytes, right.modes[m].transient_bytes);
  return same;
}

template <typename Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A chain calibrated by its own costs is the same chain") {
  const auto chain = small_chain();
  std::vector<measured_layer> rows;
  for (const layer_cost& layer : chain) append(rows, rows_of(layer, layer.name));
  const auto fits = fit_layers(rows);
  REQUIRE(fits.size() == chain.size());
  CHECK(suggested_margin(fits) < 1e-6);
  const calibration found = calibrated_chain(chain, fits);
  CHECK(found.analytic.empty());
  CHECK(found.partly.empty());
  for (std::size_t l = 0; l < chain.size(); ++l) {
    INFO(chain[l].name);
    CHECK(close(found.chain[l], chain[l]));
    CHECK(found.chain[l].static_bytes == chain[l].static_bytes);
    CHECK(found.chain[l].forward_latency == chain[l].forward_latency);
  }
}

TEST_CASE("The weight gradient is a measured share of the backward, or the share it had") {
  const auto chain = small_chain();
  const layer_cost& layer = named(chain, "language0");
  const auto calibrated = [&](std::optional<double> share, double slower) {
    std::vector<measured_layer> rows = rows_of(layer, "language0");
    for (measured_layer& row : rows) {
      row.backward_time = *row.backward_time * slower;
      if (share) row.weight_gradient_time = *row.backward_time * *share;
    }
    return named(calibrated_chain(chain, fit_layers(rows)).chain, "language0");
  };
  const layer_cost twice = calibrated({}, 2);
  CHECK(close(twice.weight_gradient_time, layer.weight_gradient_time + layer.weight_gradient_time));
  const layer_cost measured = calibrated(0.25, 2);
  for (const workload& work : some_workloads()) {
    CHECK(measured.weight_gradient_time.of(work) ==
          Approx(0.25 * static_cast<double>(measured.backward_time.of(work))).epsilon(1e-6));
    CHECK(twice.weight_gradient_time.exactly(work) <= twice.backward_time.exactly(work));
  }
  const layer_cost all = calibrated(1.0, 2);
  CHECK(all.weight_gradient_time == all.backward_time);
}

TEST_CASE("A kind stands for its layers, and a very name wins") {
  const auto chain = small_chain();
  const layer_cost& language = named(chain, "language1");
  std::vector<measured_layer> rows = rows_of(language, "vision");
  append(rows, {{.name = "vision1", .work = {.tiles = 2}, .forward_time = 5000.0}});
  const calibration found = calibrated_chain(chain, fit_layers(rows));
  for (const char* of_kind : {"vision0", "vision2", "vision11"}) {
    const layer_cost& vision = named(found.chain, of_kind);
    CHECK(close(vision.forward_time, language.forward_time));
    CHECK(close(vision.backward_time, language.backward_time));
    CHECK(close(vision.modes[2].transient_bytes, language.modes[2].transient_bytes));
  }
  const layer_cost& exact = named(found.chain, "vision1");
  CHECK(exact.forward_time.of({.tiles = 4}) == 10'000);
  CHECK(close(exact.backward_time, language.backward_time));
  CHECK(named(found.chain, "language1") == language);
  CHECK(found.analytic ==
        names{"projector", "embedding", "language0", "language1", "language2", "head"});
  CHECK(found.partly.empty());
}

TEST_CASE("What was not measured stays as it is") {
  const auto chain = small_chain();
  const std::vector<measured_layer> rows = {{.name = "head",
                                             .mode = "full",
                                             .work = {.tokens = 100},
                                             .saved_bytes = 700.0,
                                             .saved_for_weight_gradient = 900.0}};
  const calibration found = calibrated_chain(chain, fit_layers(rows));
  layer_cost expected = named(chain, "head");
  expected.modes[1].saved_bytes = {.per_token = to_fixed_point(7, "bytes")};
  expected.modes[1].saved_for_weight_gradient =
      linear_cost{.per_token = to_fixed_point(9, "bytes")};
  CHECK(named(found.chain, "head") == expected);
  CHECK(found.partly == names{"head"});
  CHECK(found.analytic.size() == chain.size() - 1);
  CHECK(calibrated_chain(chain, {}).chain == chain);
}

TEST_CASE("The forward is fitted over all modes, the backward without recomputation") {
  const std::vector<measured_layer> rows = {
      {.name = "v", .work = {.tiles = 1}, .forward_time = 100.0, .backward_time = 200.0},
      {.name = "v", .work = {.tiles = 2}, .forward_time = 200.0, .backward_time = 400.0},
      {.name = "v", .mode = "full", .work = {.tiles = 4}, .forward_time = 400.0}};
  const auto fits = fit_layers(rows);
  REQUIRE(fits.size() == 1);
  CHECK(fits[0].forward_time->measurements == 3);
  CHECK(fits[0].backward_time->measurements == 2);
  CHECK_FALSE(fits[0].modes[0].extra_time);
  CHECK_FALSE(fits[0].modes[1].extra_time);
  CHECK_FALSE(fits[0].modes[1].saved_bytes);
}

TEST_CASE("Extra time is over the mean of the same workload, or else over the fit, and counted") {
  const auto row = [](const char* mode, std::int64_t tiles, double backward) {
    return measured_layer{
        .name = "v", .mode = mode, .work = {.tiles = tiles}, .backward_time = backward};
  };
  // The mean backward of one tile is 100, of two tiles 200.
  const std::vector<measured_layer> rows = {row("none", 1, 90),  row("none", 1, 110),
                                            row("none", 2, 200), row("full", 1, 150),
                                            row("full", 2, 300), row("full", 8, 1200)};
  const auto fits = fit_layers(rows);
  const mode_fit& full = fits[0].modes[1];
  CHECK(full.extra_over_fitted == 1);
  CHECK(full.extra_time->of({.tiles = 3}) == Approx(150).epsilon(0.03));
  CHECK(full.extra_time->measurements == 3);

  // Quicker with recomputation than without can only be noise: nothing is added.
  const auto quicker = fit_layers(std::vector{row("none", 1, 100), row("full", 1, 99)});
  CHECK(quicker[0].modes[1].extra_time->cost() == linear_cost{});
  CHECK(quicker[0].modes[1].extra_time->largest_residual == Approx(1.0 / 99));
}

TEST_CASE("The suggested margin is that of bytes alone") {
  const auto row = [](double time, double bytes) {
    return measured_layer{
        .name = "v", .work = {.tiles = 1}, .forward_time = time, .saved_bytes = bytes};
  };
  CHECK(suggested_margin({}) == 0);
  CHECK(suggested_margin(fit_layers(std::vector{row(100, 1000), row(300, 1000)})) < 1e-6);
  const auto fits = fit_layers(std::vector{row(100, 1000), row(100, 1100)});
  const double predicted = fits[0].modes[0].saved_bytes->of({.tiles = 1});
  CHECK(suggested_margin(fits) == Approx(1100 / predicted - 1));
}

TEST_CASE("The suggested margin is that of the worst fit of any layer") {
  const auto row = [](const char* name, double bytes) {
    return measured_layer{.name = name, .work = {.tiles = 1}, .saved_bytes = bytes};
  };
  const std::vector<measured_layer> rows = {row("v", 1000), row("v", 1300), row("l", 1000),
                                            row("l", 1001)};
  CHECK(suggested_margin(fit_layers(rows)) > 0.1);
}

TEST_CASE("A layer is partly measured where any part of it is missing") {
  const auto chain = small_chain();
  const auto partly = [&](std::optional<double> measured_layer::*missing) {
    std::vector<measured_layer> rows = rows_of(named(chain, "head"), "head");
    for (measured_layer& row : rows)
      if (row.mode == "full") row.*missing = std::nullopt;
    return calibrated_chain(chain, fit_layers(rows)).partly;
  };
  // The forward is known from the rows of mode none.
  CHECK(partly(&measured_layer::forward_time).empty());
  for (const auto missing : {&measured_layer::backward_time, &measured_layer::saved_bytes,
                             &measured_layer::transient_bytes})
    CHECK(partly(missing) == names{"head"});
}

TEST_CASE("A weight gradient is never more than its backward, whatever was predicted") {
  layer_cost layer{.name = "odd",
                   .backward_time = {.constant = 1000, .per_token = 10},
                   .weight_gradient_time = {.constant = 10, .per_token = 20},
                   .modes = {mode_cost{}}};
  const std::vector<measured_layer> rows = {
      {.name = "odd", .work = {.tokens = 100}, .backward_time = 200.0},
      {.name = "odd", .work = {.tokens = 200}, .backward_time = 400.0}};
  const layer_cost fitted = calibrated_chain({layer}, fit_layers(rows)).chain.front();
  CHECK(fitted.weight_gradient_time == fitted.backward_time);
}

TEST_CASE("Layers and modes that the model does not have are refused with those that it has") {
  using Catch::Matchers::ContainsSubstring;
  const auto apply = [](const char* name, const char* mode) {
    return refusal([&] {
      const std::vector<measured_layer> rows = {
          {.name = "head", .work = {.tokens = 1}, .forward_time = 1.0},
          {.name = name, .mode = mode, .work = {.tokens = 1}, .saved_bytes = 1.0}};
      (void)calibrated_chain(small_chain(), fit_layers(rows));
    });
  };
  CHECK(apply("language", "full").empty());
  CHECK_THAT(apply("audio", "none"),
             ContainsSubstring("fits[1] = audio") &&
                 ContainsSubstring("vision, projector, embedding, language, head"));
  CHECK_THAT(apply("vision12", "none"), ContainsSubstring("vision12"));
  CHECK_THAT(apply("vis", "none"), ContainsSubstring("fits[1] = vis"));
  CHECK_THAT(apply("", "none"), ContainsSubstring("fits[1]"));
  CHECK_THAT(apply("vision", "ful"),
             ContainsSubstring("ful") && ContainsSubstring("none, selective, full"));
}

TEST_CASE("Rows that cannot be fitted are refused by field and index") {
  using Catch::Matchers::ContainsSubstring;
  const auto fit = [](const measured_layer& bad) {
    return refusal([&] {
      (void)fit_layers(
          std::vector{measured_layer{.name = "v", .work = {.tiles = 1}, .saved_bytes = 1.0}, bad});
    });
  };
  CHECK_THAT(refusal([] { (void)fit_layers({}); }), ContainsSubstring("at least one measurement"));
  CHECK_THAT(fit({.name = "v", .forward_time = -1.0}),
             ContainsSubstring("rows[1].forward_time = -1"));
  CHECK_THAT(fit({.name = "v", .backward_time = std::nan("")}),
             ContainsSubstring("rows[1].backward_time = nan"));
  CHECK_THAT(fit({.name = "v", .saved_bytes = 1e15}), ContainsSubstring("rows[1].saved_bytes"));
  CHECK_THAT(fit({.name = "v", .work = {.tokens = -7}, .transient_bytes = 1.0}),
             ContainsSubstring("rows[1].work.tokens = -7"));
  CHECK_THAT(
      fit({.name = "v", .backward_time = 1.0, .weight_gradient_time = 2.0}),
      ContainsSubstring("rows[1].weight_gradient_time = 2") && ContainsSubstring("backward"));
  CHECK_THAT(fit({.name = "v", .weight_gradient_time = 2.0}),
             ContainsSubstring("rows[1].weight_gradient_time") && ContainsSubstring("missing"));
  CHECK_THAT(fit({.name = "v", .mode = "full", .backward_time = 1.0}),
             ContainsSubstring("rows[1].backward_time") && ContainsSubstring("mode none"));
}
