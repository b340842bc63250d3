// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <omnibal/core/random.hpp>
#include <omnibal/cost/linear_fit.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

using coefficients = std::array<double, 4>;

std::array<double, 4> amounts(const workload& work) {
  return {1.0, static_cast<double>(work.tiles), static_cast<double>(work.tokens),
          static_cast<double>(work.squared_tokens)};
}

double exact_cost(const coefficients& truth, const workload& work) {
  double sum = 0;
  for (std::size_t c = 0; c < 4; ++c) sum += truth[c] * amounts(work)[c];
  return sum;
}

/// Between 0 and 1.
double share(random_stream& random) { return uniform_below(random, 1U << 30) / 1073741824.0; }

/// Of variance 1, nearly normal.
double noise(random_stream& random) {
  double sum = -6;
  for (int k = 0; k < 12; ++k) sum += share(random);
  return sum;
}

workload random_workload(random_stream& random) {
  workload work{.tiles = uniform_below(random, 20)};
  for (std::uint32_t k = 1 + uniform_below(random, 4); k > 0; --k)
    work = work + sample_workload(0, 100 + uniform_below(random, 2000));
  return work;
}

std::vector<measurement> measured(const coefficients& truth, std::size_t rows,
                                  random_stream& random, double deviation = 0) {
  std::vector<measurement> all;
  for (std::size_t k = 0; k < rows; ++k) {
    const workload work = random_workload(random);
    const double value = exact_cost(truth, work);
    all.push_back({.work = work, .value = value * (1 + deviation * noise(random))});
  }
  return all;
}

coefficients random_coefficients(random_stream& random) {
  coefficients truth = {1e5, 1e6, 1e3, 0.3};
  for (double& one : truth) one = uniform_below(random, 3) == 0 ? 0.0 : one * (0.1 + share(random));
  return truth;
}

/// Σ of squared relative residuals, and what it falls by as each coefficient grows.
double squared_error(const std::vector<measurement>& rows, const coefficients& at) {
  double sum = 0;
  for (const auto& row : rows) sum += std::pow(exact_cost(at, row.work) / row.value - 1, 2);
  return sum;
}
coefficients descent(const std::vector<measurement>& rows, const coefficients& at) {
  coefficients slope = {};
  for (const auto& row : rows)
    for (std::size_t c = 0; c < 4; ++c)
      slope[c] -= (exact_cost(at, row.work) / row.value - 1) * amounts(row.work)[c] / row.value;
  return slope;
}

std::string refusal(const std::vector<measurement>& rows) {
  try {
    (void)fit_linear_cost(rows);
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("A fit of exact values has their coefficients, zeros included") {
  random_stream random(1, 0);
  for (int round = 0; round < 300; ++round) {
    const coefficients truth = random_coefficients(random);
    const auto rows = measured(truth, 5 + uniform_below(random, 30), random);
    const linear_fit fit = fit_linear_cost(rows);
    INFO("round " << round);
    CHECK(fit.measurements == rows.size());
    CHECK(fit.undetermined.empty());
    CHECK(fit.largest_residual < 1e-11);
    CHECK(fit.margin < 1e-3);
    for (std::size_t c = 0; c < 4; ++c) {
      if (truth[c] == 0) CHECK(fit.coefficients[c] == 0);
      CHECK(fit.coefficients[c] == Approx(truth[c]).epsilon(1e-6));
    }
  }
}

TEST_CASE("A fit becomes fixed point by rounding alone") {
  random_stream random(2, 0);
  const linear_fit fit = fit_linear_cost(measured({50'000, 1e6, 12.5, 0.25}, 20, random));
  const linear_cost cost = fit.cost();
  CHECK(cost.constant == Approx(50'000.0 * 16777216).epsilon(1e-9));
  CHECK(cost.per_squared_token == Approx(0.25 * 16777216).epsilon(1e-6));
  CHECK(cost.per_token == to_fixed_point(fit.coefficients[2], "per_token"));
  const workload work{.tiles = 3, .tokens = 900, .squared_tokens = 400'000};
  CHECK(static_cast<double>(cost.of(work)) == Approx(fit.of(work)).epsilon(1e-6));
}

TEST_CASE("Noise leaves the coefficients within a few standard errors") {
  const coefficients truth = {2e5, 1e6, 1e3, 0.3};
  random_stream random(3, 0);
  int within_two = 0;
  constexpr int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    const linear_fit fit = fit_linear_cost(measured(truth, 60, random, 0.02));
    CHECK(fit.rms_residual == Approx(0.02).epsilon(0.4));
    CHECK(fit.largest_residual >= fit.rms_residual);
    for (std::size_t c = 0; c < 4; ++c) {
      const double errors = std::abs(fit.coefficients[c] - truth[c]) / fit.standard_errors[c];
      CHECK(errors < 5);
      if (errors < 2) ++within_two;
    }
  }
  CHECK(within_two > 0.92 * 4 * rounds);
  CHECK(within_two < 4 * rounds);
}

TEST_CASE("Standard errors shrink as the root of the number of rows") {
  random_stream random(4, 0);
  const coefficients truth = {2e5, 1e6, 1e3, 0.3};
  std::vector<workload> workloads;
  for (int k = 0; k < 60; ++k) workloads.push_back(random_workload(random));
  const auto standard_errors = [&](int repeats) {
    std::vector<measurement> rows;
    for (int repeat = 0; repeat < repeats; ++repeat)
      for (const workload& work : workloads)
        rows.push_back({work, exact_cost(truth, work) * (1 + 0.02 * noise(random))});
    return fit_linear_cost(rows).standard_errors;
  };
  const auto few = standard_errors(1);
  const auto many = standard_errors(100);
  for (std::size_t c = 0; c < 4; ++c) CHECK(few[c] / many[c] == Approx(10).epsilon(0.35));
}

TEST_CASE("Errors and residuals worked out by hand") {
  const auto tile = [](double value) {
    return measurement{.work = {.tiles = 1}, .value = value, .scale = 1};
  };
  // The mean is 10, the squares of the residuals sum to 8, with one degree of freedom.
  const linear_fit two = fit_linear_cost(std::vector{tile(8), tile(12)});
  CHECK(two.coefficients[1] == Approx(10));
  CHECK(two.standard_errors[1] == Approx(2));
  CHECK(two.rms_residual == Approx(2));
  // The largest is that of a value above the prediction.
  const linear_fit three = fit_linear_cost(std::vector{tile(8), tile(8), tile(14)});
  CHECK(three.largest_residual == Approx(4));
  CHECK(three.standard_errors[1] == Approx(2));
  CHECK(three.margin == Approx(0.4));
}

TEST_CASE("No non-negative coefficients are nearer to the measurements") {
  random_stream random(5, 0);
  for (int round = 0; round < 200; ++round) {
    std::vector<measurement> rows;
    for (std::uint32_t k = 5 + uniform_below(random, 10); k > 0; --k)
      rows.push_back({.work = random_workload(random), .value = 1e5 * (0.05 + share(random))});
    const linear_fit fit = fit_linear_cost(rows);
    const double error = squared_error(rows, fit.coefficients);
    CHECK(fit.rms_residual ==
          Approx(std::sqrt(error / static_cast<double>(rows.size()))).epsilon(1e-9));
    // The conditions of Karush, Kuhn and Tucker, which a convex problem has only at its optimum.
    const coefficients slope = descent(rows, fit.coefficients);
    for (std::size_t c = 0; c < 4; ++c) {
      CHECK(fit.coefficients[c] >= 0);
      double size = 0;
      for (const auto& row : rows) size += amounts(row.work)[c] / row.value;
      CHECK(slope[c] <= 1e-9 * size);
      if (fit.coefficients[c] > 0) CHECK(std::abs(slope[c]) <= 1e-9 * size);
    }
    for (int trial = 0; trial < 50; ++trial) {
      coefficients other = fit.coefficients;
      double& one = other[uniform_below(random, 4)];
      one = one * 2 * share(random) + (trial % 2 == 0 ? 0 : share(random));
      CHECK(squared_error(rows, other) >= error * (1 - 1e-9));
    }
  }
}

TEST_CASE("What the rows cannot tell apart is 0 and named") {
  using names = std::vector<std::string>;
  const auto tiles = [](std::int64_t count, double value) {
    return measurement{.work = {.tiles = count}, .value = value};
  };
  const linear_fit one = fit_linear_cost(std::vector{tiles(8, 800), tiles(8, 800)});
  CHECK(one.coefficients[1] == Approx(100));
  CHECK(one.undetermined == names{"constant", "per_token", "per_squared_token"});
  CHECK(std::isnan(one.standard_errors[0]));

  const linear_fit two = fit_linear_cost(std::vector{tiles(4, 500), tiles(8, 900)});
  CHECK(two.coefficients[0] == Approx(100));
  CHECK(two.coefficients[1] == Approx(100));
  CHECK(two.undetermined == names{"per_token", "per_squared_token"});
  CHECK(std::isnan(two.standard_errors[1]));

  const auto tokens = [](std::int64_t count, double value) {
    return measurement{.work = sample_workload(0, count), .value = value};
  };
  const linear_fit bent = fit_linear_cost(std::vector{tokens(100, 2'000), tokens(200, 6'000)});
  CHECK(bent.coefficients[2] == Approx(10));
  CHECK(bent.coefficients[3] == Approx(0.1));
  CHECK(bent.undetermined == names{"constant", "per_tile"});

  const linear_fit flat = fit_linear_cost(std::vector{tokens(100, 2'000), tokens(200, 3'000)});
  CHECK(flat.coefficients[0] == Approx(1'000));
  CHECK(flat.coefficients[2] == Approx(10));
  CHECK(flat.undetermined == names{"per_tile", "per_squared_token"});

  random_stream random(6, 0);
  std::vector<measurement> tied;
  for (int k = 1; k < 30; ++k) {
    const workload work{.tiles = k, .tokens = 256 * k, .squared_tokens = k * k};
    tied.push_back({.work = work, .value = 1000.0 * k * (1 + 0.05 * noise(random))});
  }
  const linear_fit aliased = fit_linear_cost(tied);
  CHECK(aliased.undetermined == names{"per_token"});
  CHECK(aliased.coefficients[2] == 0);
}

TEST_CASE("The margin holds every measurement, and no smaller one does") {
  random_stream random(7, 0);
  for (int round = 0; round < 100; ++round) {
    const auto rows = measured(random_coefficients(random), 30, random, 0.05);
    if (std::ranges::any_of(rows, [](const measurement& row) { return row.value <= 0; })) continue;
    const linear_fit fit = fit_linear_cost(rows);
    const auto held = [&](const measurement& row, double margin) {
      const std::int64_t bytes = fit.cost().of(row.work);
      return static_cast<double>(bytes) + std::ceil(static_cast<double>(bytes) * margin) >=
             row.value;
    };
    CHECK(fit.margin > 0);
    CHECK(std::ranges::all_of(rows, [&](const auto& row) { return held(row, fit.margin); }));
    // Predictions are rounded up to whole units, of which there are a thousand and more.
    CHECK_FALSE(
        std::ranges::all_of(rows, [&](const auto& row) { return held(row, 0.9 * fit.margin); }));
  }
  // More with less work: nothing but 0 can be predicted for a tile, so no share of it is enough.
  const std::vector<measurement> odd = {{.work = {.tiles = 1}, .value = 0},
                                        {.work = {.tiles = 100}, .value = 0},
                                        {.work = {}, .value = 1, .scale = 1e9}};
  CHECK(fit_linear_cost(odd).coefficients[1] == 0);
  CHECK(std::isinf(fit_linear_cost(odd).margin));
}

TEST_CASE("A value of 0 is measured like any other") {
  const std::vector<measurement> nothing = {{.work = {.tiles = 1}}, {.work = {.tiles = 4}}};
  const linear_fit none = fit_linear_cost(nothing);
  CHECK(none.cost() == linear_cost{});
  CHECK(none.largest_residual == 0);
  CHECK(none.margin == 0);
  CHECK(none.undetermined == std::vector<std::string>{"per_token", "per_squared_token"});

  const std::vector<measurement> some = {
      {}, {.work = {.tiles = 2}, .value = 20}, {.work = {.tiles = 5}, .value = 50}};
  const linear_fit fit = fit_linear_cost(some);
  CHECK(fit.coefficients[0] == 0);
  CHECK(fit.coefficients[1] == Approx(10));
}

TEST_CASE("Differences are fitted on the scale of what they were taken from") {
  std::vector<measurement> rows;
  for (int k = 1; k <= 10; ++k)
    rows.push_back({.work = {.tiles = k}, .value = k % 2 == 0 ? 3.0 : -1.0, .scale = 1000.0});
  const linear_fit fit = fit_linear_cost(rows);
  CHECK(fit.of({.tiles = 5}) == Approx(1.0).margin(1.0));
  CHECK(fit.largest_residual < 0.004);
}

TEST_CASE(
    "The order of rows does not matter beyond rounding, and a repeat is the same to the bit") {
  random_stream random(8, 0);
  auto rows = measured({2e5, 1e6, 1e3, 0.3}, 40, random, 0.02);
  const linear_fit fit = fit_linear_cost(rows);
  CHECK(fit_linear_cost(rows).coefficients == fit.coefficients);
  std::ranges::reverse(rows);
  const linear_fit again = fit_linear_cost(rows);
  for (std::size_t c = 0; c < 4; ++c)
    CHECK(again.coefficients[c] == Approx(fit.coefficients[c]).epsilon(1e-9));
}

TEST_CASE("Sizes at both ends are fitted") {
  const auto tile = [](std::int64_t tiles, double value) {
    return std::vector{measurement{.work = {.tiles = tiles}, .value = value}};
  };
  CHECK(fit_linear_cost(tile(1, 5e11)).coefficients[1] == Approx(5e11));
  CHECK(fit_linear_cost(tile(1, least_measurable)).cost().per_tile == 1);
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(fit_linear_cost(tile(most, 1e9)).of({.tiles = most}) == Approx(1e9));
}

TEST_CASE("Measurements that are none are refused by index and value") {
  using Catch::Matchers::ContainsSubstring;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const measurement good{.work = {.tiles = 1}, .value = 1};
  CHECK_THAT(refusal({}), ContainsSubstring("rows = nothing"));
  CHECK_THAT(refusal({good, {.value = -1}}), ContainsSubstring("rows[1].value = -1"));
  CHECK_THAT(refusal({good, good, {.value = nan}}), ContainsSubstring("rows[2].value = nan"));
  CHECK_THAT(refusal({{.value = infinity}}), ContainsSubstring("rows[0].value = inf"));
  CHECK_THAT(refusal({{.value = 1e12}}), ContainsSubstring("rows[0].value = 1000000000000"));
  CHECK_THAT(refusal({{.value = 1e-300}}), ContainsSubstring("rows[0].value"));
  CHECK_THAT(refusal({good, {.value = nan, .scale = 1}}), ContainsSubstring("rows[1].value = nan"));
  CHECK_THAT(refusal({good, {.value = 1, .scale = -1}}), ContainsSubstring("rows[1].scale = -1"));
  CHECK_THAT(refusal({good, {.value = 1, .scale = nan}}), ContainsSubstring("rows[1].scale = nan"));
  CHECK_THAT(refusal({{.work = {.tiles = -3}}}), ContainsSubstring("rows[0].work.tiles = -3"));
  CHECK_THAT(refusal({{.work = {.tokens = -3}}}), ContainsSubstring("rows[0].work.tokens = -3"));
  CHECK_THAT(refusal({{.work = {.squared_tokens = -1}}}),
             ContainsSubstring("rows[0].work.squared_tokens = -1"));
}
