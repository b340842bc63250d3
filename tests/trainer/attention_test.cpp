// SPDX-License-Identifier: Apache-2.0
// Compiled for every machine: the rows of attention, on one lane or on a warp of them, are compared
// with the definition, a matrix of probabilities of all pairs in double precision.

#include "layers/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "catch.hpp"

using namespace omnibal::trainer;

namespace {

using numbers = std::vector<double>;

numbers random_numbers(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  numbers values(count);
  for (double& value : values) value = static_cast<double>(random() % 2000) / 1000 - 1;
  return values;
}

template <typename Real>
matrix<Real> placed_rows(machine& on, const numbers& values, std::size_t columns) {
  matrix<Real> result(on, values.size() / columns, columns);
  copy_in(on, std::span<const double>(values), result.view().data);
  return result;
}

template <typename Real>
numbers read(machine& on, const matrix<Real>& from) {
  std::vector<Real> values(from.view().size());
  copy_out(on, from.view().data, std::span(values));
  return {values.begin(), values.end()};
}

/// Groups of rows that see each other: documents, or tiles of equal lengths.
struct row_groups {
  std::vector<std::int32_t> begin = {};  ///< [rows] of the group that the row is in
  std::vector<std::int32_t> limit = {};

  explicit row_groups(const std::vector<std::int32_t>& lengths) {
    std::int32_t first = 0;
    for (const std::int32_t length : lengths) {
      begin.insert(begin.end(), static_cast<std::size_t>(length), first);
      limit.insert(limit.end(), static_cast<std::size_t>(length), first + length);
      first += length;
    }
  }
  [[nodiscard]] std::size_t rows() const { return begin.size(); }
};

struct attention_values {
  numbers output;
  numbers log_sums;
  numbers gradient;  ///< Of queries, keys and values.
};

/// One head of attention by its definition.
class head_by_definition {
 public:
  head_by_definition(const head_shape& shape, const row_groups& groups, bool causal,
                     std::size_t head, const numbers& qkv)
      : shape_(shape), groups_(groups), causal_(causal), head_(head), qkv_(qkv) {}

  void add_to(attention_values& all, const numbers& dy) const {
    for (std::size_t i = 0; i < groups_.rows(); ++i) {
      const numbers p = probabilities(i, all.log_sums);
      numbers through(p.size());
      double share = 0;
      for (std::size_t j = 0; j < p.size(); ++j) {
        for (std::size_t c = 0; c < shape_.width; ++c) {
          all.output[i * shape_.query_columns() + query() + c] += p[j] * qkv_[at(j, value()) + c];
          through[j] += dy[i * shape_.query_columns() + query() + c] * qkv_[at(j, value()) + c];
        }
        share += p[j] * through[j];
      }
      for (std::size_t j = 0; j < p.size(); ++j) {
        const double slope = p[j] * (through[j] - share) * scale();
        for (std::size_t c = 0; c < shape_.width; ++c) {
          all.gradient[at(i, query()) + c] += slope * qkv_[at(j, key()) + c];
          all.gradient[at(j, key()) + c] += slope * qkv_[at(i, query()) + c];
          all.gradient[at(j, value()) + c] += p[j] * dy[i * shape_.query_columns() + query() + c];
        }
      }
    }
  }

 private:
  /// With which row i attends to every row; leaves the logarithm of the softmax's sum.
  [[nodiscard]] numbers probabilities(std::size_t i, numbers& log_sums) const {
    numbers p(groups_.rows());
    double sum = 0;
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (groups_.begin[i] != groups_.begin[j] || (causal_ && j > i)) continue;
      double score = 0;
      for (std::size_t c = 0; c < shape_.width; ++c)
        score += qkv_[at(i, query()) + c] * qkv_[at(j, key()) + c];
      sum += p[j] = std::exp(score * scale());
    }
    for (double& each : p) each /= sum;
    log_sums[i * shape_.heads + head_] = std::log(sum);
    return p;
  }

  [[nodiscard]] double scale() const { return 1 / std::sqrt(static_cast<double>(shape_.width)); }
  [[nodiscard]] std::size_t at(std::size_t row, std::size_t column) const {
    return row * shape_.columns() + column;
  }
  [[nodiscard]] std::size_t key_head() const { return head_ * shape_.key_heads / shape_.heads; }
  [[nodiscard]] std::size_t query() const { return head_ * shape_.width; }
  [[nodiscard]] std::size_t key() const { return (shape_.heads + key_head()) * shape_.width; }
  [[nodiscard]] std::size_t value() const {
    return (shape_.heads + shape_.key_heads + key_head()) * shape_.width;
  }

  const head_shape& shape_;
  const row_groups& groups_;
  bool causal_;
  std::size_t head_;
  const numbers& qkv_;
};

attention_values by_definition(const head_shape& shape, const row_groups& groups, bool causal,
                               const numbers& qkv, const numbers& dy) {
  attention_values all{.output = numbers(dy.size()),
                       .log_sums = numbers(groups.rows() * shape.heads),
                       .gradient = numbers(qkv.size())};
  for (std::size_t head = 0; head < shape.heads; ++head)
    head_by_definition(shape, groups, causal, head, qkv).add_to(all, dy);
  return all;
}

template <typename Real, typename Mask>
attention_values by_rows(machine& on, const head_shape& shape, const Mask& mask, const numbers& qkv,
                         const numbers& dy) {
  const auto rows = placed_rows<Real>(on, qkv, shape.columns());
  const attended<Real> forward = attend(on, rows, shape, mask);
  const auto given = placed_rows<Real>(on, dy, shape.query_columns());
  const auto gradient = attention_gradient(on, rows, forward, given, shape, mask);
  return {read(on, forward.output), read(on, forward.log_sums), read(on, gradient)};
}

double difference(const numbers& found, const numbers& expected) {
  REQUIRE(found.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(found[i] - expected[i]));
  return worst;
}

void check_same(const attention_values& found, const attention_values& expected, double tolerance) {
  CHECK(difference(found.output, expected.output) < tolerance);
  CHECK(difference(found.log_sums, expected.log_sums) < tolerance);
  CHECK(difference(found.gradient, expected.gradient) < tolerance);
}

template <typename Real>
void check_documents(const head_shape& shape, const std::vector<std::int32_t>& lengths,
                     double tolerance) {
  machine on;
  const row_groups groups(lengths);
  const numbers qkv = random_numbers(groups.rows() * shape.columns(), 1);
  const numbers dy = random_numbers(groups.rows() * shape.query_columns(), 2);
  const auto begin = placed<std::int32_t>(on, std::span(std::as_const(groups.begin)));
  const auto limit = placed<std::int32_t>(on, std::span(std::as_const(groups.limit)));
  const auto found =
      by_rows<Real>(on, shape, causal_in_document{begin.data(), limit.data()}, qkv, dy);
  check_same(found, by_definition(shape, groups, true, qkv, dy), tolerance);
}

template <typename Real>
void check_tiles(const head_shape& shape, std::int32_t patches, std::size_t tiles,
                 double tolerance) {
  machine on;
  const row_groups groups(std::vector<std::int32_t>(tiles, patches));
  const numbers qkv = random_numbers(groups.rows() * shape.columns(), 3);
  const numbers dy = random_numbers(groups.rows() * shape.query_columns(), 4);
  const auto found =
      by_rows<Real>(on, shape, within_tile{static_cast<std::size_t>(patches)}, qkv, dy);
  check_same(found, by_definition(shape, groups, false, qkv, dy), tolerance);
}

}  // namespace

TEST_CASE("causal attention within documents is that of the definition") {
  // Heads narrower and wider than a warp; documents of one token, and of more than a warp has
  // lanes.
  check_documents<double>({.heads = 4, .key_heads = 2, .width = 6}, {1, 9, 2, 1}, 1e-12);
  check_documents<float>({.heads = 2, .key_heads = 1, .width = 40}, {34, 3}, 2e-5);
  check_documents<float>({.heads = 3, .key_heads = 3, .width = 2}, {5, 0, 4}, 2e-5);
}

TEST_CASE("attention within tiles is that of the definition") {
  check_tiles<double>({.heads = 2, .key_heads = 2, .width = 4}, 5, 3, 1e-12);
  check_tiles<float>({.heads = 1, .key_heads = 1, .width = 34}, 9, 2, 2e-5);
}

TEST_CASE("a leading score does not overflow the softmax") {
  machine on;
  const head_shape shape{.heads = 1, .key_heads = 1, .width = 2};
  // Scores of ± 283: in single precision one of their exponentials is infinite and the other is 0.
  const numbers qkv = {20, 20, 10, 10, 1, 2, 20, 20, -10, -10, 3, 4};
  const auto rows = placed_rows<float>(on, qkv, shape.columns());
  const auto forward = attend(on, rows, shape, within_tile{2});
  CHECK(read(on, forward.output) == numbers{1, 2, 1, 2});
  CHECK(read(on, forward.log_sums)[0] == Approx(400 / std::sqrt(2.0)));
}

TEST_CASE("rotary positions turn pairs by their angles, and back") {
  machine on;
  const head_shape shape{.heads = 2, .key_heads = 1, .width = 6};
  const std::vector<std::int32_t> position_ids = {0, 1, 2, 0, 17};
  const numbers before = random_numbers(position_ids.size() * shape.columns(), 5);
  const double base = 100;
  numbers expected = before;
  for (std::size_t row = 0; row < position_ids.size(); ++row)
    for (std::size_t head = 0; head < 3; ++head)  // queries and keys
      for (std::size_t i = 0; i < 3; ++i) {
        const double angle = position_ids[row] * std::pow(base, -2.0 * static_cast<double>(i) / 6);
        const std::size_t first = row * shape.columns() + head * 6 + i;
        expected[first] = before[first] * std::cos(angle) - before[first + 3] * std::sin(angle);
        expected[first + 3] = before[first + 3] * std::cos(angle) + before[first] * std::sin(angle);
      }
  auto rows = placed_rows<double>(on, before, shape.columns());
  const auto ids = placed<std::int32_t>(on, std::span(position_ids));
  rotate(on, rows, shape, ids, base, 1.0);
  CHECK(difference(read(on, rows), expected) < 1e-12);
  rotate(on, rows, shape, ids, base, -1.0);
  CHECK(difference(read(on, rows), before) < 1e-12);
}
