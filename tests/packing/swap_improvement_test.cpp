// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#include "catch.hpp"
#include "packing/pack_hash.hpp"

using namespace omnibal;

namespace {

/// As many rows with tiles as rows of text alone, which come in all lengths.
std::vector<loads<2>> mixed_rows(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<2>> rows(count);
  for (auto& [tiles, tokens] : rows) {
    const bool text = uniform_below(random, 2) == 0;
    tiles = text ? 0 : 1 + uniform_below(random, 5);
    tokens = text ? 20 + uniform_below(random, 20 + uniform_below(random, 3900))
                  : 256 * tiles + 40 + uniform_below(random, 120);
  }
  return rows;
}

template <std::size_t Resources>
double variation(const grouping<std::uint32_t>& packs, const std::vector<loads<Resources>>& samples,
                 const loads<Resources>& capacity) {
  std::vector<std::int64_t> costs;
  for (const auto& sum : pack_loads(packs, samples)) {
    std::int64_t cost = 0;
    for (std::size_t r = 0; r < Resources; ++r) cost += sum[r] * 1'000'000 / capacity[r];
    costs.push_back(cost);
  }
  return pack_cost_variation(std::span<const std::int64_t>(costs));
}

template <std::size_t Resources>
void require_same_samples_within_capacity(const grouping<std::uint32_t>& before,
                                          const grouping<std::uint32_t>& after,
                                          const std::vector<loads<Resources>>& samples,
                                          const loads<Resources>& capacity) {
  REQUIRE(std::ranges::equal(before.offsets(), after.offsets()));
  REQUIRE(std::ranges::is_permutation(before.indices(), after.indices()));
  for (const auto& sum : pack_loads(after, samples))
    for (std::size_t r = 0; r < Resources; ++r) REQUIRE(sum[r] <= capacity[r]);
}

}  // namespace

TEST_CASE("levelled packs hold the same samples within capacity and are more even") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto samples = mixed_rows(3000, seed);
    const loads<2> capacity{10, 4096};
    const auto packs = pack_balanced(samples, {.capacity = capacity, .seed = seed}).packs;
    const auto once = improve_by_swaps(packs, samples, {.capacity = capacity, .rounds = 1});
    const auto often = improve_by_swaps(packs, samples, {.capacity = capacity});
    require_same_samples_within_capacity(packs, once, samples, capacity);
    require_same_samples_within_capacity(packs, often, samples, capacity);
    CHECK(variation(once, samples, capacity) <= variation(packs, samples, capacity));
    CHECK(variation(often, samples, capacity) < variation(once, samples, capacity));
    CHECK(improve_by_swaps(packs, samples, {.capacity = capacity, .rounds = 0}) == packs);
    CHECK(improve_by_swaps(packs, samples, {.capacity = capacity}) == often);
  }
}

TEST_CASE("two packs meet in the middle") {
  // 10 + 10 and 4 + 4 become 10 + 4 twice; the third and fourth are as they should be.
  const std::vector<loads<1>> samples{{10}, {10}, {4}, {4}, {14}, {13}, {1}, {14}};
  const grouping<std::uint32_t> packs({0, 2, 4, 5, 7, 8}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto level = improve_by_swaps(packs, samples, {.capacity = {20}});
  for (const auto& [sum] : pack_loads(level, samples)) CHECK(sum == 14);
}

TEST_CASE("what costs is what evens") {
  const auto samples = mixed_rows(3000, 9);
  const loads<2> capacity{10, 4096};
  const auto packs = pack_balanced(samples, {.capacity = capacity}).packs;
  const auto tiles_only =
      improve_by_swaps(packs, samples, {.capacity = capacity, .cost = loads<2>{1, 0}});
  const auto spread = [&](const grouping<std::uint32_t>& some) {
    double squares = 0;
    for (const auto& [tiles, tokens] : pack_loads(some, samples))
      squares += static_cast<double>(tiles * tiles);
    return squares;
  };
  CHECK(spread(tiles_only) <= spread(packs));
  CHECK(improve_by_swaps(packs, samples, {.capacity = capacity, .cost = loads<2>{0, 0}}) == packs);
}

TEST_CASE("own packs of oversize samples stay as they are") {
  std::vector<loads<2>> samples = mixed_rows(500, 3);
  samples.push_back({11, 10});
  const loads<2> capacity{10, 4096};
  const auto packed =
      pack_balanced(samples, {.capacity = capacity, .oversize = oversize_policy::own_pack});
  const auto level = improve_by_swaps(packed.packs, samples, {.capacity = capacity});
  const auto last = level[level.size() - 1];
  REQUIRE(last.size() == 1);
  CHECK(last[0] == 500);
}

TEST_CASE("few packs, none, and packs of huge loads are levelled too") {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<2>> samples{{huge, 1}, {0, huge}, {huge / 2, 0}, {huge / 2, 5}};
  const loads<2> capacity{huge, huge};
  for (std::size_t count = 0; count <= samples.size(); ++count) {
    grouping<std::uint32_t> packs;
    for (std::uint32_t id = 0; id < count; ++id) packs.append(std::span(&id, 1));
    const auto level = improve_by_swaps(packs, samples, {.capacity = capacity});
    require_same_samples_within_capacity(packs, level, samples, capacity);
  }
}

TEST_CASE("improve_by_swaps refuses broken input") {
  const std::vector<loads<1>> samples{{1}, {-2}};
  const grouping<std::uint32_t> packs({0, 1}, {0});
  CHECK_THROWS_WITH(improve_by_swaps(packs, samples, {.capacity = {0}, .names = {"tokens"}}),
                    "capacity of tokens = 0: must be at least 1");
  CHECK_THROWS_AS(improve_by_swaps(packs, samples, {.capacity = {9}, .cost = loads<1>{-1}}),
                  invalid_input);
  CHECK_THROWS_AS(
      improve_by_swaps(grouping<std::uint32_t>({0, 1}, {1}), samples, {.capacity = {9}}),
      invalid_input);
  CHECK_THROWS_AS(
      improve_by_swaps(grouping<std::uint32_t>({0, 1}, {2}), samples, {.capacity = {9}}),
      invalid_input);
}

TEST_CASE("golden: levelled packs") {
  const auto samples = mixed_rows(2000, 4);
  const auto packs = pack_balanced(samples, {.capacity = {10, 4096}}).packs;
  CHECK(hash_of(improve_by_swaps(packs, samples, {.capacity = {10, 4096}})) ==
        "9cefe135b48384745b60d5b363b06ab17713c8e96c81ca73cd37acc1cf34a0b0");
}
