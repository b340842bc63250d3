// SPDX-License-Identifier: Apache-2.0
#include "catch.hpp"
#include "packing/capacity_checks.hpp"
#include "shared/published_tables.hpp"

using namespace omnibal::test;

TEST_CASE("capacities that arithmetic makes bad for published tables are passed over and named") {
  check_bad_capacities_are_passed_over(need_tables({"ai2d", "chartqa"}));
}

TEST_CASE("a number of samples per pack is met within a tenth on published tables") {
  check_samples_per_pack_are_kept(need_tables({"ai2d", "chartqa"}));
}

TEST_CASE("limits on capacities are respected on published tables, for any resource") {
  check_limits_are_kept(need_tables({"ai2d", "chartqa"}));
}
