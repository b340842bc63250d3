// SPDX-License-Identifier: Apache-2.0
// Compiled for every machine: numbers are read through copies.

#include "machine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"

using namespace omnibal::trainer;
using omnibal::invalid_input;

namespace {

using numbers = std::vector<double>;

numbers counted_up(std::size_t count) {
  numbers values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<double>(i % 7) - 2.5);
  return values;
}

matrix<double> placed_matrix(machine& on, std::size_t rows, std::size_t columns) {
  matrix<double> result(on, rows, columns);
  copy_in(on, std::span<const double>(counted_up(rows * columns)), result.view().data);
  return result;
}

numbers read(machine& on, const matrix<double>& from) {
  numbers values(from.view().size());
  copy_out(on, from.view().data, std::span(values));
  return values;
}

/// A cell of a matrix of counted_up numbers, or of its transpose.
double cell(std::size_t columns, bool transposed, std::size_t row, std::size_t column) {
  const std::size_t at = transposed ? column * columns + row : row * columns + column;
  return static_cast<double>(at % 7) - 2.5;
}

/// Calls f(lanes) for one row and gives the number that it leaves.
template <typename Function>
double in_one_row(machine& on, const Function& f) {
  matrix<double> result(on, 1, 1);
  double* const out = result.view().data;
  for_rows(on, 1, [=] OMNIBAL_ON_LANES(std::size_t, lanes group) { f(group, out); });
  return read(on, result)[0];
}

}  // namespace

TEST_CASE("bytes are counted per use, at their peak and after moves") {
  machine on;
  {
    matrix<float> a(on, 3, 5);
    matrix<double> b(on, 2, 2, memory_use::parameters);
    CHECK(on.held(memory_use::activations) == 60);
    CHECK(on.held(memory_use::parameters) == 32);
    matrix<float> moved = std::move(a);
    CHECK(on.held(memory_use::activations) == 60);
    moved = matrix<float>(on, 1, 1);
    CHECK(on.held(memory_use::activations) == 4);
    CHECK(on.peak(memory_use::activations) == 64);
    on.restart_peak(memory_use::activations);
    CHECK(on.peak(memory_use::activations) == 4);
  }
  CHECK(on.held(memory_use::activations) == 0);
  CHECK(on.held(memory_use::parameters) == 0);
  CHECK(on.held(memory_use::batch) == 0);
}

TEST_CASE("a matrix without rows is there, a moved one is not") {
  machine on;
  matrix<float> empty(on, 0, 8);
  CHECK(empty);
  const matrix<float> moved = std::move(empty);
  CHECK(moved);
  CHECK_FALSE(matrix<float>());
}

TEST_CASE("new matrices are zeros, copies are equal and independent") {
  machine on;
  { const matrix<double> before = placed_matrix(on, 5, 5); }
  CHECK(read(on, matrix<double>(on, 5, 5)) == numbers(25, 0.0));
  matrix<double> x = placed_matrix(on, 5, 5);
  const matrix<double> copy = copy_of(on, x);
  set_zero(on, x.view());
  CHECK(read(on, copy) == counted_up(25));
  CHECK(read(on, x) == numbers(25, 0.0));
}

TEST_CASE("the host writes and reads parameters in place") {
  machine on;
  matrix<double> weights(on, 2, 2, memory_use::parameters);
  std::ranges::copy(counted_up(4), weights.view().data);
  add_column_sums<double>(on, weights.view().part(0, 1), weights.view().part(1, 1));
  on.finish();
  CHECK(weights.view().data[0] == -2.5 + -0.5);
  CHECK(weights.view().data[1] == -1.5 + 0.5);
}

TEST_CASE("products are those of the definition, with all transpositions") {
  machine on;
  const std::size_t m = 3;
  const std::size_t k = 4;
  const std::size_t n = 5;
  const double keep = GENERATE(0.0, 1.0);
  for (const bool left_transposed : {false, true})
    for (const bool right_transposed : {false, true}) {
      const std::size_t left_columns = left_transposed ? m : k;
      const std::size_t right_columns = right_transposed ? k : n;
      const auto a = placed_matrix(on, m * k / left_columns, left_columns);
      const auto b = placed_matrix(on, k * n / right_columns, right_columns);
      auto out = placed_matrix(on, m, n);
      product(on, out.view(), {a, left_transposed}, {b, right_transposed}, keep);
      const numbers found = read(on, out);
      for (std::size_t r = 0; r < m; ++r)
        for (std::size_t c = 0; c < n; ++c) {
          double expected = keep * cell(n, false, r, c);
          for (std::size_t i = 0; i < k; ++i)
            expected += cell(left_columns, left_transposed, r, i) *
                        cell(right_columns, right_transposed, i, c);
          CHECK(found[r * n + c] == Approx(expected));
        }
    }
}

TEST_CASE("products of nothing") {
  machine on;
  matrix<double> none(on, 0, 4);
  matrix<double> out(on, 0, 2);
  const auto weight = placed_matrix(on, 4, 2);
  product(on, out.view(), {none}, {weight});
  auto gradient = placed_matrix(on, 4, 2);
  product(on, gradient.view(), {none, true}, {out}, 1);
  CHECK(read(on, gradient) == counted_up(8));
  product(on, gradient.view(), {none, true}, {out});
  CHECK(read(on, gradient) == numbers(8, 0.0));
}

TEST_CASE("factors that do not fit are refused by name") {
  machine on;
  const auto x = placed_matrix(on, 2, 3);
  const auto w = placed_matrix(on, 4, 5);
  matrix<double> out(on, 2, 5);
  CHECK_THROWS_WITH(product(on, out.view(), {x}, {w}),
                    "rows of the right factor = 4: must be 3 in this product");
}

TEST_CASE("every row is worked on once") {
  machine on;
  const std::size_t rows = GENERATE(as<std::size_t>{}, 1, 3, 4, 77);
  matrix<double> visits(on, rows, 3);
  const matrix_view<double> out = visits;
  for_rows(on, rows, [=] OMNIBAL_ON_LANES(std::size_t row, lanes group) {
    group.each(3, [&](std::size_t i) { out[row][i] += static_cast<double>(row + i + 1); });
  });
  const numbers found = read(on, visits);
  for (std::size_t i = 0; i < found.size(); ++i)
    CHECK(found[i] == static_cast<double>(i / 3 + i % 3 + 1));
}

TEST_CASE("sums of lanes have all terms, whatever their number") {
  machine on;
  const std::size_t count = GENERATE(as<std::size_t>{}, 0, 1, 7, 8, 9, 16, 21, 32, 33, 100);
  const double total = in_one_row(on, [=] OMNIBAL_ON_LANES(lanes group, double* out) {
    const double sum = group.sum(count, [](std::size_t i) { return static_cast<double>(i + 1); });
    group.once([&] { *out = sum; });
  });
  CHECK(total == static_cast<double>(count * (count + 1) / 2));
}

TEST_CASE("the largest is the first of its size") {
  machine on;
  const std::size_t count = GENERATE(as<std::size_t>{}, 1, 5, 32, 40, 90);
  const numbers values = counted_up(count);
  const auto x = placed_matrix(on, 1, count);
  const double* const in = x.view().data;
  const double found = in_one_row(on, [=] OMNIBAL_ON_LANES(lanes group, double* out) {
    const std::size_t best = group.largest(count, [&](std::size_t i) { return in[i]; });
    group.once([&] { *out = static_cast<double>(best); });
  });
  CHECK(found == static_cast<double>(std::ranges::max_element(values) - values.begin()));
}

TEST_CASE("what is done once is done in one lane") {
  machine on;
  const double calls = in_one_row(
      on, [] OMNIBAL_ON_LANES(lanes group, double* out) { group.once([&] { *out += 1; }); });
  CHECK(calls == 1);
}

TEST_CASE("column sums are added") {
  machine on;
  const auto x = placed_matrix(on, 3, 2);
  auto sums = placed_matrix(on, 1, 2);
  add_column_sums<double>(on, sums, x);
  CHECK(read(on, sums) == numbers{-2.5 + (-2.5 - 0.5 + 1.5), -1.5 + (-1.5 + 0.5 + 2.5)});
}
