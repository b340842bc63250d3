// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;

namespace {

using texts = std::vector<std::string>;

/// A table with keys, and the same in another order.
struct two_orders {
  texts keys;
  length_table samples = tiled_table(300, 1);
  texts other_keys;
  length_table other_samples;

  two_orders() {
    std::vector<std::uint32_t> order(samples.size());
    std::iota(order.begin(), order.end(), 0U);
    random_stream random(2);
    shuffle_randomly(order, random);
    for (std::size_t k = 0; k < samples.size(); ++k)
      keys.push_back("image-" + std::to_string(k * k % 997) + "-" + std::to_string(k));
    for (const std::uint32_t k : order)
      other_keys.push_back(keys[k]), other_samples.push_back(samples[k]);
  }
};

std::vector<std::uint32_t> match(const texts& from, const texts& to) {
  return match_keys<std::string>(from, to);
}

}  // namespace

TEST_CASE("packs made for one order of a table hold the same samples in another") {
  const two_orders tables;
  const auto packs = pack_balanced(tables.samples, {.capacity = {9, 4096}}).packs;
  const auto places = match(tables.keys, tables.other_keys);
  require_same_loads<std::string>(tables.keys, tables.samples, tables.other_samples, places);
  const auto moved = renumber_samples(packs, places);
  CHECK(moved != packs);
  CHECK(pack_loads(moved, tables.other_samples) == pack_loads(packs, tables.samples));
  for (std::size_t k = 0; k < packs.size(); ++k)
    for (std::size_t i = 0; i < packs[k].size(); ++i)
      REQUIRE(tables.other_keys[moved[k][i]] == tables.keys[packs[k][i]]);
  CHECK(renumber_samples(moved, match(tables.other_keys, tables.keys)) == packs);
}

TEST_CASE("keyed_fingerprint sees keys and loads, not their order") {
  two_orders tables;
  const auto of = [](const texts& keys, const length_table& samples) {
    return keyed_fingerprint<std::string>(keys, samples);
  };
  const std::uint64_t fingerprint = of(tables.keys, tables.samples);
  CHECK(of(tables.other_keys, tables.other_samples) == fingerprint);
  CHECK(of(tables.keys, tables.other_samples) != fingerprint);
  ++tables.samples[7][1];
  CHECK(of(tables.keys, tables.samples) != fingerprint);
  --tables.samples[7][1];
  tables.keys[7] += "x";
  CHECK(of(tables.keys, tables.samples) != fingerprint);
}

TEST_CASE("table_fingerprint sees loads and their order, not their integer type") {
  const std::vector<loads<2>> samples{{1, 2}, {3, 4}};
  const std::vector<loads<2, short>> narrow{{1, 2}, {3, 4}};
  CHECK(table_fingerprint(samples) == table_fingerprint(narrow));
  CHECK(table_fingerprint(samples) != table_fingerprint(std::vector<loads<2>>{{3, 4}, {1, 2}}));
  CHECK(table_fingerprint(samples) != table_fingerprint(std::vector<loads<2>>{{1, 2}}));
  CHECK(table_fingerprint(std::vector<int>{1, 3}, [](int one) {
          return std::array{one, one + 1};
        }) == table_fingerprint(samples));
}

TEST_CASE("keys that are there twice are refused, and both places named") {
  CHECK_THROWS_WITH(match({"a", "b", "c", "b"}, {"a", "b", "c", "d"}),
                    "keys[3] = b: is the key of sample 1 too: every sample needs a key of its own");
  const std::vector<std::int64_t> numbers{5, -1, 5};
  CHECK_THROWS_WITH(keyed_fingerprint<std::int64_t>(numbers, std::vector<loads<1>>(3)),
                    "keys[2] = 5: is the key of sample 0 too: every sample needs a key of its own");
  CHECK_THROWS_WITH(keyed_fingerprint<std::int64_t>(numbers, std::vector<loads<1>>(2)),
                    "number of keys = 3: must be that of samples, 2");
}

TEST_CASE("tables with other keys are refused, and the first is named") {
  CHECK_THROWS_WITH(match({"a", "z", "b", "c"}, {"c", "a"}),
                    "keys[1] = z: is missing from the other table, with 2 in all");
  CHECK_THROWS_WITH(match({"a", "b"}, {"b", "x", "a", "d"}),
                    "keys[1] = x: is new in the other table, with 2 in all");
  CHECK_THROWS_WITH(match({}, {"a"}), ContainsSubstring("keys[0] = a: is new"));
  CHECK(match({}, {}).empty());
}

TEST_CASE("samples that weigh otherwise are refused, and the first is named") {
  const texts keys{"a", "b"};
  const texts other{"b", "a"};
  const std::vector<loads<2>> before{{1, 2}, {3, 4}};
  const std::vector<loads<2>> after{{3, 5}, {1, 2}};
  CHECK_THROWS_WITH(require_same_loads<std::string>(keys, before, after, match(keys, other)),
                    "keys[1] = b: has load 5 of resource 1, but had 4");
}

TEST_CASE("keys may be integers or views, of any value") {
  const std::vector<std::uint64_t> from{~std::uint64_t{0}, 0, std::uint64_t{1} << 63};
  const std::vector<std::uint64_t> to{0, std::uint64_t{1} << 63, ~std::uint64_t{0}};
  CHECK(match_keys<std::uint64_t>(from, to) == std::vector<std::uint32_t>{2, 0, 1});
  const std::vector<std::string_view> views{"b", "", std::string_view("a\0b", 3)};
  const std::vector<std::string_view> other{"", std::string_view("a\0b", 3), "b"};
  CHECK(match_keys<std::string_view>(views, other) == std::vector<std::uint32_t>{2, 0, 1});
}

TEST_CASE("renumber_samples refuses packs of a larger table") {
  const std::vector<std::uint32_t> places{1, 0};
  CHECK(renumber_samples({{0, 1, 2}, {0, 1}}, places) ==
        grouping<std::uint32_t>({0, 1, 2}, {1, 0}));
  CHECK_THROWS_WITH(renumber_samples({{0, 1, 2}, {0, 2}}, places),
                    "packs[1] = 2: names a sample beyond the last of 2");
}

TEST_CASE("golden: fingerprints of tables never change") {
  const std::vector<loads<2>> samples{{1, 2}, {3, 4}};
  CHECK(table_fingerprint(samples) == 0xE2F667E2406C93D7);
  CHECK(keyed_fingerprint<std::string>(texts{"b", "a"}, samples) == 0x39C27A9E62BAFB2C);
}
