// SPDX-License-Identifier: Apache-2.0

#include "machine.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"

using namespace omnibal::trainer;
using omnibal::invalid_input;

namespace {

matrix<double> counted_up(machine& on, std::size_t rows, std::size_t columns) {
  matrix<double> result(on, rows, columns);
  for (std::size_t i = 0; i < rows * columns; ++i)
    result.view().data[i] = static_cast<double>(i % 7) - 2.5;
  return result;
}

double cell_of_product(const operand<double>& left, const operand<double>& right, std::size_t row,
                       std::size_t column) {
  double sum = 0;
  for (std::size_t k = 0; k < left.columns(); ++k)
    sum += (left.transposed ? left.stored[k][row] : left.stored[row][k]) *
           (right.transposed ? right.stored[column][k] : right.stored[k][column]);
  return sum;
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

TEST_CASE("products are those of the definition, with all transpositions") {
  machine on;
  const std::size_t m = 3;
  const std::size_t k = 4;
  const std::size_t n = 5;
  const double keep = GENERATE(0.0, 1.0);
  for (const bool left_transposed : {false, true})
    for (const bool right_transposed : {false, true}) {
      const auto a = left_transposed ? counted_up(on, k, m) : counted_up(on, m, k);
      const auto b = right_transposed ? counted_up(on, n, k) : counted_up(on, k, n);
      const operand<double> left{a, left_transposed};
      const operand<double> right{b, right_transposed};
      auto out = counted_up(on, m, n);
      const auto before = copy_of(on, out);
      product(on, out.view(), left, right, keep);
      for (std::size_t r = 0; r < m; ++r)
        for (std::size_t c = 0; c < n; ++c)
          CHECK(out.view()[r][c] ==
                Approx(cell_of_product(left, right, r, c) + keep * before.view()[r][c]));
    }
}

TEST_CASE("products of nothing") {
  machine on;
  matrix<double> none(on, 0, 4);
  matrix<double> out(on, 0, 2);
  const auto weight = counted_up(on, 4, 2);
  product(on, out.view(), {none}, {weight});
  auto gradient = counted_up(on, 4, 2);
  const auto before = copy_of(on, gradient);
  product(on, gradient.view(), {none, true}, {out}, 1);
  CHECK(std::equal(before.view().data, before.view().data + 8, gradient.view().data));
  product(on, gradient.view(), {none, true}, {out});
  CHECK(std::all_of(gradient.view().data, gradient.view().data + 8,
                    [](double value) { return value == 0; }));
}

TEST_CASE("factors that do not fit are refused by name") {
  machine on;
  const auto x = counted_up(on, 2, 3);
  const auto w = counted_up(on, 4, 5);
  matrix<double> out(on, 2, 5);
  CHECK_THROWS_WITH(product(on, out.view(), {x}, {w}),
                    "rows of the right factor = 4: must be 3 in this product");
}

TEST_CASE("sums of lanes have all terms, whatever their number") {
  const std::size_t count = GENERATE(as<std::size_t>{}, 0, 1, 7, 8, 9, 16, 21);
  const auto total = lanes{}.sum(count, [](std::size_t i) { return static_cast<double>(i + 1); });
  CHECK(total == static_cast<double>(count * (count + 1) / 2));
}

TEST_CASE("the largest is the first of its size") {
  const std::vector<int> values = {3, 7, 1, 7, 2};
  const auto of = [&](std::size_t i) { return values[i]; };
  CHECK(lanes{}.largest(1, of) == 0);
  CHECK(lanes{}.largest(5, of) == 1);
}

TEST_CASE("column sums are added") {
  machine on;
  const auto x = counted_up(on, 3, 2);
  matrix<double> sums(on, 1, 2);
  sums.view()[0][1] = 10;
  add_column_sums<double>(on, sums, x);
  CHECK(sums.view()[0][0] == x.view()[0][0] + x.view()[1][0] + x.view()[2][0]);
  CHECK(sums.view()[0][1] == 10 + x.view()[0][1] + x.view()[1][1] + x.view()[2][1]);
}
