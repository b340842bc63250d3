// SPDX-License-Identifier: Apache-2.0
#include <omnibal/core/search_status.hpp>

#include "catch.hpp"

using namespace omnibal;

TEST_CASE("each search status has its word") {
  CHECK(to_string(search_status::optimal) == "optimal");
  CHECK(to_string(search_status::feasible) == "feasible");
  CHECK(to_string(search_status::stopped) == "stopped");
  CHECK(to_string(search_status::infeasible) == "infeasible");
  CHECK(to_string(static_cast<search_status>(99)) == "unknown");
}

TEST_CASE("the relative gap is the distance to the bound over the bound") {
  CHECK(relative_gap(110.0, 100.0) == Approx(0.1));
  CHECK(relative_gap(100.0, 100.0) == 0.0);
  CHECK(relative_gap(0.0, 0.0) == 0.0);
  static_assert(relative_gap(3.0, 2.0) == 0.5);
}
