// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/cost/own_chain.hpp>

#include "../catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A layer measured in two modes: 3 ns per token forward, 8 backward, 3 more where it recomputes.
std::vector<measured_layer> rows_of(const std::string& name) {
  std::vector<measured_layer> rows;
  for (const std::int64_t tokens : {100, 400, 900, 2000}) {
    const auto n = static_cast<double>(tokens);
    rows.push_back({.name = name,
                    .work = {0, tokens, 0},
                    .forward_time = 3 * n,
                    .backward_time = 8 * n,
                    .weight_gradient_time = 2 * n,
                    .saved_bytes = 10 * n,
                    .transient_bytes = n});
    rows.push_back({.name = name,
                    .mode = "full",
                    .work = {0, tokens, 0},
                    .backward_time = 11 * n,
                    .saved_bytes = 2 * n,
                    .transient_bytes = 10 * n});
  }
  return rows;
}

}  // namespace

TEST_CASE("a chain of one's own has the costs of its fits, by whole names") {
  auto rows = rows_of("conv");
  for (measured_layer row : rows_of("conv2")) {
    *row.saved_bytes *= 2;
    rows.push_back(row);
  }
  const auto fits = fit_layers(rows);
  const auto chain = chain_from(fits, {{.name = "conv", .parameters = 5},
                                       {.name = "conv2",
                                        .parameters = 7,
                                        .trainable = false,
                                        .latency = cost_per({.constant = 30}),
                                        .output_bytes = cost_per({.token = 2}),
                                        .step_time = 9},
                                       {.name = "conv", .parameters = 5}});
  REQUIRE(chain.size() == 3);
  const workload work{0, 1000, 0};
  CHECK(chain[0] == chain[2]);
  CHECK(chain[0].forward_time.of(work) == 3000);
  CHECK(chain[0].backward_time.of(work) == 8000);
  CHECK(chain[0].weight_gradient_time.of(work) == 2000);
  CHECK(chain[0].static_bytes == 90);
  CHECK(chain[1].static_bytes == 14);
  CHECK(chain[1].step_time == 9);
  CHECK(chain[1].output_bytes.of(work) == 2000);
  CHECK(chain[1].backward_latency.of(work) == 30);
  REQUIRE(chain[0].modes.size() == 2);
  CHECK(chain[0].modes[0].saved_bytes.of(work) == 10000);
  CHECK(chain[1].modes[0].saved_bytes.of(work) == 20000);
  CHECK(chain[0].modes[1].kind == recompute_kind::full);
  CHECK(chain[0].modes[1].extra_time.of(work) == 3000);
}

TEST_CASE("a layer without what it needs is named") {
  const auto refused = [](std::vector<measured_layer> rows, const own_layer& layer,
                          const char* says) {
    CHECK_THROWS_WITH(chain_from(fit_layers(rows), {layer}), ContainsSubstring(says));
  };
  const auto rows = rows_of("block");
  refused(rows, {.name = "bloc"}, "layers[0] = bloc: has no fit");
  refused(rows, {.name = "block2"}, "layers[0] = block2: has no fit");
  refused(rows, {.name = "block", .parameters = -1}, "layers[0].parameters = -1");
  auto fewer = rows;
  for (measured_layer& row : fewer) row.forward_time.reset();
  refused(fewer, {.name = "block"}, "has no measured forward");
  fewer = rows;
  for (measured_layer& row : fewer) row.saved_bytes.reset();
  refused(fewer, {.name = "block"}, "has no measured saved bytes in mode none");
  fewer = rows;
  for (measured_layer& row : fewer) row.transient_bytes.reset();
  refused(fewer, {.name = "block"}, "has no measured transient bytes in mode full");
  CHECK_THROWS_AS(chain_from(fit_layers(rows), {}), invalid_input);
  CHECK_THROWS_AS(chain_from(fit_layers(rows), {{.name = "block"}}, -1), invalid_input);
}

TEST_CASE("costs are written per unit") {
  const linear_cost cost =
      cost_per({.constant = 5, .tile = 2, .token = 0.5, .squared_token = 0.25});
  CHECK(cost.of({3, 4, 8}) == 5 + 6 + 2 + 2);
  CHECK(cost_per({}) == linear_cost{});
  CHECK_THROWS_AS(cost_per({.token = -1}), invalid_input);
  CHECK_THROWS_AS(cost_per({.token = std::nan("")}), invalid_input);
  CHECK_THROWS_AS(cost_per({.tile = std::numeric_limits<double>::infinity()}), invalid_input);
}

TEST_CASE("a measured kind applies to layers numbered from 0 alone") {
  const auto fits = fit_layers(rows_of("conv"));
  const auto one = [](const char* name) {
    return layer_cost{.name = name,
                      .modes = {{.name = "none"}, {.name = "full", .kind = recompute_kind::full}}};
  };
  CHECK_THROWS_AS(calibrated_chain({one("conv1"), one("conv2")}, fits), invalid_input);
  CHECK(calibrated_chain({one("conv0"), one("conv1")}, fits).analytic.empty());
  CHECK(calibrated_chain({one("conv"), one("conv2")}, fits).analytic ==
        std::vector<std::string>{"conv2"});
}
