// SPDX-License-Identifier: Apache-2.0
/// @file
/// The kernels that list attention blocks give what the host form gives.
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/core/error.hpp>
#include <omnibal/gpu/blocks.cuh>
#include <omnibal/indices/blocks.hpp>

#include "catch.hpp"
#include "gpu/device_array.hpp"

namespace {

namespace gpu = omnibal::gpu;
namespace indices = omnibal::indices;

struct device_list {
  device_list(std::size_t lines, std::size_t width) : count(lines), places(lines * width, 1) {}
  [[nodiscard]] gpu::device_block_list list() const { return {count.span(), places.span()}; }
  void require_equal(const indices::block_list& host) const {
    REQUIRE(count.get() == host.count);
    REQUIRE(places.get() == host.indices);
    REQUIRE(count.surroundings_untouched());
    REQUIRE(places.surroundings_untouched());
  }
  device_array<std::int32_t> count;
  device_array<std::int32_t> places;
};

void compare(const std::vector<std::int32_t>& first, const std::vector<std::int32_t>& limit,
             std::size_t q_block, std::size_t k_block) {
  const std::size_t rows = (first.size() + q_block - 1) / q_block;
  const std::size_t columns = (first.size() + k_block - 1) / k_block;
  const device_array<std::int32_t> device_first(first);
  const device_array<std::int32_t> device_limit(limit);
  const device_list kv(rows, columns), full_kv(rows, columns), q(columns, rows),
      full_q(columns, rows);
  const auto q_size = static_cast<std::int64_t>(q_block);
  const auto k_size = static_cast<std::int64_t>(k_block);
  gpu::list_blocks(device_first.span(), device_limit.span(), q_size, k_size,
                   {kv.list(), full_kv.list(), q.list(), full_q.list()});
  const indices::block_mask host = indices::list_blocks(first, limit, q_size, k_size);
  kv.require_equal(host.kv);
  full_kv.require_equal(host.full_kv);
  q.require_equal(host.q);
  full_q.require_equal(host.full_q);
}

}  // namespace

TEST_CASE("random intervals give the blocks of the host") {
  std::mt19937 random(3);
  for (const std::size_t slots : {0U, 1U, 7U, 64U, 300U}) {
    std::vector<std::int32_t> first(slots), limit(slots);
    for (std::size_t k = 0; k < slots; ++k) {
      const auto below = [&](std::size_t bound) {
        return static_cast<std::int32_t>(random() % (bound + 1));
      };
      // Long intervals in runs, so that some blocks are full, and any others.
      first[k] = k / 50 % 2 == 0 ? static_cast<std::int32_t>(k / 50 * 20) : below(slots);
      limit[k] = k / 50 % 2 == 0 ? static_cast<std::int32_t>(slots) : below(slots);
    }
    for (const auto& [q_block, k_block] :
         {std::pair(3U, 5U), std::pair(16U, 16U), std::pair(10U, 8U), std::pair(2000U, 7U)})
      compare(first, limit, q_block, k_block);
  }
}

TEST_CASE("lines of more blocks than are looked at together") {
  constexpr std::int32_t slots = 1030;
  std::vector<std::int32_t> first(slots), limit(slots, slots);
  for (std::int32_t k = 0; k < slots; ++k) first[static_cast<std::size_t>(k)] = k;  // causal
  compare(first, limit, 1, 600);
  compare(first, limit, 600, 1);
}

TEST_CASE("sizes that do not go together are refused") {
  const device_array<std::int32_t> interval(10);
  const device_list list(2, 2);
  const gpu::device_block_mask mask{list.list(), list.list(), list.list(), list.list()};
  CHECK_THROWS_WITH(gpu::list_blocks(interval.span(), interval.span(), 5, 4, mask),
                    Catch::Matchers::Contains("kv.indices = 4"));
  CHECK_THROWS_AS(gpu::list_blocks(interval.span(), interval.span(), 0, 5, mask),
                  omnibal::invalid_input);
  CHECK_THROWS_AS(gpu::list_blocks(interval.span(), interval.span().first(9), 5, 5, mask),
                  omnibal::invalid_input);
}
