// SPDX-License-Identifier: Apache-2.0
#include "dispatch/randomness.hpp"

#include "catch.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

two_sources small_table() { return two_source_table(768, 11); }

}  // namespace

TEST_CASE("critical values are those of the tables") {
  CHECK(normal_quantile(0.001) == Approx(3.0902).margin(0.001));
  CHECK(critical_chi_square(10, 0.001) == Approx(29.588).epsilon(0.01));
  CHECK(critical_chi_square(50, 0.001) == Approx(86.661).epsilon(0.01));
}

TEST_CASE("packs assigned to steps are a random draw over 1,000 seeds") {
  check_assigned_packs_are_a_random_draw(small_table());
}

TEST_CASE("packs in the packer's own order are a random draw over 1,000 seeds") {
  check_packed_order_is_a_random_draw(small_table());
}

TEST_CASE("the tests of randomness find biased arrangements") {
  check_bias_is_found(small_table());
}

TEST_CASE("each epoch packs and assigns afresh") { check_epochs_differ(small_table()); }
