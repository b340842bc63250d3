// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include <omnibal/dataset/table_index.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"

using namespace omnibal;

namespace {

using pack_table = std::vector<loads<2>>;

grouping<std::uint32_t> group(const pack_table& packs, const sequence_parallel_options& options) {
  return group_packs<2, std::int64_t>(packs, options);
}

/// Packs rich in images or in text, never in both.
pack_table uneven_packs(std::size_t count, std::uint64_t seed) {
  random_stream random(seed);
  pack_table packs(count);
  for (auto& pack : packs) {
    const std::int64_t share = uniform_below(random, 1000);
    pack = {share, 4 * (1000 - share) + uniform_below(random, 100)};
  }
  return packs;
}

/// Largest sum of a resource over its mean, over groups of full size.
double unevenness(const grouping<std::uint32_t>& groups, const pack_table& packs, std::size_t r) {
  const auto sums = pack_loads(groups, packs);
  std::int64_t largest = 0;
  std::int64_t total = 0;
  for (const auto& sum : sums) largest = std::max(largest, sum[r]), total += sum[r];
  return static_cast<double>(largest) * static_cast<double>(sums.size()) /
         static_cast<double>(total);
}

}  // namespace

TEST_CASE("group_packs puts every pack into one group, the rest into the last") {
  const std::uint32_t size = GENERATE(1U, 2U, 3U, 8U, 2000U);
  for (const std::size_t count : {0U, 1U, 2U, 7U, 8U, 9U, 1000U}) {
    const auto groups = group(uneven_packs(count, 1), {.size = size});
    REQUIRE(groups.size() == (count + size - 1) / size);
    for (std::size_t k = 0; k < groups.size(); ++k)
      REQUIRE(groups[k].size() == std::min<std::size_t>(size, count - k * size));
    auto packs = std::vector<std::uint32_t>(groups.indices().begin(), groups.indices().end());
    std::ranges::sort(packs);
    for (std::uint32_t pack = 0; pack < count; ++pack) REQUIRE(packs[pack] == pack);
  }
}

TEST_CASE("group_packs evens all resources at once") {
  const auto packs = uneven_packs(4096, 2);
  const auto groups = group(packs, {.size = 4, .seed = 1});
  CHECK(unevenness(groups, packs, 0) < 1.08);  // 1.9 for a random grouping
  CHECK(unevenness(groups, packs, 1) < 1.08);
}

TEST_CASE("sequence-parallel groups over several tables agree with their lengths (defect 5)") {
  // Samples of two tables; the loads of groups are recomputed from the rows they came from.
  const std::vector<std::vector<loads<2>>> tables{
      {{1, 10}, {2, 20}, {3, 30}}, {{4, 400}, {5, 500}, {6, 600}, {7, 700}, {8, 800}}};
  const std::vector<std::uint64_t> rows{3, 5};
  const table_index index(rows);
  std::vector<loads<2>> samples;
  for (const auto& table : tables) samples.insert(samples.end(), table.begin(), table.end());
  const grouping<std::uint32_t> packs({0, 2, 4, 5, 8}, {7, 0, 1, 6, 3, 2, 4, 5});
  const auto lengths = pack_loads(packs, samples);
  const auto groups = group(lengths, {.size = 2});
  const auto group_lengths = pack_loads(groups, lengths);
  for (std::size_t k = 0; k < groups.size(); ++k) {
    loads<2> expected{};
    for (const std::uint32_t pack : groups[k])
      for (const std::uint32_t sample : packs[pack]) {
        const table_row at = index.locate(sample);
        for (std::size_t r = 0; r < 2; ++r) expected[r] += tables[at.table][at.row][r];
      }
    CHECK(group_lengths[k] == expected);
  }
}

TEST_CASE("group_packs repeats itself for a seed and epoch only") {
  const auto packs = uneven_packs(100, 3);
  const auto first = group(packs, {.size = 4, .seed = 1});
  CHECK(group(packs, {.size = 4, .seed = 1}) == first);
  CHECK(group(packs, {.size = 4, .seed = 2}) != first);
  CHECK(group(packs, {.size = 4, .seed = 1, .epoch = 1}) != first);
}

TEST_CASE("group_packs takes zero-load and huge packs, and refuses negative ones") {
  CHECK(group(pack_table(10), {.size = 3}).size() == 4);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::vector<std::array<std::uint64_t, 1>> huge(100, {most});
  CHECK(group_packs<1, std::uint64_t>(huge, {.size = 3}).size() == 34);
  CHECK_THROWS_AS(group({{1, -1}}, {.size = 1}), invalid_input);
  CHECK_THROWS_WITH(group({{1, 1}}, {.size = 0}), "size = 0: must be at least 1");
}

TEST_CASE("a plan of groups is a plan of their packs") {
  const grouping<std::uint32_t> groups({0, 2, 4, 5, 6}, {3, 0, 5, 1, 4, 2});
  const dispatch_plan plan{
      .ranks = 2, .groups = {{0, 1, 2, 3, 3}, {2, 0, 2}}, .dropped = {3, 1}, .mask = {1, 1, 0}};
  const dispatch_plan packs = plan_of_packs(plan, groups);
  CHECK(packs == dispatch_plan{.ranks = 2,
                               .groups = {{0, 1, 3, 4, 4}, {4, 3, 0, 4}},
                               .dropped = {1, 2, 5},
                               .mask = {1, 1, 1, 0}});
  CHECK(plan_of_packs({}, {}) == dispatch_plan{});
  CHECK_THROWS_AS(plan_of_packs({.ranks = 0}, groups), invalid_input);
  CHECK_THROWS_AS(plan_of_packs({.groups = {{0, 1}, {4}}}, groups), invalid_input);
  CHECK_THROWS_AS(plan_of_packs({.dropped = {9}}, groups), invalid_input);
}

TEST_CASE("the samples of a group are those of its packs") {
  const grouping<std::uint32_t> packs({0, 2, 2, 5, 6}, {7, 8, 1, 2, 3, 9});
  CHECK(samples_of_groups(grouping<std::uint32_t>({0, 2, 2, 4}, {2, 0, 1, 3}), packs) ==
        grouping<std::uint32_t>({0, 5, 5, 6}, {1, 2, 3, 7, 8, 9}));
  CHECK(samples_of_groups({}, packs).empty());
  CHECK_THROWS_WITH(samples_of_groups(grouping<std::uint32_t>({0, 1, 2}, {0, 4}), packs),
                    "groups[1] = 4: names a pack beyond the last");
}

TEST_CASE("the loads of groups are the sums of their packs' loads") {
  const pack_table samples = uneven_packs(60, 4);
  grouping<std::uint32_t> packs;
  for (std::uint32_t id = 0; id < 60; ++id) {
    packs.push_back(id);
    if (id % 3 == 2) packs.close_group();
  }
  const pack_table sums = pack_loads(packs, samples);
  const auto groups = group(sums, {.size = 4});
  CHECK(pack_loads(samples_of_groups(groups, packs), samples) == pack_loads(groups, sums));
}
