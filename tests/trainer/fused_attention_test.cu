// SPDX-License-Identifier: Apache-2.0
// Attention by cuDNN is compared with that of rows, on a GPU that cuDNN's has kernels for.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <cuda_runtime_api.h>

#include "catch.hpp"
#include "layers/fused_attention.hpp"

using namespace omnibal::trainer;

namespace {

using numbers = std::vector<bf16_number>;

matrix<bf16_number> random_rows(machine& on, std::size_t rows, std::size_t columns,
                                std::uint32_t seed) {
  std::mt19937 random(seed);
  numbers values(rows * columns);
  for (bf16_number& value : values) value = static_cast<float>(random() % 2000) / 1000 - 1;
  matrix<bf16_number> result(on, rows, columns);
  copy_in(on, std::span<const bf16_number>(values), result.view().data);
  return result;
}

template <typename Real>
std::vector<Real> read(machine& on, const matrix<Real>& from) {
  std::vector<Real> values(from.view().size());
  copy_out(on, from.view().data, std::span(values));
  return values;
}

/// The largest difference, over the largest number.
template <typename Real>
double difference(const std::vector<Real>& some, const std::vector<Real>& others) {
  double largest = 1e-30;
  double most = 0;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const double one = static_cast<float>(some[i]);
    const double other = static_cast<float>(others[i]);
    if (!std::isfinite(one)) return 1e30;
    largest = std::max(largest, std::abs(other));
    most = std::max(most, std::abs(one - other));
  }
  return most / largest;
}

/// By rows and by cuDNN.
template <typename Mask>
void compare(machine& on, const head_shape& shape, const row_groups& groups, const Mask& mask) {
  const auto rows = static_cast<std::size_t>(groups.begin.back());
  const auto qkv = random_rows(on, rows, shape.columns(), 1);
  const auto dy = random_rows(on, rows, shape.query_columns(), 2);
  const auto expected = attend(on, qkv, shape, mask);
  const auto fused = fused_attend(on, qkv, shape, groups);
  CHECK(difference(read(on, fused.output), read(on, expected.output)) < 0.02);
  CHECK(difference(read(on, fused.log_sums), read(on, expected.log_sums)) < 0.001);
  CHECK(difference(read(on, fused_attention_gradient(on, qkv, fused, dy, shape, groups)),
                   read(on, attention_gradient(on, qkv, expected, dy, shape, mask))) < 0.03);
}

bool has_kernels() {
  int device = 0;
  int major = 0;
  REQUIRE(cudaGetDevice(&device) == cudaSuccess);
  REQUIRE(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess);
  if (major < 9) WARN("nothing is compared: the GPU is older than compute capability 9.0");
  return major >= 9;
}

const std::vector<head_shape> shapes = {{.heads = 4, .key_heads = 4, .width = 64},
                                        {.heads = 8, .key_heads = 2, .width = 128}};

}  // namespace

TEST_CASE("cuDNN's attention within documents is that of rows") {
  if (!has_kernels()) return;
  machine on;
  for (const head_shape& shape : shapes)
    for (const std::vector<std::int32_t>& ends :
         {std::vector<std::int32_t>{0, 1}, {0, 5, 133, 134, 400}, {0, 0, 700}}) {
      std::vector<std::int32_t> begin;
      std::vector<std::int32_t> limit;
      for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
        begin.resize(static_cast<std::size_t>(ends[i + 1]), ends[i]);
        limit.resize(static_cast<std::size_t>(ends[i + 1]), ends[i + 1]);
      }
      const auto begins = placed<std::int32_t>(on, std::span<const std::int32_t>(begin));
      const auto limits = placed<std::int32_t>(on, std::span<const std::int32_t>(limit));
      compare(on, shape, {ends, true}, causal_in_document{begins.data(), limits.data()});
    }
}

TEST_CASE("cuDNN's attention within tiles is that of rows") {
  if (!has_kernels()) return;
  machine on;
  for (const head_shape& shape : shapes)
    compare(on, shape, {{0, 256, 512, 768}, false}, within_tile{256});
}
