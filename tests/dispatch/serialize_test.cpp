// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/core/hash.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/serialize.hpp>

#include "catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

dispatch_plan some_plan(last_step_policy policy) {
  return dispatch_packs(50, [](std::size_t pack) { return 10 + pack % 7; },
                        {.ranks = 3, .microbatches = 4, .seed = 2, .last_step = policy});
}

}  // namespace

TEST_CASE("dispatch plans come back from their bytes") {
  for (const auto policy :
       {last_step_policy::spread, last_step_policy::drop, last_step_policy::pad}) {
    const dispatch_plan plan = some_plan(policy);
    CHECK(dispatch_plan_from_bytes(to_bytes(plan, 77), 77) == plan);
  }
  const dispatch_plan nothing{.ranks = 9};
  CHECK(dispatch_plan_from_bytes(to_bytes(nothing, 0), 0) == nothing);
}

TEST_CASE("a dispatch plan read back against other inputs is refused") {
  CHECK_THROWS_WITH(
      dispatch_plan_from_bytes(to_bytes(some_plan(last_step_policy::spread), 77), 78),
      "plan inputs = 77: is not the fingerprint of these inputs, 78: the plan was made for others");
}

TEST_CASE("broken dispatch plans are neither written nor read") {
  CHECK_THROWS_AS(to_bytes(dispatch_plan{.ranks = 0}, 0), invalid_input);
  CHECK_THROWS_AS(to_bytes(dispatch_plan{.ranks = 2, .groups = {{0, 1}, {0}}}, 0), invalid_input);
  CHECK_THROWS_AS(to_bytes(dispatch_plan{.groups = {{0, 1}, {0}}, .mask = {1, 1}}, 0),
                  invalid_input);
  auto bytes = to_bytes(some_plan(last_step_policy::pad), 1);
  bytes[bytes.size() / 2] ^= std::byte{1};
  CHECK_THROWS_WITH(dispatch_plan_from_bytes(bytes, 1), ContainsSubstring("plan checksum"));
  CHECK_THROWS_AS(dispatch_plan_from_bytes({}, 1), invalid_input);
}

TEST_CASE("golden: the bytes of a dispatch plan never change") {
  const dispatch_plan plan{
      .ranks = 2, .groups = {{0, 1, 3}, {2, 0, 2}}, .dropped = {1}, .mask = {1, 1, 0}};
  const auto bytes = to_bytes(plan, 5);
  CHECK(bytes.size() == 107);
  hash_stream hash;
  hash.add(bytes);
  CHECK(hash.value() == 0x77993396FD0B80AC);
}
