// SPDX-License-Identifier: Apache-2.0
// What the balanced packer promises beyond what every packer does.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"
#include "packing/pack_hash.hpp"

using namespace omnibal;

namespace {

bool holds_each_once(const packing_result& result, std::size_t samples) {
  std::vector<std::uint8_t> seen(samples);
  for (const std::uint32_t id : result.packs.indices()) ++seen.at(id);
  return std::ranges::all_of(seen, [](std::uint8_t times) { return times == 1; });
}

bool keeps_within(const packing_result& result, const length_table& samples,
                  const loads<2>& capacity) {
  return std::ranges::all_of(pack_loads(result.packs, samples), [&](const auto& pack) {
    return pack[0] <= capacity[0] && pack[1] <= capacity[1];
  });
}

}  // namespace

TEST_CASE("pack_balanced packs a large table alike with any number of threads") {
  // Two shares of a table, and a few samples that fit nowhere or anywhere.
  length_table samples = tiled_table(2'200'000, 3);
  samples[7] = {0, 0};
  samples[1'300'000] = {19, 10};
  samples[2'199'999] = {0, 0};
  const loads<2> capacity{18, 6016};
  const auto pack = [&](unsigned threads) {
    return pack_balanced(samples, {.capacity = capacity,
                                   .seed = 5,
                                   .oversize = oversize_policy::own_pack,
                                   .threads = threads});
  };
  const packing_result one = pack(1);
  CHECK(one.oversize == std::vector<std::uint32_t>{1'300'000});
  CHECK(holds_each_once(one, samples.size()));
  CHECK(one.packs.size() <= one.bound + one.bound / 500);
  packing_result fitting = one;
  fitting.packs = {};
  for (std::size_t k = 0; k + 1 < one.packs.size(); ++k) fitting.packs.append(one.packs[k]);
  CHECK(keeps_within(fitting, samples, capacity));
  for (const unsigned threads : {2U, 3U, 0U}) CHECK(pack(threads).packs == one.packs);
}

TEST_CASE("pack_balanced names the first bad sample with any number of threads") {
  length_table samples = tiled_table(300'000, 3);
  samples[290'000] = {-2, 1};
  samples[170'000] = {1, -7};
  for (const unsigned threads : {1U, 2U, 5U})
    CHECK_THROWS_WITH((pack_balanced(samples, {.capacity = {9, 4096}, .threads = threads})),
                      "resource 1[170000] = -7: must not be negative");
}

TEST_CASE("pack_balanced packs afresh in each epoch and for each seed") {
  const length_table samples = tiled_table(3000, 1);
  const auto pack = [&](std::uint64_t seed, std::uint64_t epoch) {
    return pack_balanced(samples, {.capacity = {9, 4096}, .seed = seed, .epoch = epoch}).packs;
  };
  CHECK(pack(1, 0) == pack(1, 0));
  CHECK(pack(1, 0) != pack(1, 1));
  CHECK(pack(1, 0) != pack(2, 0));
}

TEST_CASE("pack_balanced makes the same bytes everywhere") {
  const length_table samples = tiled_table(5000, 2);
  const auto hash = [&](const loads<2>& capacity) {
    return hash_of(pack_balanced(samples, {.capacity = capacity, .seed = 1024}).packs);
  };
  CHECK(hash({9, 4096}) == "7b5ec36a323cbf5c8287a502a23355dcad56456ca423a25733ad2b27f076f1be");
  CHECK(hash({18, 6016}) == "46bb631984cbfa277b13194dc892c04118189d960944f4cf0d2011f0f4f9325e");
}
