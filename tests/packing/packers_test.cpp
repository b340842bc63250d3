// SPDX-License-Identifier: Apache-2.0
// What packers promise as functions over any range; packer_family_test.cpp has them as a family.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;

namespace {

struct isf_packer {
  template <typename Samples, typename Projection = std::identity>
  static packing_result pack(
      const Samples& samples,
      const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
      const Projection& projection = {}) {
    return pack_isf(samples, options, {.iterations = 20}, projection);
  }
};

struct published_isf_packer {
  template <typename Samples, typename Projection = std::identity>
  static packing_result pack(
      const Samples& samples,
      const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
      const Projection& projection = {}) {
    return pack_isf(samples, options, {.iterations = 20, .stream = isf_stream::published},
                    projection);
  }
};

struct balanced_packer {
  template <typename Samples, typename Projection = std::identity>
  static packing_result pack(
      const Samples& samples,
      const packing_options<resource_count<projected_loads<const Samples, Projection>>>& options,
      const Projection& projection = {}) {
    return pack_balanced(samples, options, projection);
  }
};

/// Whether it is oversize.
template <std::size_t Resources, typename Integer>
bool exceeds(const std::array<Integer, Resources>& sample, const loads<Resources>& capacity) {
  for (std::size_t r = 0; r < Resources; ++r)
    if (std::cmp_greater(sample[r], capacity[r])) return true;
  return false;
}

/// Every sample is in one pack or, if it exceeds the capacity, listed as oversize; no pack is empty
/// or over capacity.
template <std::size_t Resources, typename Integer>
void require_sound(const packing_result& result,
                   const std::vector<std::array<Integer, Resources>>& samples,
                   const loads<Resources>& capacity) {
  std::vector<std::uint32_t> seen(result.packs.indices().begin(), result.packs.indices().end());
  seen.insert(seen.end(), result.oversize.begin(), result.oversize.end());
  std::ranges::sort(seen);
  REQUIRE(seen.size() == samples.size());
  for (std::uint32_t id = 0; id < seen.size(); ++id) REQUIRE(seen[id] == id);
  for (const auto& sums : pack_loads(result.packs, samples))
    for (std::size_t r = 0; r < Resources; ++r) REQUIRE(sums[r] <= capacity[r]);
  for (const std::uint32_t id : result.oversize) REQUIRE(exceeds(samples[id], capacity));
  for (std::size_t k = 0; k < result.packs.size(); ++k) REQUIRE(!result.packs[k].empty());
  REQUIRE(result.objective == result.packs.size());
  REQUIRE(result.bound <= result.objective);
  REQUIRE((result.status == search_status::optimal) == (result.bound == result.objective));
}

/// Loads up to `most`, many of them 0 or equal.
template <std::size_t Resources>
std::vector<loads<Resources>> random_samples(std::size_t count, std::uint32_t most,
                                             std::uint64_t seed) {
  random_stream random(seed);
  std::vector<loads<Resources>> samples(count);
  for (auto& sample : samples)
    for (auto& load : sample) load = uniform_below(random, uniform_below(random, most) + 1);
  return samples;
}

}  // namespace

#define ALL_PACKERS isf_packer, published_isf_packer, balanced_packer

TEMPLATE_TEST_CASE("packers put every sample into one pack within capacity", "", ALL_PACKERS) {
  const std::size_t count = GENERATE(1U, 2U, 3U, 7U, 50U, 1000U);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto one = random_samples<1>(count, 50, seed);
    require_sound(TestType::pack(one, {.capacity = {60}, .seed = seed}), one, {60});
    const auto two = random_samples<2>(count, 50, seed);
    require_sound(TestType::pack(two, {.capacity = {60, 90}, .seed = seed}), two, {60, 90});
    const auto three = random_samples<3>(count, 50, seed);
    require_sound(TestType::pack(three, {.capacity = {60, 90, 49}, .seed = seed}), three,
                  {60, 90, 49});
  }
}

TEMPLATE_TEST_CASE("packers pack nothing into no packs", "", ALL_PACKERS) {
  const auto result = TestType::pack(std::vector<loads<2>>{}, {.capacity = {9, 4096}});
  CHECK(result.packs.empty());
  CHECK(result.oversize.empty());
  CHECK(result.bound == 0);
  CHECK(result.status == search_status::optimal);
}

TEMPLATE_TEST_CASE("packers pack one sample into one pack", "", ALL_PACKERS) {
  const auto result = TestType::pack(std::vector<loads<2>>{{9, 4096}}, {.capacity = {9, 4096}});
  CHECK(result.packs.size() == 1);
  CHECK(result.bound == 1);
  CHECK(result.status == search_status::optimal);
}

TEMPLATE_TEST_CASE("packers put samples without any load into one pack", "", ALL_PACKERS) {
  const std::vector<loads<2>> samples(100, {0, 0});
  const auto result = TestType::pack(samples, {.capacity = {1, 1}});
  require_sound(result, samples, {1, 1});
  CHECK(result.packs.size() == 1);
}

TEMPLATE_TEST_CASE("packers take the largest loads and capacities", "", ALL_PACKERS) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<loads<2>> samples{
      {most, 1}, {1, most}, {most - 1, 0}, {0, most - 1}, {most, most}};
  const auto result = TestType::pack(samples, {.capacity = {most, most}});
  require_sound(result, samples, {most, most});
}

TEMPLATE_TEST_CASE("packers take loads of any integer type", "", ALL_PACKERS) {
  const auto expected = TestType::pack(tiled_table(500, 1), {.capacity = {9, 4096}, .seed = 4});
  const auto packs_of = [&]<typename Integer>(Integer) {
    std::vector<std::array<Integer, 2>> samples;
    for (const auto& [tiles, tokens] : tiled_table(500, 1))
      samples.push_back({static_cast<Integer>(tiles), static_cast<Integer>(tokens)});
    return TestType::pack(samples, {.capacity = {9, 4096}, .seed = 4}).packs;
  };
  CHECK(packs_of(std::int16_t{}) == expected.packs);
  CHECK(packs_of(std::uint16_t{}) == expected.packs);
  CHECK(packs_of(std::int32_t{}) == expected.packs);
  CHECK(packs_of(std::uint32_t{}) == expected.packs);
  CHECK(packs_of(std::uint64_t{}) == expected.packs);
  const std::vector<std::array<std::int8_t, 1>> signed_bytes{{100}, {100}, {100}};
  CHECK(TestType::pack(signed_bytes, {.capacity = {300}}).packs.size() == 1);
  const std::vector<std::array<std::uint8_t, 1>> bytes{{200}, {200}, {200}};
  CHECK(TestType::pack(bytes, {.capacity = {599}}).packs.size() == 2);
}

TEMPLATE_TEST_CASE("packers take any range and any sample type", "", ALL_PACKERS) {
  struct sample {
    std::string name;
    int tiles;
    long tokens;
  };
  const length_table table = tiled_table(300, 2);
  const auto expected = TestType::pack(table, {.capacity = {9, 4096}, .seed = 4}).packs;
  CHECK(TestType::pack(std::span(table), {.capacity = {9, 4096}, .seed = 4}).packs == expected);
  std::deque<sample> samples;
  for (const auto& [tiles, tokens] : table)
    samples.push_back({"a sample", static_cast<int>(tiles), static_cast<long>(tokens)});
  const auto project = [](const sample& one) {
    return std::array<std::int64_t, 2>{one.tiles, one.tokens};
  };
  CHECK(TestType::pack(samples, {.capacity = {9, 4096}, .seed = 4}, project).packs == expected);
}

TEMPLATE_TEST_CASE("packers give the same packs for the same seed and others for another", "",
                   ALL_PACKERS) {
  const length_table table = tiled_table(500, 3);
  const auto first = TestType::pack(table, {.capacity = {9, 4096}, .seed = 1}).packs;
  CHECK(TestType::pack(table, {.capacity = {9, 4096}, .seed = 1}).packs == first);
  CHECK(TestType::pack(table, {.capacity = {9, 4096}, .seed = 2}).packs != first);
}

TEMPLATE_TEST_CASE("packers refuse samples over capacity by name (defect 2)", "", ALL_PACKERS) {
  const std::vector<loads<2>> samples{{1, 5}, {2, 5000}, {1, 5}};
  CHECK_THROWS_WITH(
      TestType::pack(samples, {.capacity = {9, 4096}, .names = {"images", "tokens"}}),
      "tokens[1] = 5000: exceeds the capacity 4096; raise it, or choose to skip such samples or to "
      "give them own packs");
  CHECK_THROWS_WITH(TestType::pack(samples, {.capacity = {1, 10000}}),
                    Catch::Matchers::StartsWith("resource 0[1] = 2: exceeds the capacity 1"));
  const std::vector<std::array<std::uint64_t, 1>> huge{{~std::uint64_t{0}}};
  CHECK_THROWS_WITH(TestType::pack(huge, {.capacity = {10}}),
                    Catch::Matchers::StartsWith("resource 0[0] = 18446744073709551615: exceeds"));
}

TEMPLATE_TEST_CASE("packers list what they skip (defect 2)", "", ALL_PACKERS) {
  const std::vector<loads<2>> samples{{10, 1}, {3, 1}, {3, 5000}, {3, 1}, {10, 5000}};
  const auto result =
      TestType::pack(samples, {.capacity = {9, 4096}, .oversize = oversize_policy::skip});
  CHECK(result.oversize == std::vector<std::uint32_t>{0, 2, 4});
  require_sound(result, samples, {9, 4096});
  CHECK(result.packs.size() == 1);
  CHECK(result.bound == 1);
}

TEMPLATE_TEST_CASE("packers give samples over capacity packs of their own, counted in the bound",
                   "", ALL_PACKERS) {
  const std::vector<loads<2>> samples{{10, 1}, {3, 1}, {3, 5000}, {3, 1}};
  const auto result =
      TestType::pack(samples, {.capacity = {9, 4096}, .oversize = oversize_policy::own_pack});
  CHECK(result.oversize == std::vector<std::uint32_t>{0, 2});
  REQUIRE(result.packs.size() == 3);
  CHECK(result.packs[0].size() == 2);
  CHECK(result.packs[1][0] == 0);
  CHECK(result.packs[2][0] == 2);
  CHECK(result.bound == 3);
  CHECK(result.status == search_status::optimal);
}

TEMPLATE_TEST_CASE("packers pack tables in which nothing fits", "", ALL_PACKERS) {
  const std::vector<loads<1>> samples(5, {7});
  const auto skipped =
      TestType::pack(samples, {.capacity = {6}, .oversize = oversize_policy::skip});
  CHECK(skipped.packs.empty());
  CHECK(skipped.bound == 0);
  const auto own =
      TestType::pack(samples, {.capacity = {6}, .oversize = oversize_policy::own_pack});
  CHECK(own.packs.size() == 5);
  CHECK(own.bound == 5);
}

TEMPLATE_TEST_CASE("packers refuse negative loads and capacities below 1", "", ALL_PACKERS) {
  const std::vector<loads<2>> samples{{1, 1}, {1, -5}};
  CHECK_THROWS_WITH(TestType::pack(samples, {.capacity = {9, 9}, .names = {"images", "tokens"}}),
                    "tokens[1] = -5: must not be negative");
  CHECK_THROWS_WITH(TestType::pack(samples, {.capacity = {9, 9},
                                             .oversize = oversize_policy::skip,
                                             .names = {"images", "tokens"}}),
                    "tokens[1] = -5: must not be negative");
  CHECK_THROWS_WITH(TestType::pack(samples, {.capacity = {0, 9}, .names = {"images", "tokens"}}),
                    "capacity of images = 0: must be at least 1");
  CHECK_THROWS_WITH(TestType::pack(std::vector<loads<1>>{}, {.capacity = {-1}}),
                    "capacity of resource 0 = -1: must be at least 1");
}

TEMPLATE_TEST_CASE("packers refuse more samples than 32 bits can number", "", ALL_PACKERS) {
  // They count before they look: nothing behind the first is read.
  const loads<1> one{1};
  const std::span<const loads<1>> samples(&one, std::size_t{1} << 32);
  CHECK_THROWS_WITH(TestType::pack(samples, {.capacity = {9}}),
                    "number of samples = 4294967296: must be at most 4294967295");
}
