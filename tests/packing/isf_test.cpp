// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/packing/isf.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"
#include "packing/pack_hash.hpp"
#include "packing/sha256.hpp"

using namespace omnibal;

namespace {

using groups = std::vector<std::vector<std::uint32_t>>;

groups to_groups(const grouping<std::uint32_t>& packs) {
  groups all;
  for (std::size_t k = 0; k < packs.size(); ++k) all.emplace_back(packs[k].begin(), packs[k].end());
  return all;
}

/// A pass as the published description reads, over ids that all fit a pack.
groups pass_as_described(std::vector<std::uint32_t> ids, std::uint32_t seed,
                         const length_table& table, const loads<2>& capacity) {
  std::mt19937 random(seed);
  for (std::size_t last = ids.size(); last-- > 1;) {
    std::uint64_t mask = 1;
    while (mask < last) mask = 2 * mask + 1;
    std::uint64_t partner = random() & mask;
    while (partner > last) partner = random() & mask;
    std::swap(ids[last], ids[partner]);
  }
  groups cut;
  std::array<std::int64_t, 2> sum{};
  for (const std::uint32_t id : ids) {
    const bool open = !cut.empty() && sum[0] + table[id][0] <= capacity[0] &&
                      sum[1] + table[id][1] <= capacity[1];
    if (!open) cut.emplace_back(), sum = {};
    cut.back().push_back(id);
    sum[0] += table[id][0];
    sum[1] += table[id][1];
  }
  return cut;
}

groups isf_as_described(const length_table& table, const packing_options<2>& options,
                        const packers::isf& method) {
  std::vector<std::uint32_t> left(table.size());
  std::iota(left.begin(), left.end(), 0U);
  groups kept;
  for (std::uint32_t pass = 1;; ++pass) {
    const auto seed = static_cast<std::uint32_t>(options.seed + (pass == 1 ? 0 : pass - 2));
    const groups cut = pass_as_described(std::move(left), seed, table, options.capacity);
    left.clear();
    for (const auto& group : cut) {
      std::array<std::int64_t, 2> sum{};
      for (const std::uint32_t id : group) sum[0] += table[id][0], sum[1] += table[id][1];
      if (pass == method.iterations || sum[0] == method.threshold[0] ||
          sum[1] >= method.threshold[1])
        kept.push_back(group);
      else
        left.insert(left.end(), group.begin(), group.end());
    }
    if (pass == method.iterations) return kept;
  }
}

}  // namespace

TEST_CASE("sha256 gives known digests") {
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(std::string(1000, 'a')) ==
        "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
}

TEST_CASE("pack_isf with the published stream packs as described") {
  const std::size_t samples = GENERATE(1U, 2U, 3U, 10U, 100U, 2000U);
  const std::uint32_t iterations = GENERATE(1U, 2U, 3U, 50U);
  const std::uint64_t seed = GENERATE(0U, 1U, 4294967247U);
  const length_table table = tiled_table(samples, seed);
  for (const std::array<std::int64_t, 2> capacity :
       {std::array<std::int64_t, 2>{9, 4096}, {12, 2000}, {5, 1 << 20}, {18, 6016}}) {
    const packing_options<2> options{.capacity = capacity, .seed = seed};
    const packers::isf method{.iterations = iterations,
                              .stream = isf_stream::published,
                              .threshold = {capacity[0] - 1, capacity[1] - 128}};
    REQUIRE(to_groups(pack_isf(table, options, method).packs) ==
            isf_as_described(table, options, method));
  }
}

TEST_CASE("pack_isf packs the same whatever width its sums need") {
  // The second resource never matters: only how many bits its capacity takes.
  const length_table table = tiled_table(3000, 5);
  const auto packs_at = [&](std::int64_t tokens) {
    return pack_isf(table, {.capacity = {9, tokens}, .seed = 3}).packs;
  };
  const auto narrow = packs_at(std::int64_t{1} << 20);
  CHECK(packs_at(std::int64_t{1} << 40) == narrow);
  CHECK(packs_at(std::int64_t{1} << 61) == narrow);
  CHECK(packs_at(std::numeric_limits<std::int64_t>::max()) == narrow);
}

TEST_CASE("pack_isf keeps a pack when any resource reaches its threshold") {
  // Packs of two hold 8 of 9 in the first resource: full at threshold 8, never at 9.
  const std::vector<loads<1>> samples(100, {4});
  const auto passes = [&](std::int64_t threshold, isf_stream stream) {
    std::uint64_t last = 0;
    const packing_options<1> options{
        .capacity = {9}, .control = {.report = [&](const progress& now) { last = now.done; }}};
    const packers::isf method{.stream = stream, .threshold = {threshold}};
    CHECK(pack_isf(samples, options, method).packs.size() == 50);
    return last;
  };
  CHECK(passes(8, isf_stream::native) == 1);
  CHECK(passes(7, isf_stream::native) == 1);
  CHECK(passes(9, isf_stream::native) == 50);
  // The published definition: the first resource equal to its threshold.
  CHECK(passes(8, isf_stream::published) == 1);
  CHECK(passes(7, isf_stream::published) == 50);
}

TEST_CASE("pack_isf loses no pack when the last shuffled sample is over capacity (defect 1)") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::vector<loads<2>> samples{{3, 30}, {2, 20}, {1, 10}, {50, 1}, {4, 40}};
    const auto result =
        pack_isf(samples, {.capacity = {9, 100}, .seed = seed, .oversize = oversize_policy::skip},
                 {.stream = isf_stream::published});
    auto packed =
        std::vector<std::uint32_t>(result.packs.indices().begin(), result.packs.indices().end());
    std::ranges::sort(packed);
    REQUIRE(packed == std::vector<std::uint32_t>{0, 1, 2, 4});
    REQUIRE(result.oversize == std::vector<std::uint32_t>{3});
  }
}

TEST_CASE("pack_isf refuses no iterations (defect 6)") {
  CHECK_THROWS_WITH(pack_isf(std::vector<loads<1>>{{1}}, {.capacity = {2}}, {.iterations = 0}),
                    "iterations = 0: must be at least 1");
}

TEST_CASE("pack_isf refuses thresholds that no pack can reach") {
  const std::vector<loads<2>> samples{{1, 1}};
  CHECK_THROWS_WITH(pack_isf(samples, {.capacity = {9, 4096}, .names = {"images", "tokens"}},
                             {.threshold = {9, 4097}}),
                    "threshold of tokens = 4097: must be from 1 to the capacity, 4096");
  CHECK_THROWS_WITH(pack_isf(samples, {.capacity = {9, 4096}}, {.threshold = {0, 4096}}),
                    "threshold of resource 0 = 0: must be from 1 to the capacity, 9");
}

TEST_CASE("pack_isf refuses seeds that the published stream cannot take") {
  const std::vector<loads<1>> samples{{1}};
  const auto pack = [&](std::uint64_t seed, std::uint32_t iterations, isf_stream stream) {
    return pack_isf(samples, {.capacity = {2}, .seed = seed},
                    {.iterations = iterations, .stream = stream});
  };
  CHECK_NOTHROW(pack(4294967295U, 2, isf_stream::published));
  CHECK_NOTHROW(pack(4294967295U, 1, isf_stream::published));
  CHECK_NOTHROW(pack(~std::uint64_t{0}, 50, isf_stream::native));
  CHECK_THROWS_WITH(
      pack(4294967295U, 3, isf_stream::published),
      "seed = 4294967295: must be at most 4294967294 for the published stream and this many "
      "iterations");
}

TEST_CASE("pack_isf stopped early has packed everything") {
  std::stop_source stop;
  const length_table table = tiled_table(1000, 1);
  const auto result = pack_isf(table,
                               {.capacity = {9, 4096},
                                .control = {.report =
                                                [&](const progress& now) {
                                                  if (now.done == 2) stop.request_stop();
                                                },
                                            .stop = stop.get_token()}},
                               {.iterations = 1000000});
  CHECK(result.status == search_status::stopped);
  CHECK(result.limit == search_limit::stop);
  CHECK(result.packs.indices().size() == 1000);
}

TEST_CASE("pack_isf with the native stream always gives these bytes") {
  const auto result = pack_isf(tiled_table(5000, 1), {.capacity = {9, 4096}, .seed = 1024});
  CHECK(result.packs.size() == 2308);
  CHECK(hash_of(result.packs) ==
        "0ffbd8ce53e3b1e27c13ba15b7f2a26bbc7fc98c60691f4c3dddb6fd3a22e8a0");
}
