// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include <omnibal/run/detail/larger_microbatches.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

pipeline_problem of_bytes(std::int64_t saved, std::int64_t until_w, std::int64_t transient) {
  pipeline_problem problem;
  problem.layers = {{.name = "a", .static_bytes = 5}};
  problem.layers[0].modes = {
      {.saved_bytes = saved, .transient_bytes = transient, .saved_for_weight_gradient = until_w}};
  return problem;
}

}  // namespace

TEST_CASE(
    "Modes save the mean of the micro-batches in flight, rounded up, and their largest transient") {
  const pipeline_problem usual = of_bytes(10, 4, 3);
  const pipeline_problem larger = of_bytes(110, 25, 70);
  const auto mode = [&](std::size_t count, std::size_t in_flight) {
    return detail::with_larger(usual, larger, count, in_flight).layers[0].modes[0];
  };
  CHECK(mode(0, 4).saved_bytes == 10);
  CHECK(mode(1, 4).saved_bytes == 35);
  CHECK(mode(1, 3).saved_bytes == 44);                // 10 + 33⅓
  CHECK(mode(1, 4).saved_for_weight_gradient == 10);  // 4 + 5¼
  CHECK(mode(4, 4).saved_bytes == 110);
  CHECK(mode(9, 4).saved_bytes == 110);
  CHECK(mode(1, 4).transient_bytes == 70);
  CHECK(detail::with_larger(usual, larger, 1, 4).layers[0].static_bytes == 5);
}
