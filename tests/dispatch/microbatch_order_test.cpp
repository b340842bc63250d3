// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/microbatch_order.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

dispatch_plan some_plan(std::uint32_t packs, last_step_policy policy = last_step_policy::spread) {
  return dispatch_packs(packs, [](std::size_t pack) { return 10 + pack % 7; },
                        {.ranks = 3, .microbatches = 4, .seed = 2, .last_step = policy});
}

using pack_span = std::span<std::uint32_t>;

}  // namespace

TEST_CASE("order_microbatches brings each rank's packs into the caller's order") {
  const dispatch_plan plan = some_plan(50);
  const auto sorted = order_microbatches(plan, [](pack_span packs) { std::ranges::sort(packs); });
  CHECK(sorted != plan);
  REQUIRE(sorted.steps() == plan.steps());
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    for (std::uint32_t rank = 0; rank < plan.ranks; ++rank) {
      std::vector<std::uint32_t> expected(plan.packs(step, rank).begin(),
                                          plan.packs(step, rank).end());
      std::ranges::sort(expected);
      REQUIRE(std::ranges::equal(sorted.packs(step, rank), expected));
    }
  CHECK(step_fingerprint(sorted) == step_fingerprint(plan));
  CHECK(order_microbatches(plan, [](pack_span) {}) == plan);
}

TEST_CASE("order_microbatches moves the mask along with the packs") {
  const dispatch_plan plan = some_plan(17, last_step_policy::pad);
  const auto turned =
      order_microbatches(plan, [](pack_span packs) { std::ranges::reverse(packs); });
  REQUIRE(std::ranges::count(turned.mask, 0) == 7);
  CHECK(step_fingerprint(turned) == step_fingerprint(plan));
  for (std::uint64_t step = 0; step < plan.steps(); ++step)
    for (std::uint32_t rank = 0; rank < plan.ranks; ++rank) {
      const auto packs = turned.packs(step, rank);
      for (std::size_t k = 0; k < packs.size(); ++k)
        if (std::ranges::count(packs, packs[k]) == 1)
          REQUIRE(turned.real(step, rank)[k] == plan.real(step, rank)[packs.size() - 1 - k]);
    }
}

TEST_CASE("order_microbatches keeps a repeated pack's one real place where a rank has it twice") {
  const dispatch_plan plan = some_plan(1, last_step_policy::pad);
  const auto turned =
      order_microbatches(plan, [](pack_span packs) { std::ranges::reverse(packs); });
  CHECK(turned == plan);
  CHECK(std::ranges::count(turned.mask, 1) == 1);
}

TEST_CASE("order_microbatches refuses an order that loses, repeats or invents packs") {
  const dispatch_plan plan = some_plan(24);
  CHECK_THROWS_AS(order_microbatches(plan, [](pack_span packs) { packs[0] = packs[1]; }),
                  invalid_input);
  CHECK_THROWS_AS(order_microbatches(plan, [](pack_span packs) { packs[3] = 24; }), invalid_input);
  const dispatch_plan twice{.ranks = 1, .groups = {{0, 2}, {5, 7}}};
  CHECK_THROWS_WITH(order_microbatches(twice, [](pack_span packs) { packs[1] = 5; }),
                    "order[0] = 5: is a pack that was not merely moved; groups are step * ranks + "
                    "rank");
}

TEST_CASE("order_microbatches of an empty plan") {
  CHECK(order_microbatches(dispatch_plan{.ranks = 4}, [](pack_span) {}).steps() == 0);
}
