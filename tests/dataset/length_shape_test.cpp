// SPDX-License-Identifier: Apache-2.0
// Made-up length tables: their distributions, what stays the same, and what is refused.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <omnibal/core/hash.hpp>
#include <omnibal/dataset/length_shape.hpp>

#include "../catch.hpp"

using namespace omnibal;
using Catch::Matchers::ContainsSubstring;
using shape = std::vector<length_column>;

namespace {

const shape tiles_and_tokens = {
    {.name = "tiles", .buckets = {{1, 1, 9}, {3, 3, 34}, {4, 5, 57}}},
    {.name = "tokens", .buckets = {{40, 299, 1}}, .shares = {{.column = 0, .factor = 256}}}};

std::string refusal(const shape& columns) {
  try {
    validate(columns);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

shape with_buckets(std::vector<length_bucket> buckets) {
  return {{.name = "a", .buckets = std::move(buckets)}};
}

}  // namespace

TEST_CASE("Rows have numbers of their buckets, in proportion to the weights") {
  const length_rows rows = draw_lengths(tiles_and_tokens, {.rows = 100'000, .seed = 4});
  REQUIRE(rows.size() == 100'000);
  std::map<std::int64_t, double> counts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ++counts[rows.row(i)[0]];
    const std::int64_t text = rows.row(i)[1] - 256 * rows.row(i)[0];
    REQUIRE(text >= 40);
    REQUIRE(text <= 299);
  }
  const std::map<std::int64_t, double> expected = {{1, 0.09}, {3, 0.34}, {4, 0.285}, {5, 0.285}};
  REQUIRE(counts.size() == expected.size());
  for (const auto& [value, share] : expected) {
    INFO(value);
    CHECK(std::abs(counts[value] / 100'000 - share) < 6 * std::sqrt(share * (1 - share) / 100'000));
  }
}

TEST_CASE("A bucket gives each of its integers, ends included") {
  const length_rows rows = draw_lengths(with_buckets({{7, 11, 1}, {50, 50, 0}}), {.rows = 1000});
  CHECK(std::set<std::int64_t>(rows.values.begin(), rows.values.end()) ==
        std::set<std::int64_t>{7, 8, 9, 10, 11});
}

TEST_CASE("The same seed gives the same rows, and more rows begin with fewer") {
  const auto drawn = [](std::size_t rows, std::uint64_t seed) {
    return draw_lengths(tiles_and_tokens, {.rows = rows, .seed = seed}).values;
  };
  const auto whole = drawn(300, 1);
  CHECK(whole == drawn(300, 1));
  CHECK(whole != drawn(300, 2));
  const auto part = drawn(100, 1);
  CHECK(std::equal(part.begin(), part.end(), whole.begin()));
}

TEST_CASE("Text-only rows lose their images and nothing else, for tables and histograms") {
  const std::vector<loads<3>> real = {{1, 10, 100}, {2, 20, 200}, {3, 30, 300}};
  const auto drawn = [&](bool resampled, std::uint32_t quarters) {
    const length_draw_options options{
        .rows = 8000, .seed = 3, .text_only_numerator = quarters, .text_only_denominator = 4};
    return resampled ? resample_lengths<3>(real, options) : draw_lengths(tiles_and_tokens, options);
  };
  for (const bool resampled : {false, true}) {
    const length_rows with_images = drawn(resampled, 0);
    for (const std::uint32_t quarters : {1U, 4U}) {
      const length_rows rows = drawn(resampled, quarters);
      std::size_t text_only = 0;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.row(i)[0] == 0) ++text_only;
        REQUIRE((rows.row(i)[0] == 0 || rows.row(i)[0] == with_images.row(i)[0]));
        REQUIRE(std::ranges::equal(rows.row(i).subspan(1), with_images.row(i).subspan(1)));
      }
      CHECK(std::abs(static_cast<double>(text_only) - 2000.0 * quarters) <= 200);
      if (quarters == 4) CHECK(text_only == 8000);
    }
  }
}

TEST_CASE("Rows drawn from a table are its rows, all alike often") {
  const std::vector<loads<2>> real = {{1, 10}, {2, 20}, {2, 20}, {3, 30}};
  const length_rows rows = resample_lengths<2>(real, {.rows = 40'000, .seed = 8});
  std::map<std::vector<std::int64_t>, double> counts;
  for (std::size_t i = 0; i < rows.size(); ++i)
    ++counts[std::vector<std::int64_t>(rows.row(i).begin(), rows.row(i).end())];
  REQUIRE(counts.size() == 3);
  CHECK(std::abs(counts[{1, 10}] - 10'000) < 500);
  CHECK(std::abs(counts[{2, 20}] - 20'000) < 600);
  CHECK(std::abs(counts[{3, 30}] - 10'000) < 500);
}

TEST_CASE("The rows of a seed stay the same: golden") {
  const length_rows rows =
      draw_lengths(tiles_and_tokens,
                   {.rows = 4, .seed = 1024, .text_only_numerator = 1, .text_only_denominator = 2});

  CHECK(rows.values == std::vector<std::int64_t>{0, 1465, 0, 872, 3, 938, 3, 851});
}

TEST_CASE("Shapes that cannot be drawn from are refused by column and member") {
  CHECK(refusal(tiles_and_tokens).empty());
  CHECK_THAT(refusal({}), ContainsSubstring("columns = nothing"));
  CHECK_THAT(refusal({{.name = "", .buckets = {{1, 2, 1}}}}), ContainsSubstring("columns[0].name"));
  CHECK_THAT(
      refusal({{.name = "a", .buckets = {{1, 2, 1}}}, {.name = "a", .buckets = {{1, 2, 1}}}}),
      ContainsSubstring("columns[1].name = a: is already taken"));
  const auto weights = "must have weights that sum to 1 ... 4294967295";
  CHECK_THAT(refusal(with_buckets({})), ContainsSubstring("columns[0].buckets = []"));
  CHECK_THAT(refusal(with_buckets({{1, 2, 0}})),
             ContainsSubstring("columns[0].buckets = [[1,2,0]]"));
  CHECK_THAT(refusal(with_buckets({{1, 2, 1U << 31}, {1, 2, 1U << 31}})),
             ContainsSubstring(weights));
  CHECK(refusal(with_buckets({{1, 2, 1U << 31}, {1, 2, (1U << 31) - 1}})).empty());
  CHECK_THAT(refusal(with_buckets({{2, 1, 3}})), ContainsSubstring("columns[0].buckets = [2,1,3]"));
  CHECK_THAT(refusal(with_buckets({{-1, 1, 3}})), ContainsSubstring("between 0 and 2^62"));
  constexpr std::int64_t wide = std::int64_t{1} << 32;
  CHECK(refusal(with_buckets({{5, wide + 3, 1}})).empty());
  CHECK_THAT(refusal(with_buckets({{5, wide + 4, 1}})), ContainsSubstring("fewer than 2^32"));
  shape shared = tiles_and_tokens;
  shared[1].shares = {{.column = 1, .factor = 2}};
  CHECK_THAT(refusal(shared), ContainsSubstring("columns[1].shares = 1: must be a column before"));
  shared[1].shares = {{.column = 0, .factor = -2}};
  CHECK_THAT(refusal(shared), ContainsSubstring("columns[1].shares = -2"));
  shared[1].shares = {{.column = 0, .factor = std::int64_t{1} << 60}};
  CHECK_THAT(refusal(shared), ContainsSubstring("columns[1].shares = tokens: can grow past 2^62"));
}

TEST_CASE("The largest numbers that a shape may have are drawn") {
  constexpr std::int64_t most = std::int64_t{1} << 62;
  shape large = with_buckets({{most / 2, most / 2, std::numeric_limits<std::uint32_t>::max()}});
  large.push_back({.name = "b", .buckets = {{0, 0, 1}}, .shares = {{0, 1}, {0, 1}}});
  CHECK(draw_lengths(large, {.rows = 1}).values == std::vector<std::int64_t>{most / 2, most});
  CHECK(draw_lengths(with_buckets({{0, 0xFFFFFFFE, 1}}), {.rows = 9}).size() == 9);
}

TEST_CASE("Shares of text-only rows and empty tables are refused") {
  const auto drawn = [](std::uint32_t numerator, std::uint32_t denominator) {
    return draw_lengths(
        tiles_and_tokens,
        {.rows = 1, .text_only_numerator = numerator, .text_only_denominator = denominator});
  };
  CHECK_THROWS_WITH(drawn(1, 0), ContainsSubstring("text_only_denominator = 0"));
  CHECK_THROWS_WITH(drawn(3, 2), ContainsSubstring("text_only_numerator = 3"));
  CHECK_THROWS_AS(resample_lengths<2>({}, {.rows = 1}), invalid_input);
}

TEST_CASE("Summaries of columns") {
  const length_rows rows{.columns = 2, .values = {3, 10, 9, 20, 0, 60}};
  const length_summary first = summarize_lengths(rows, 0);
  CHECK(first.least == 0);
  CHECK(first.mean == 4.0);
  CHECK(first.most == 9);
  CHECK(summarize_lengths(rows, 1).mean == 30.0);
  CHECK(summarize_lengths({.columns = 2}, 1).most == 0);
}
