// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <omnibal/packing/detail/pattern_planner.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

std::uint64_t packs_in(const std::vector<planned_pattern>& plan) {
  std::uint64_t packs = 0;
  for (const planned_pattern& pattern : plan) packs += pattern.packs;
  return packs;
}

}  // namespace

TEST_CASE("pattern_planner holds every bundle in the fewest packs") {
  const std::vector<sample_bundle> bundles{{.size = {0, 5}, .count = 300},
                                           {.size = {0, 3}, .count = 200},
                                           {.size = {0, 2}, .count = 100}};
  const auto plan = pattern_planner(bundles, {.column = 10}, {.column = 1}).plan();
  // Half of the threes find no twos to fill up with and go three to a pack: 233 1/3 packs.
  CHECK(packs_in(plan) == 233);
  for (std::size_t k = 0; k < bundles.size(); ++k) {
    std::uint64_t held = 0;
    for (const planned_pattern& pattern : plan)
      held += pattern.packs * static_cast<std::uint64_t>(pattern.copies[k]);
    CHECK(held >= bundles[k].count - 5);
    CHECK(held <= bundles[k].count + 5);
  }
}

TEST_CASE("pattern_planner prefers packs of even cost among as many packs") {
  // Every pack holds one of the first two; the columns, which alone cost, can be paired evenly.
  const std::vector<sample_bundle> bundles{{.size = {6, 30}, .count = 100},
                                           {.size = {6, 10}, .count = 100},
                                           {.size = {4, 30}, .count = 100},
                                           {.size = {4, 10}, .count = 100}};
  const auto plan = pattern_planner(bundles, {.row = 10, .column = 100}, {.column = 1}).plan();
  CHECK(packs_in(plan) == 200);
  for (const planned_pattern& pattern : plan) {
    CHECK(pattern.copies[0] == pattern.copies[3]);
    CHECK(pattern.copies[1] == pattern.copies[2]);
  }
}

TEST_CASE("pattern_planner plans a single bundle and free ones") {
  const std::vector<sample_bundle> one{{.size = {0, 10}, .count = 1}};
  CHECK(packs_in(pattern_planner(one, {.column = 10}, {.column = 1}).plan()) == 1);
  CHECK(packs_in(pattern_planner(one, {.column = 10}, {}).plan()) == 1);
}
