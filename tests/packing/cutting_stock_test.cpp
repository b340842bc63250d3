// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/detail/cutting_stock.hpp>
#include <omnibal/packing/detail/pattern_knapsack.hpp>

#include "catch.hpp"

using namespace omnibal;
using namespace omnibal::detail;

namespace {

/// The highest value of a pack, by trying all numbers of copies.
std::int64_t highest_value(std::span<const plane_point> items, std::span<const std::int64_t> values,
                           plane_point slack, bool exactly) {
  constexpr std::int64_t impossible = -(std::int64_t{1} << 60);
  if (items.empty()) return exactly && slack != plane_point{} ? impossible : 0;
  std::int64_t highest = impossible;
  for (std::int64_t copies = 0;; ++copies) {
    highest =
        std::max(highest, copies * values[0] +
                              highest_value(items.subspan(1), values.subspan(1), slack, exactly));
    if (items[0].row > slack.row || items[0].column > slack.column) return highest;
    slack = {slack.row - items[0].row, slack.column - items[0].column};
  }
}

double to_double(std::int64_t number) {
  return static_cast<double>(number) / static_cast<double>(fixed::one);
}

}  // namespace

TEST_CASE("plane_knapsack values packs of every size as trying everything does") {
  random_stream random(3);
  for (int turn = 0; turn < 40; ++turn) {
    const plane_point corner{.row = uniform_below(random, 5),
                             .column = 1 + uniform_below(random, 12)};
    std::vector<plane_point> items;
    std::vector<std::int64_t> values;
    while (items.size() < 3) {
      const plane_point item{.row = uniform_below(random, corner.row + 1),
                             .column = uniform_below(random, corner.column + 1)};
      if (item == plane_point{}) continue;
      items.push_back(item);
      values.push_back(std::int64_t{uniform_below(random, 20)} - 5);
    }
    plane_knapsack knapsack(items, corner);
    for (const bool exactly : {false, true}) {
      exactly ? knapsack.solve_exactly(values) : knapsack.solve_within(values);
      for (std::size_t k = 0; k < knapsack.points(); ++k) {
        const plane_point size = knapsack.point(k);
        const std::int64_t expected = highest_value(items, values, size, exactly);
        if (expected <= -(std::int64_t{1} << 59)) {
          REQUIRE(knapsack.value(size) < -(std::int64_t{1} << 60));
          continue;
        }
        REQUIRE(knapsack.value(size) == expected);
        const pack_pattern pattern = knapsack.pattern(size, values);
        std::int64_t worth = 0;
        plane_point held;
        for (std::size_t item = 0; item < items.size(); ++item) {
          const auto copies = static_cast<std::uint32_t>(pattern.copies[item]);
          worth += copies * values[item];
          held.row += copies * items[item].row;
          held.column += copies * items[item].column;
        }
        REQUIRE(worth == expected);
        REQUIRE((exactly ? held == size : held.row <= size.row && held.column <= size.column));
      }
    }
  }
}

TEST_CASE("fewest_packs_program finds optima known by hand") {
  // Capacity 10: 100 of 6 and 100 of 4 go together; 30 of 7 stay alone beside 3s.
  const auto value = [](std::vector<plane_point> items, std::uint32_t capacity,
                        const std::vector<std::uint64_t>& counts) {
    plane_knapsack knapsack(std::move(items), {.column = capacity});
    const auto program = fewest_packs_program(knapsack, counts);
    std::uint64_t all = 0;
    double packs = 0;
    for (const std::uint64_t count : counts) all += count;
    for (const std::int64_t amount : program.amounts())
      packs += to_double(amount) * static_cast<double>(all);
    return packs;
  };
  CHECK(value({{0, 6}, {0, 4}}, 10, {100, 100}) == Approx(100));
  CHECK(value({{0, 6}, {0, 4}}, 10, {100, 50}) == Approx(100));
  CHECK(value({{0, 6}, {0, 4}}, 10, {100, 150}) == Approx(125));
  CHECK(value({{0, 1}}, 7, {70}) == Approx(10));
  // Three 3s beside a 1, or two 5s: (90 + 90 / 3) / ... two resources of which the second binds.
  CHECK(value({{0, 5}, {0, 3}, {0, 1}}, 10, {90, 90, 30}) == Approx(75));
}

TEST_CASE("a solved program meets its demand exactly at the cost it proves") {
  random_stream random(4);
  for (int turn = 0; turn < 30; ++turn) {
    const plane_point corner{.row = 12, .column = 40};
    std::vector<plane_point> items;
    std::vector<std::uint64_t> counts;
    std::uint64_t all = 0;
    for (int k = 0; k < 12; ++k) {
      items.push_back({.row = uniform_below(random, 7), .column = 1 + uniform_below(random, 30)});
      all += counts.emplace_back(1 + uniform_below(random, 1000));
    }
    plane_knapsack knapsack(items, corner);
    const auto program = fewest_packs_program(knapsack, counts);
    double packs = 0;
    double worth = 0;
    for (std::size_t k = 0; k < items.size(); ++k) {
      packs += to_double(program.amounts()[k]);
      worth += to_double(program.dual_values()[k]) * static_cast<double>(counts[k]);
      double held = 0;
      for (std::size_t i = 0; i < items.size(); ++i)
        held += to_double(program.amounts()[i]) * program.basis()[i].copies[k];
      CHECK(held == Approx(static_cast<double>(counts[k]) / static_cast<double>(all)).margin(1e-7));
      CHECK(program.amounts()[k] >= -16);
    }
    CHECK(packs * static_cast<double>(all) == Approx(worth).epsilon(1e-5));
    // No pack is worth noticeably more than one.
    knapsack.solve_within(program.dual_values());
    CHECK(to_double(knapsack.value(corner)) < 1.00001);
  }
}
