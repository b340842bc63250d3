// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels that move rows, and those that add them in a fixed order, give what the host form
/// gives, bit for bit.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/rows.cuh>
#include <omnibal/indices/rows.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

using bytes = std::vector<std::uint8_t>;

bytes random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  bytes values(size);
  for (auto& value : values) value = static_cast<std::uint8_t>(random());
  return values;
}

template <typename Byte>
auto* as_bytes_of(Byte* values) {
  return reinterpret_cast<std::conditional_t<std::is_const_v<Byte>, const std::byte, std::byte>*>(
      values);
}

/// Tensors of these widths, each behind `offset` bytes of its memory.
void compare_moves(indices::row_move move, const std::vector<std::int64_t>& source,
                   std::size_t rows, const std::vector<std::size_t>& widths, std::size_t offset) {
  const bool gathers = move == indices::row_move::gather;
  std::vector<bytes> from, to;
  std::vector<std::unique_ptr<device_array<std::uint8_t>>> device_from, device_to;
  std::vector<indices::moved_rows> on_host, on_device;
  for (const std::size_t width : widths) {
    const std::size_t sources = source.size() * width;
    from.push_back(random_bytes(gathers ? rows * width : sources, 1));
    to.push_back(random_bytes(gathers ? sources : rows * width, 2));
    device_from.push_back(std::make_unique<device_array<std::uint8_t>>(from.back().size(), offset));
    device_to.push_back(std::make_unique<device_array<std::uint8_t>>(to.back().size(), offset));
    device_from.back()->set(from.back());
    device_to.back()->set(to.back());
    on_device.push_back({as_bytes_of(device_from.back()->span().data()),
                         as_bytes_of(device_to.back()->span().data()), width, rows});
  }
  for (std::size_t t = 0; t < widths.size(); ++t)
    on_host.push_back(
        {as_bytes_of(std::as_const(from[t]).data()), as_bytes_of(to[t].data()), widths[t], rows});
  const device_array<std::int64_t> device_source(source);
  indices::move_rows(move, source, on_host);
  gpu::move_rows(move, device_source.span(), on_device);
  for (std::size_t t = 0; t < widths.size(); ++t) {
    REQUIRE(device_to[t]->get() == to[t]);
    REQUIRE(device_to[t]->surroundings_untouched());
  }
}

/// Of `sources` sources no two of one row, some of none.
std::vector<std::int64_t> injective_sources(std::size_t sources, std::size_t rows) {
  std::vector<std::int64_t> source;
  for (std::size_t r = 0; r < std::max(sources, rows); ++r)
    source.push_back(r < rows ? static_cast<std::int64_t>(r) : -1);
  std::shuffle(source.begin(), source.end(), std::mt19937(4));
  source.resize(sources);
  return source;
}

void compare_sums(const std::vector<std::int64_t>& source, std::size_t rows, std::size_t width) {
  std::mt19937 random(9);
  std::uniform_real_distribution<float> any(-1e4F, 1e4F);
  std::vector<float> values(source.size() * width), sums(rows * width);
  for (float& value : values) value = any(random);
  for (float& sum : sums) sum = any(random);
  const device_array<std::int64_t> device_source(source);
  const device_array<std::int32_t> cu_places(rows + 1), places(source.size(), 1), next(rows);
  const device_array<float> device_values(values), device_sums(sums);
  const gpu::sources_of_rows inverse{cu_places.span(), places.span(), next.span()};
  gpu::invert_sources(device_source.span(), inverse);
  gpu::add_rows<float>(inverse, {device_values.span(), width}, {device_sums.span(), width});
  indices::add_rows<float>(source, {values, width}, {sums, width});
  REQUIRE(device_sums.get() == sums);
  REQUIRE(device_sums.surroundings_untouched());
  REQUIRE(places.surroundings_untouched());
  REQUIRE(cu_places.surroundings_untouched());
}

}  // namespace

TEST_CASE("rows of several tensors are gathered and scattered as on the host") {
  for (const std::size_t offset : {0U, 1U, 4U, 8U})
    for (const std::size_t sources : {0U, 1U, 257U})
      for (const auto move : {indices::row_move::gather, indices::row_move::scatter})
        compare_moves(move, injective_sources(sources, 200), 200, {1, 6, 48, 20, 0, 16}, offset);
}

TEST_CASE("a gather may take a row many times") {
  compare_moves(indices::row_move::gather, {2, 2, -1, 0, 2, 1, 1}, 3, {32, 5}, 0);
}

TEST_CASE("more words than threads of a block") {
  compare_moves(indices::row_move::gather, injective_sources(700, 650), 650, {64}, 0);
}

TEST_CASE("adjoints add in ascending order, to the last bit") {
  std::mt19937 random(3);
  for (const std::size_t sources : {0U, 1U, 255U, 256U, 257U, 1500U})
    for (const std::size_t rows : {1U, 7U, 900U}) {
      std::vector<std::int64_t> source;
      for (std::size_t i = 0; i < sources; ++i)
        source.push_back(static_cast<std::int64_t>(random() % (rows + 1)) - 1);
      compare_sums(source, rows, 1 + rows % 3);
    }
}

TEST_CASE("moves and sums of other sizes are refused") {
  const device_array<std::int64_t> source(std::vector<std::int64_t>{0, 1});
  const std::vector<indices::moved_rows> nine(9);
  CHECK_THROWS_WITH(gpu::move_rows(indices::row_move::gather, source.span(), nine),
                    Catch::Matchers::Contains("number of tensors = 9"));
  const device_array<std::int32_t> three(3), two(2);
  CHECK_THROWS_AS(gpu::invert_sources(source.span(), {two.span(), two.span(), two.span()}),
                  omnibal::invalid_input);
  const device_array<float> values(4);
  const gpu::sources_of_rows inverse{three.span(), two.span(), two.span()};
  CHECK_THROWS_AS(gpu::add_rows<float>(inverse, {values.span(), 2}, {values.span(), 1}),
                  omnibal::invalid_input);
}
