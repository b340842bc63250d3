// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <vector>

#include <omnibal/baselines/trainer_samplers.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

std::vector<std::uint32_t> packs_of(const dispatch_plan& plan, std::uint64_t step,
                                    std::uint32_t rank) {
  const auto packs = plan.packs(step, rank);
  return {packs.begin(), packs.end()};
}

using list = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("dispatch_in_order takes packs as they come and spreads the rest") {
  const dispatch_plan plan = dispatch_in_order(11, {.ranks = 2, .microbatches = 2});
  REQUIRE(plan.steps() == 3);
  CHECK(packs_of(plan, 0, 0) == list{0, 1});
  CHECK(packs_of(plan, 0, 1) == list{2, 3});
  CHECK(packs_of(plan, 1, 0) == list{4, 5});
  CHECK(packs_of(plan, 2, 0) == list{8});
  CHECK(packs_of(plan, 2, 1) == list{9, 10});
}

TEST_CASE("dispatch_contiguous_shards gives each rank a contiguous share") {
  const dispatch_plan plan = dispatch_contiguous_shards(11, {.ranks = 2, .microbatches = 2});
  REQUIRE(plan.steps() == 3);
  CHECK(packs_of(plan, 0, 0) == list{0, 1});
  CHECK(packs_of(plan, 0, 1) == list{5, 6});
  CHECK(packs_of(plan, 2, 0) == list{4});
  CHECK(packs_of(plan, 2, 1) == list{9, 10});
}

TEST_CASE("Baselines assign every pack once, whatever the sizes") {
  for (std::uint32_t packs = 0; packs < 40; ++packs)
    for (std::uint32_t ranks = 1; ranks < 6; ++ranks)
      for (std::uint32_t microbatches = 1; microbatches < 4; ++microbatches)
        for (const auto& plan : {dispatch_in_order(packs, {ranks, microbatches}),
                                 dispatch_contiguous_shards(packs, {ranks, microbatches})}) {
          std::vector<int> seen(packs, 0);
          for (const std::uint32_t pack : plan.groups.indices()) ++seen[pack];
          REQUIRE(seen == std::vector<int>(packs, 1));
          REQUIRE(plan.groups.size() == plan.steps() * ranks);
          for (std::size_t group = 0; group < plan.groups.size(); ++group)
            REQUIRE(plan.groups[group].size() <= microbatches);
        }
}

TEST_CASE("Baselines refuse no ranks and no micro-batches") {
  CHECK_THROWS_AS(dispatch_in_order(3, {.ranks = 0}), invalid_input);
  CHECK_THROWS_AS(dispatch_contiguous_shards(3, {.ranks = 2, .microbatches = 0}), invalid_input);
}
