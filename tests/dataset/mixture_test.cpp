// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <omnibal/core/hash.hpp>
#include <omnibal/dataset/mixture.hpp>
#include <omnibal/dataset/table_index.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/metrics.hpp>

#include "catch.hpp"
#include "packing/length_tables.hpp"

using namespace omnibal;

namespace {

table_index index_of(const std::vector<std::uint64_t>& rows) { return table_index(rows); }

std::vector<std::uint32_t> times_of(const std::vector<std::uint64_t>& ids, std::uint64_t samples) {
  std::vector<std::uint32_t> times(samples);
  for (const std::uint64_t id : ids) ++times.at(id);
  return times;
}

}  // namespace

TEST_CASE("draw_mixture reaches every sample of every table, in no order (defect 4)") {
  const table_index tables = index_of({32, 16, 0, 48});
  const std::vector<mixture_rate> rates(4);
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    const auto ids = draw_mixture(tables, rates, {.seed = 1, .epoch = epoch});
    CHECK(times_of(ids, 96) == std::vector<std::uint32_t>(96, 1));
    CHECK_FALSE(std::ranges::is_sorted(ids));
    // Tables are mixed: the first third has samples of all three.
    std::vector<int> seen(4);
    for (const std::uint64_t id : std::span(ids).first(32)) seen[tables.locate(id).table] = 1;
    CHECK(seen == std::vector<int>{1, 1, 0, 1});
  }
  CHECK(draw_mixture(tables, rates, {.seed = 1}) == draw_mixture(tables, rates, {.seed = 1}));
  CHECK(draw_mixture(tables, rates, {.seed = 1}) != draw_mixture(tables, rates, {.seed = 2}));
  CHECK(draw_mixture(tables, rates, {.seed = 1}) !=
        draw_mixture(tables, rates, {.seed = 1, .epoch = 1}));
}

TEST_CASE("draw_mixture keeps rates exactly, and no sample falls behind over epochs") {
  const std::vector<std::uint64_t> rows{7, 100, 33, 5, 9};
  const std::vector<mixture_rate> rates{{5, 2}, {1, 3}, {1, 1}, {0, 1}, {17, 4}};
  const table_index tables(rows);
  std::vector<std::uint32_t> times(tables.samples());
  for (std::uint64_t epoch = 0; epoch < 25; ++epoch) {
    const auto ids = draw_mixture(tables, rates, {.seed = 3, .epoch = epoch});
    const auto now = times_of(ids, tables.samples());
    for (std::size_t id = 0; id < times.size(); ++id) times[id] += now[id];
    for (std::size_t table = 0, first = 0; table < rows.size(); first += rows[table++]) {
      const auto of_table = std::span(times).subspan(first, rows[table]);
      const auto [fewest, most] = std::ranges::minmax(of_table);
      REQUIRE(most - fewest <= 1);
      REQUIRE(std::accumulate(of_table.begin(), of_table.end(), std::uint64_t{0}) ==
              (epoch + 1) * rows[table] * rates[table].numerator / rates[table].denominator);
      const auto [few, many] = std::ranges::minmax(std::span(now).subspan(first, rows[table]));
      REQUIRE(many - few <= 2);  // an epoch may end one pass and begin another
    }
  }
}

TEST_CASE("draw_mixture takes other samples of a table each epoch") {
  const table_index tables = index_of({1000});
  const std::vector<mixture_rate> half{{1, 2}};
  auto first = draw_mixture(tables, half);
  auto second = draw_mixture(tables, half, {.epoch = 1});
  auto third = draw_mixture(tables, half, {.epoch = 2});
  for (auto* ids : {&first, &second, &third}) std::ranges::sort(*ids);
  CHECK(first.size() == 500);
  std::vector<std::uint64_t> both;
  std::ranges::set_intersection(first, second, std::back_inserter(both));
  CHECK(both.empty());
  CHECK(third != first);
  CHECK(first.back() > 900);  // not the first half of the table
}

TEST_CASE("rates_for shares out samples by weight") {
  const table_index tables = index_of({10, 1000, 50});
  const auto rates = rates_for(tables, std::vector<std::uint64_t>{1, 1, 2}, 99);
  CHECK(rates == std::vector<mixture_rate>{{25, 10}, {25, 1000}, {49, 50}});
  for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
    const auto times = times_of(draw_mixture(tables, rates, {.epoch = epoch}), 1060);
    CHECK(std::accumulate(times.begin(), times.begin() + 10, 0U) == 25);
    CHECK(std::accumulate(times.begin() + 10, times.begin() + 1010, 0U) == 25);
    CHECK(std::accumulate(times.begin() + 1010, times.end(), 0U) == 49);
  }
}

TEST_CASE("rates_for gives away every sample, whatever the weights") {
  random_stream random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::uint64_t> rows(1 + uniform_below(random, 6));
    std::vector<std::uint64_t> weights(rows.size());
    for (std::size_t k = 0; k < rows.size(); ++k)
      rows[k] = 1 + uniform_below(random, 50), weights[k] = uniform_below(random, 1'000'000);
    weights[0] += 1;
    const std::uint64_t samples = uniform_below(random, 1000);
    const auto rates = rates_for(table_index(rows), weights, samples);
    std::uint64_t given = 0;
    const std::uint64_t all = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
    for (std::size_t k = 0; k < rows.size(); ++k) {
      given += rates[k].numerator;
      const std::uint64_t exact = weights[k] * samples;
      REQUIRE(rates[k].numerator >= exact / all);
      REQUIRE(rates[k].numerator <= exact / all + (exact % all > 0 ? 1 : 0));
    }
    REQUIRE(given == samples);
  }
}

TEST_CASE("a mixture is packed, and packs lead back to tables and rows") {
  const std::vector<length_table> data{tiled_table(300, 1), tiled_table(50, 2),
                                       tiled_table(120, 3)};
  const table_index tables = index_of({300, 50, 120});
  const std::vector<mixture_rate> rates{{1, 1}, {4, 1}, {1, 2}};
  const auto ids = draw_mixture(tables, rates, {.seed = 5});
  REQUIRE(ids.size() == 300 + 200 + 60);
  const auto loads_of = [&](std::uint64_t id) {
    const table_row at = tables.locate(id);
    return data[at.table][at.row];
  };
  const auto packing = pack_balanced(ids, {.capacity = {9, 4096}}, loads_of);
  std::vector<std::uint32_t> times(tables.samples());
  for (std::size_t k = 0; k < packing.packs.size(); ++k) {
    loads<2> sum{};
    for (const std::uint32_t place : packing.packs[k]) {
      ++times[ids[place]];
      for (std::size_t r = 0; r < 2; ++r) sum[r] += loads_of(ids[place])[r];
    }
    REQUIRE(sum[0] <= 9);
    REQUIRE(sum[1] <= 4096);
    REQUIRE(sum == pack_loads(packing.packs, ids, loads_of)[k]);
  }
  CHECK(times == times_of(ids, tables.samples()));
  CHECK(std::ranges::count(std::span(times).subspan(300, 50), 4U) == 50);
}

TEST_CASE("draw_mixture refuses what it cannot do") {
  const table_index tables = index_of({3, 2});
  using rates = std::vector<mixture_rate>;
  CHECK_THROWS_WITH(draw_mixture(tables, rates(1)),
                    "number of rates = 1: must be that of tables, 2");
  CHECK_THROWS_WITH(draw_mixture(tables, rates{{1, 1}, {1, 0}}),
                    "rate denominator[1] = 0: must not be 0");
  CHECK_THROWS_AS(draw_mixture(tables, rates{{1, 1}, {std::uint64_t{1} << 32, 1}}), invalid_input);
  CHECK_THROWS_AS(draw_mixture(tables, rates{{1, 1}, {0xFFFFFFFF, 1}}), invalid_input);
  CHECK_THROWS_AS(draw_mixture(tables, rates(2), {.epoch = 0xFFFFFFFF}), invalid_input);
  CHECK_THROWS_AS(draw_mixture(tables, rates{{9, 1}, {0, 1}}, {.epoch = 0xFFFFFFFE}),
                  invalid_input);
  CHECK(draw_mixture(tables, rates{{1, 1}, {0, 1}}, {.epoch = 0xFFFFFFFE}).size() == 3);
  CHECK_THROWS_AS(draw_mixture(index_of({std::uint64_t{1} << 40}), rates(1)), invalid_input);
  CHECK(draw_mixture(table_index{}, {}).empty());
  CHECK(draw_mixture(index_of({0, 0}), rates(2)).empty());
}

TEST_CASE("rates_for refuses what it cannot share out") {
  const table_index tables = index_of({3, 0});
  using numbers = std::vector<std::uint64_t>;
  CHECK_THROWS_WITH(rates_for(tables, numbers{1}, 9),
                    "number of weights = 1: must be that of tables, 2");
  CHECK_THROWS_WITH(rates_for(tables, numbers{1, 1}, 9),
                    "weights[1] = 1: must be 0 for a table without rows");
  CHECK_THROWS_WITH(rates_for(tables, numbers{0, 0}, 9), "weights = 0: must not all be 0");
  CHECK_THROWS_AS(rates_for(tables, numbers{std::uint64_t{1} << 32, 0}, 9), invalid_input);
  CHECK_THROWS_AS(rates_for(tables, numbers{1, 0}, std::uint64_t{1} << 32), invalid_input);
}

TEST_CASE("golden: a mixture always is these samples") {
  const auto ids = draw_mixture(index_of({4, 3}), std::vector<mixture_rate>{{3, 2}, {1, 3}},
                                {.seed = 1024, .epoch = 1});
  CHECK(ids == std::vector<std::uint64_t>{0, 2, 2, 0, 5, 3, 1});
}
